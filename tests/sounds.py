"""Sound files made from their parts: good ones of every format, and broken ones with what is to be said about each."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
RATE = 16_000


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """A chunk; `size` claims another size than it has."""
    claimed = len(content) if size is None else size
    return name + struct.pack("<I", claimed) + content + b"\0" * (len(content) % 2)


def fmt(
    tag: int = 1,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    *,
    frame: int | None = None,
    extensible: bool = False,
    tail: bytes = GUID_TAIL,
) -> bytes:
    frame = channels * bits // 8 if frame is None else frame
    head = struct.pack("<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * frame, frame, bits)
    return head + (struct.pack("<HHIH", 22, bits, 0, tag) + tail if extensible else b"")


def riff(*chunks: bytes, form: bytes = b"WAVE") -> bytes:
    content = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + form + content


def wav(samples: ArrayLike, rate: int = RATE) -> bytes:
    """16 bits, mono, or (N, c) for c channels."""
    values = np.asarray(samples, "<i2")
    channels = 1 if values.ndim == 1 else values.shape[1]
    return riff(chunk(b"fmt ", fmt(channels=channels, rate=rate)), chunk(b"data", values.tobytes()))


def as_24_bits(values: ArrayLike) -> bytes:
    return np.asarray(values, "<i4")[:, None].view(np.uint8)[:, :3].tobytes()


def tone(hz: float, seconds: float = 1.0, rate: int = RATE, amplitude: float = 8000.0) -> NDArray[np.int16]:
    return np.round(amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def write_wav(path: Path, samples: ArrayLike, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav(samples, rate))
    return path


_FMT = chunk(b"fmt ", fmt())
_DATA = chunk(b"data", bytes(64))
_GOOD = riff(_FMT, _DATA)

MALFORMED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "a word": (b"hello", "it is plain text, not a sound"),
    "a web page": (b"<!doctype html><html></html>", "it is a web page, not a sound; a server or a login page answered"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not a sound; run git"),
    "an MP3 with tags": (
        b"ID3\x04\0" + bytes(99),
        "it is an MP3 recording, which is not supported; convert it: ffmpeg",
    ),
    "an MP3 without tags": (b"\xff\xfb\x90\x64" + bytes(99), "it is an MP3 recording"),
    "an AIFF": (b"FORM\0\0\0\x40AIFF" + bytes(64), "it is an AIFF recording, which is not supported; convert it"),
    "an M4A": (b"\0\0\0\x18ftypM4A " + bytes(64), "it is an M4A recording"),
    "a 64-bit WAV": (b"RF64" + _GOOD[4:], "it is a 64-bit WAV recording, which is not supported; convert it"),
    "a big-endian WAV": (b"RIFX" + _GOOD[4:], "it is a big-endian WAV recording"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "it is a PNG, not a sound"),
    "an AVI": (riff(_FMT, _DATA, form=b"AVI "), "it is a video, not a sound"),
    "noise": (bytes(range(128, 250)), "its content is not WAV, FLAC or OGG"),
    "only RIFF and WAVE": (riff(), "it has no `data` chunk"),
    "no format": (riff(_DATA), "no `fmt ` chunk before its `data` chunk"),
    "the format after the samples": (riff(_DATA, _FMT), "no `fmt ` chunk before its `data` chunk"),
    "two formats": (riff(_FMT, _FMT, _DATA), "it has two `fmt ` chunks"),
    "a short format": (riff(chunk(b"fmt ", fmt()[:14]), _DATA), "at least 16 bytes in its `fmt ` chunk, found 14"),
    "cut in the format": (_GOOD[:30], "its chunk `fmt ` has 16 bytes, but 10 follow: truncated"),
    "cut in a list": (
        riff(_FMT, chunk(b"LIST", b"INFO", size=1000)),
        "its chunk `LIST` has 1000 bytes, but 4 follow: truncated",
    ),
    "no samples": (riff(_FMT, chunk(b"data", b"")), "it has no samples"),
    "a header that was never finished": (
        riff(_FMT, chunk(b"data", bytes(64), size=0)),
        "its header promises no samples, but 64 bytes follow: it was never finished; convert it: ffmpeg",
    ),
    "cut in the samples": (_GOOD[:-10], "its header promises 64 bytes of samples, but 54 follow: truncated"),
    "half a sample": (riff(_FMT, chunk(b"data", bytes(63))), "its 63 bytes of samples are no multiple of 2"),
    "a stream without samples": (riff(_FMT, chunk(b"data", b"\0", size=0xFFFFFFFF))[:-1], "1 bytes follow: it was"),
    "no channels": (riff(chunk(b"fmt ", fmt(channels=0)), _DATA), "expected 1 to 16 channels, found 0"),
    "many channels": (riff(chunk(b"fmt ", fmt(channels=17)), _DATA), "expected 1 to 16 channels, found 17"),
    "no rate": (riff(chunk(b"fmt ", fmt(rate=0)), _DATA), "expected 1000 to 192000 samples a second, found 0"),
    "a rate of megahertz": (riff(chunk(b"fmt ", fmt(rate=2_000_000)), _DATA), "192000 samples a second, found 2000000"),
    "12 bits": (riff(chunk(b"fmt ", fmt(bits=12, frame=2)), _DATA), "found 12-bit integers; convert it"),
    "64-bit floats": (riff(chunk(b"fmt ", fmt(tag=3, bits=64)), _DATA), "found 64-bit floats; convert it: ffmpeg"),
    "mu-law": (riff(chunk(b"fmt ", fmt(tag=7, bits=8)), _DATA), "found mu-law; convert it"),
    "ADPCM": (riff(chunk(b"fmt ", fmt(tag=2, bits=4)), _DATA), "found ADPCM; convert it"),
    "MP3 inside": (riff(chunk(b"fmt ", fmt(tag=0x55, bits=0)), _DATA), "found MP3; convert it"),
    "an unknown format": (riff(chunk(b"fmt ", fmt(tag=0x1234)), _DATA), "found format 0x1234; convert it"),
    "another frame size": (
        riff(chunk(b"fmt ", fmt(frame=3)), _DATA),
        "expected 2 bytes a frame for 1 x 16 bits, found 3",
    ),
    "a short extensible format": (
        riff(chunk(b"fmt ", fmt(extensible=True)[:24]), _DATA),
        "it has an unknown kind of WAVE_FORMAT_EXTENSIBLE; convert it",
    ),
    "a foreign extensible format": (
        riff(chunk(b"fmt ", fmt(extensible=True, tail=bytes(14))), _DATA),
        "it has an unknown kind of WAVE_FORMAT_EXTENSIBLE",
    ),
    "NaN": (
        riff(chunk(b"fmt ", fmt(tag=3, bits=32)), chunk(b"data", np.array([0, np.nan], "<f4").tobytes())),
        "it has NaN or infinite samples",
    ),
    "floats of integers": (
        riff(chunk(b"fmt ", fmt(tag=3, bits=32)), chunk(b"data", np.array([0, 32767], "<f4").tobytes())),
        "expected float samples from -1 to 1, found 32767",
    ),
}
"""By what is wrong: the bytes of a file, and words of the one line about it."""
