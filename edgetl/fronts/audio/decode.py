"""Sound files -> int16 samples, mono: WAV by our own rules, FLAC and OGG through soundfile where it is installed.

Only the training side reads FLAC and OGG; a device reads WAV.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np

from edgetl.files.file_kind import HEAD_BYTES, FileKind, describe_bytes
from edgetl.fronts.audio.piece import piece_of
from edgetl.fronts.audio.wav import CONVERT, RATES, Sound, UnreadableSound, decode_wav, from_floats, from_int32, mono
from edgetl.fronts.base import read_bytes

SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga")
"""File suffixes, in lower case, that are taken as sounds in a folder."""

_INTEGERS = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}
_FLOATS = ("VORBIS", "OPUS")
_MOST_CHANNELS = 16


def decode(path: Path) -> Sound:
    """The samples of a sound file, whatever its name, or of a part of one (`Piece`). Raises UnreadableSound."""
    piece = piece_of(path)
    if piece is None:
        return decode_bytes(read_bytes(path, UnreadableSound), str(path))
    try:
        stat = piece.recording.stat()
    except OSError as error:
        raise UnreadableSound(str(path), f"{piece.recording.name}: {error.strerror}") from error
    return piece.of(_recording(piece.recording, stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=2)
def _recording(path: Path, _written_ns: int, _size: int) -> Sound:
    """A long recording, whose parts are often read one after the other."""
    return decode_bytes(read_bytes(path, UnreadableSound), str(path))


def decode_bytes(data: bytes, where: str) -> Sound:
    """The same of its bytes; `where` starts the error line. Raises UnreadableSound.

    Integers of FLAC, widened to 32 bits, and floats of OGG become int16 by the rules of `edgetl.fronts.audio.wav`.
    """
    kind = describe_bytes(data[:HEAD_BYTES])
    if kind.kind == "wav":
        return decode_wav(data, where)
    if kind.kind in ("flac", "ogg"):
        return _by_soundfile(data, where, kind)
    if kind.kind == "empty":
        raise UnreadableSound(where, "the file is empty", kind)
    raise UnreadableSound(where, _why_no_sound(kind), FileKind(kind.kind, kind.name, kind.advice or CONVERT))


def _why_no_sound(kind: FileKind) -> str:
    if kind.kind == "sound":
        return f"it is {kind.name}, which is not supported; {CONVERT}"
    if kind.kind == "unknown":
        return f"its content is not WAV, FLAC or OGG; {CONVERT}"
    return f"it is {kind.name}, not a sound" + (f"; {kind.advice}" if kind.advice else "")


def _by_soundfile(data: bytes, where: str, kind: FileKind) -> Sound:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package without its library
        install = "install its reader, pip install 'edgetl[audio]', or " + CONVERT
        raise UnreadableSound(
            where, f"it is {kind.name}; {install}", FileKind(kind.kind, kind.name, install)
        ) from error
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            floats, rate = file.subtype in _FLOATS, int(file.samplerate)
            if not floats and file.subtype not in _INTEGERS:
                raise UnreadableSound(where, f"it is {kind.name} of the kind {file.subtype}; {CONVERT}")
            if not (RATES[0] <= rate <= RATES[1] and file.channels <= _MOST_CHANNELS):
                raise UnreadableSound(where, f"{file.channels} channels at {rate} Hz are not supported; {CONVERT}")
            frames = file.read(dtype="float32" if floats else "int32", always_2d=True)
            bits = 32 if floats else _INTEGERS[file.subtype]
    except soundfile.SoundFileError as error:
        raise UnreadableSound(where, f"it begins like {kind.name}, but is damaged", kind) from error
    if not len(frames):
        raise UnreadableSound(where, "it has no samples", kind)
    values = from_floats(np.asarray(frames, np.float32), where) if floats else from_int32(frames)
    return Sound(mono(values), rate, frames.shape[1], bits, floats)
