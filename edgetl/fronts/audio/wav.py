"""RIFF/WAVE files -> int16 samples, mono. These rules are the specification that the C++ reader repeats to the bit.

All numbers in the file are little-endian. Limits: a file of at most 1,000,000,000 bytes.

Chunks. Bytes 0-3 are `RIFF`, 8-11 `WAVE`; the size in 4-7 is ignored, since streams leave it wrong. Chunks follow from
byte 12: four bytes of name, uint32 size, content; the next one begins after the content, one byte later if the size is
odd. The walk ends at the first `data`; what follows it is ignored. Before it there must be exactly one `fmt `; chunks
of other names are skipped. A chunk (other than `data`) that ends after the file, a second `fmt ` and a file without
`data` are refused.

Format, the content of `fmt `, at least 16 bytes: uint16 tag, uint16 channels (1 to 16), uint32 rate (1,000 to 192,000),
uint32 bytes per second (ignored), uint16 bytes per frame (channels * bits / 8, else refused), uint16 bits. If the tag
is 0xFFFE (WAVE_FORMAT_EXTENSIBLE), the content has at least 40 bytes and the tag is the uint16 at 24, which the bytes
00 00 00 00 10 00 80 00 00 AA 00 38 9B 71 must follow; number of valid bits and channel mask are ignored.
Read are tag 1 (integers) with 8, 16, 24 or 32 bits, and tag 3 (IEEE floats) with 32 bits.

Size of `data`. 0x7FFFF000 or more is the placeholder of a writer that could not go back to the header (0xFFFFFFFF of
ffmpeg, 0x7FFFF000 of sox, 0x80000000 of arecord): samples reach to the end of the file, and the rest of a last frame is
dropped. Any other size must be a multiple of the bytes per frame and end within the file (else the file is truncated).
No samples at all are refused.

Values, each to int16; `>>` rounds down (arithmetic shift), [x] saturates x to -32768..32767:
    8 bits    unsigned: (v - 128) * 256
    16 bits   v
    24 bits   [(v + 128) >> 8]
    32 bits   [(v + 32768) >> 16], the sum in int64
    floats    [floor(32768 * f + 0.5)], in float64. NaN, infinite values and |f| > 8 are refused: full scale is 1.

Channels. The mean of the c int16 values of a frame with sum s, rounded half up: floor((2 * s + c) / (2 * c)).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetl.files.file_kind import HEAD_BYTES, FileKind, describe_bytes
from edgetl.files.text import printable
from edgetl.fronts.base import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATES = (1_000, 192_000)
CONVERT = "convert it: ffmpeg -i FILE -ac 1 -c:a pcm_s16le NEW.wav"
"""What to do about a kind of file or of samples that is not read."""

_MOST_CHANNELS = 16
_PLACEHOLDER = 0x7FFFF000
_EXTENSIBLE, _INTEGERS, _FLOATS = 0xFFFE, 1, 3
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # RFC 2361, appendix A
_LOUDEST = 8.0
_BLOCK = 1 << 20  # frames that are converted at once
_FORMATS = {
    2: "ADPCM",
    6: "A-law",
    7: "mu-law",
    0x11: "ADPCM",
    0x31: "GSM 6.10",
    0x50: "MPEG",
    0x55: "MP3",
    0xFF: "AAC",
}


class UnreadableSound(Unreadable):
    """A file that is not a sound, or a broken one."""

    expected = "a sound"


@dataclass(frozen=True, eq=False)
class Sound:
    """samples  int16 (N,), mono;  channels, bits  as stored; `floats` if those bits are of a float"""

    samples: NDArray[np.int16]
    rate_hz: int
    channels: int
    bits: int
    floats: bool = False


@dataclass(frozen=True)
class Format:
    """The content of `fmt `."""

    tag: int
    channels: int
    rate_hz: int
    bits: int

    @property
    def frame(self) -> int:
        """Bytes of a frame."""
        return self.channels * self.bits // 8


def decode_wav(data: bytes, where: str) -> Sound:
    """The samples of a RIFF/WAVE file, by the rules above; `where` starts the error line. Raises UnreadableSound."""
    form, content = _chunks(data, where)
    values = _values(content, form, where)
    samples = np.empty(len(values) // form.channels, np.int16)
    for start in range(0, len(samples), _BLOCK):
        block = values[start * form.channels : (start + _BLOCK) * form.channels]
        samples[start : start + _BLOCK] = mono(_to_int16(block, where).reshape(-1, form.channels))
    return Sound(samples, form.rate_hz, form.channels, form.bits, form.tag == _FLOATS)


def encode_wav(samples: NDArray[np.int16], rate_hz: int) -> bytes:
    """A WAV file of 16-bit mono samples, without anything else."""
    data = samples.astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _INTEGERS, 1, rate_hz, 2 * rate_hz, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form + struct.pack("<4sI", b"data", len(data)) + data
    )


def mono(frames: NDArray[np.int16]) -> NDArray[np.int16]:
    """(N, c) -> (N,): the mean of each frame, rounded half up."""
    count = frames.shape[1]
    if count == 1:
        return frames[:, 0]
    return np.asarray((2 * frames.sum(axis=1, dtype=np.int64) + count) // (2 * count), dtype=np.int16)


def from_int32(values: NDArray[np.integer]) -> NDArray[np.int16]:
    """[(v + 32768) >> 16]"""
    return np.asarray(np.minimum((values.astype(np.int64) + 32768) >> 16, 32767), dtype=np.int16)


def from_floats(values: NDArray[np.float32], where: str) -> NDArray[np.int16]:
    """[floor(32768 * f + 0.5)]. Raises UnreadableSound for values that are no sound of full scale 1."""
    if not np.isfinite(values).all():
        raise UnreadableSound(where, "it has NaN or infinite samples")
    loudest = float(np.abs(values).max(initial=0))
    if loudest > _LOUDEST:
        raise UnreadableSound(where, f"expected float samples from -1 to 1, found {loudest:g}; scale them")
    scaled = np.floor(32768 * values.astype(np.float64) + 0.5)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def _chunks(data: bytes, where: str) -> tuple[Format, memoryview]:
    """The format, and the bytes of whole frames."""
    form: Format | None = None
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise UnreadableSound(where, "expected RIFF and WAVE in its first 12 bytes", describe_bytes(data[:HEAD_BYTES]))
    for name, start, size in _walk(data):
        if name == b"data":
            if form is None:
                raise UnreadableSound(where, "no `fmt ` chunk before its `data` chunk")
            return form, _frames(data, start, size, form, where)
        if start + size > len(data):
            raise UnreadableSound(
                where,
                f"its chunk `{_shown(name)}` has {size} bytes, but {len(data) - start} follow: truncated",
            )
        if name == b"fmt ":
            if form is not None:
                raise UnreadableSound(where, "it has two `fmt ` chunks")
            form = _format(data[start : start + size], where)
    raise UnreadableSound(where, "it has no `data` chunk: truncated, or only a header")


def _walk(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of each chunk whose header lies in the file."""
    place = 12
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        yield name, place + 8, size
        place += 8 + size + size % 2


def _shown(name: bytes) -> str:
    return printable(name.decode("ascii", "replace"))


def _format(content: bytes, where: str) -> Format:
    if len(content) < 16:
        raise UnreadableSound(where, f"expected at least 16 bytes in its `fmt ` chunk, found {len(content)}")
    tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", content)
    if tag == _EXTENSIBLE:
        if len(content) < 40 or content[26:40] != _GUID_TAIL:
            raise _convertible(where, "it has an unknown kind of WAVE_FORMAT_EXTENSIBLE")
        tag = int.from_bytes(content[24:26], "little")
    if (tag, bits) not in {(_INTEGERS, 8), (_INTEGERS, 16), (_INTEGERS, 24), (_INTEGERS, 32), (_FLOATS, 32)}:
        known = {_INTEGERS: "integers", _FLOATS: "floats"}.get(tag)
        found = f"{bits}-bit {known}" if known else _FORMATS.get(tag, f"format {tag:#06x}")
        raise _convertible(where, f"expected integers of 8, 16, 24 or 32 bits or 32-bit floats, found {found}")
    for name, found, least, most in (("channels", channels, 1, _MOST_CHANNELS), ("samples a second", rate, *RATES)):
        if not least <= found <= most:
            raise UnreadableSound(where, f"expected {least} to {most} {name}, found {found}")
    form = Format(tag, channels, rate, bits)
    if frame != form.frame:
        raise UnreadableSound(where, f"expected {form.frame} bytes a frame for {channels} x {bits} bits, found {frame}")
    return form


def _frames(data: bytes, start: int, size: int, form: Format, where: str) -> memoryview:
    left = len(data) - start
    if size >= _PLACEHOLDER:
        size = left - left % form.frame
    elif size > left:
        raise UnreadableSound(where, f"its header promises {size} bytes of samples, but {left} follow: truncated")
    if size % form.frame:
        raise UnreadableSound(where, f"its {size} bytes of samples are no multiple of {form.frame}, the bytes a frame")
    if not size and left:
        raise _convertible(where, f"its header promises no samples, but {left} bytes follow: it was never finished")
    if not size:
        raise UnreadableSound(where, "it has no samples")
    return memoryview(data)[start : start + size]


def _convertible(where: str, reason: str) -> UnreadableSound:
    return UnreadableSound(where, f"{reason}; {CONVERT}", FileKind("wav", "a WAV recording", CONVERT))


def _values(content: memoryview, form: Format, where: str) -> NDArray[np.generic]:
    """All samples as stored; 24 bits are (N, 3) bytes."""
    if form.bits == 24:
        return np.frombuffer(content, np.uint8).reshape(-1, 3)
    kinds = {8: "u1", 16: "<i2", 32: "<f4" if form.tag == _FLOATS else "<i4"}
    return np.frombuffer(content, kinds[form.bits])


def _to_int16(values: NDArray[np.generic], where: str) -> NDArray[np.int16]:
    if values.ndim == 2:
        low, middle, high = values.astype(np.int32).T
        signed = (low | middle << 8 | high << 16) - ((high >> 7) << 24)
        return np.asarray(np.minimum((signed + 128) >> 8, 32767), dtype=np.int16)
    if values.dtype == np.uint8:
        return np.asarray((values.astype(np.int16) - 128) * 256, dtype=np.int16)
    if values.dtype == np.float32:
        return from_floats(values.astype(np.float32), where)
    return values.astype(np.int16) if values.dtype == np.int16 else from_int32(values.astype(np.int64))
