"""Identifies a file by its leading bytes: one table for every message that refuses a file.

Wrong names are far more frequent than damage: a Git LFS pointer named `0.jpg`, a web page named `weights.pth`, a
phone's HEIC named `.jpg`. `describe` never reads more than 4 KiB and opens only regular files, so a named pipe cannot
make it wait.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 4096
"""Bytes of a file that `describe` reads."""

ONNX_REFUSAL = (
    "a trained ONNX model has a command of its own: edgetl import MODEL --data FOLDER --target NAME; "
    "`backbone.name` is for timm and torchvision networks, which are adapted to your images"
)
"""The message for a user's own ONNX model."""

_YAML_LINE = re.compile(r"\s*(- .*|\w+:( .*)?)")
_PAGE = "a server or a login page answered instead of the file; download it again"
_PICTURE = "convert it to JPEG or PNG"
_UNPACK = "unpack it first"


@dataclass(frozen=True)
class FileKind:
    """The kind of a file.

    kind    a short word for programs: "git-lfs", "html", "jpeg", "zip", "text", "empty", "unknown", ...
    name    for a sentence, with its article: "a Git LFS pointer"
    advice  what to do if another kind was expected; "" if that depends on the expected kind
    """

    kind: str
    name: str
    advice: str = ""

    @property
    def sentence(self) -> str:
        """`it is a Git LFS pointer; run git lfs pull`; "" if the kind is unknown."""
        if self.kind == "unknown":
            return ""
        return f"it is {self.name}" + (f"; {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class _Row:
    fits: Callable[[bytes], bool]
    kind: FileKind


def describe(path: Path) -> FileKind:
    """The kind of the file at `path`. Follows links; names a folder, a pipe or a device without opening it.

    Raises OSError if there is nothing or it may not be read.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        return _not_regular(mode)
    with path.open("rb") as stream:
        return describe_bytes(stream.read(HEAD_BYTES))


def describe_bytes(head: bytes) -> FileKind:
    """The kind of a file that begins with `head` (4 KiB are enough)."""
    head = head[:HEAD_BYTES]
    return next((row.kind for row in _TABLE if row.fits(head)), _text_or_unknown(head))


def _not_regular(mode: int) -> FileKind:
    if stat.S_ISDIR(mode):
        return FileKind("folder", "a folder")
    if stat.S_ISFIFO(mode):
        return FileKind("pipe", "a named pipe", "name a file")
    if stat.S_ISSOCK(mode):
        return FileKind("socket", "a socket", "name a file")
    return FileKind("device", "a device", "name a file")


def _begins(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(beginnings)


def _at(place: int, *words: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[place:].startswith(words)


def _riff(word: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(b"RIFF") and head[8:12] == word


def _brand(*brands: bytes) -> Callable[[bytes], bool]:
    """ISO base media (ISO/IEC 14496-12, 4.3): the major brand, or one of the compatible ones, is one of these."""

    def fits(head: bytes) -> bool:
        size = min(int.from_bytes(head[:4], "big"), 256)
        listed = {head[place : place + 4] for place in (8, *range(16, size, 4))}
        return head[4:8] == b"ftyp" and bool(listed & set(brands))

    return fits


def _member(*endings: bytes) -> Callable[[bytes], bool]:
    """A zip archive whose first member has a name with one of these endings (APPNOTE 4.3.7: the name is at 30)."""

    def fits(head: bytes) -> bool:
        name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return head.startswith(b"PK\x03\x04") and name.endswith(endings)

    return fits


def _is_safetensors(head: bytes) -> bool:
    # 8 bytes of length, then a JSON object
    return len(head) > 9 and int.from_bytes(head[:8], "little") < 1 << 28 and head[8:].startswith((b'{"', b"{}", b"{ "))


def _is_onnx(head: bytes) -> bool:
    # a protobuf: field 1 (ir_version, a small number), then one of ModelProto's other fields; no magic number
    return len(head) > 3 and head[0] == 0x08 and 0 < head[1] < 32 and head[2] in (0x12, 0x1A, 0x22, 0x28, 0x3A, 0x42)


def _is_mp3(head: bytes) -> bool:
    # ID3 tags, or a frame of MPEG 1 or 2, layer III (ISO/IEC 11172-3, 2.4.1.3)
    return head.startswith((b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2"))


def _is_html(head: bytes) -> bool:
    start = head[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or (
        start.startswith((b"<!--", b"<?xml")) and b"<html" in start
    )


def _is_svg(head: bytes) -> bool:
    return head.lstrip().startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in head


_TABLE: tuple[_Row, ...] = tuple(
    _Row(fits, FileKind(kind, name, advice))
    for kind, name, advice, fits in (
        ("empty", "an empty file", "copy or download it again", lambda head: not head),
        ("git-lfs", "a Git LFS pointer", "run git lfs pull", _begins(b"version https://git-lfs.github.com/spec/")),
        ("git-annex", "a git-annex pointer", "run git annex get", _begins(b"/annex/objects/")),
        ("jpeg", "a JPEG", "", _begins(b"\xff\xd8\xff")),
        ("png", "a PNG", "", _begins(b"\x89PNG\r\n\x1a\n")),
        ("gif", "a GIF", "", _begins(b"GIF87a", b"GIF89a")),
        ("tiff", "a TIFF", "", _begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
        ("webp", "a WebP", "", _riff(b"WEBP")),
        ("bmp", "a BMP", "", lambda head: head.startswith(b"BM") and head[6:10] == bytes(4)),
        ("jpeg2000", "a JPEG 2000", "", _begins(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
        ("pnm", "a PNM", "", lambda head: head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()),
        ("jpeg-xl", "a JPEG XL image", _PICTURE, _begins(b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a")),
        ("avif", "an AVIF image", _PICTURE, _brand(b"avif", b"avis")),
        ("heic", "a HEIC image", _PICTURE, _brand(b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")),
        ("raw", "a camera's raw image", _PICTURE, _brand(b"crx ")),
        ("raw", "a camera's raw image", _PICTURE, _begins(b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0")),
        ("psd", "a Photoshop document", _PICTURE, _begins(b"8BPS")),
        ("icon", "an icon", _PICTURE, _begins(b"\0\0\x01\0")),
        ("exr", "an OpenEXR image", _PICTURE, _begins(b"\x76\x2f\x31\x01")),
        ("hdr", "a Radiance HDR image", _PICTURE, _begins(b"#?RADIANCE", b"#?RGBE")),
        ("dicom", "a DICOM file", "export its pictures as PNG", _at(128, b"DICM")),
        ("fits", "a FITS file", "export its pictures as PNG", _begins(b"SIMPLE  =")),
        ("sound", "an M4A recording", "", _brand(b"M4A ", b"M4B ")),
        ("video", "a video", "save single frames as JPEG or PNG", _at(4, b"ftyp", b"moov", b"mdat", b"wide")),
        ("video", "a video", "save single frames as JPEG or PNG", _riff(b"AVI ")),
        (
            *("video", "a video", "save single frames as JPEG or PNG"),
            _begins(b"\x1aE\xdf\xa3", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"FLV\x01", b"\x30\x26\xb2\x75\x8e\x66"),
        ),
        ("wav", "a WAV recording", "", _riff(b"WAVE")),
        ("flac", "a FLAC recording", "", _begins(b"fLaC")),
        ("ogg", "an OGG recording", "", _begins(b"OggS")),
        ("sound", "an AAC recording", "", _begins(b"\xff\xf1", b"\xff\xf9")),
        ("sound", "an MP3 recording", "", _is_mp3),
        ("sound", "an AIFF recording", "", lambda head: head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")),
        ("sound", "a 64-bit WAV recording", "", _begins(b"RF64", b"BW64", b"riff\x2e\x91\xcf\x11")),
        ("sound", "a big-endian WAV recording", "", _begins(b"RIFX")),
        ("sound", "a Sun AU recording", "", _begins(b".snd")),
        ("sound", "a CAF recording", "", _begins(b"caff")),
        ("sound", "an AMR recording", "", _begins(b"#!AMR")),
        ("sound", "a NIST SPHERE recording", "", _begins(b"NIST_1A\n")),
        ("sound", "a MIDI file", "", _begins(b"MThd")),
        ("pdf", "a PDF document", "", _begins(b"%PDF")),
        ("postscript", "a PostScript document", "", _begins(b"%!PS")),
        ("hdf5", "an HDF5 file (Keras, MATLAB)", "", _begins(b"\x89HDF\r\n\x1a\n")),
        ("tflite", "a TensorFlow Lite model", "", _at(4, b"TFL3")),
        ("numpy", "a NumPy array", "", _begins(b"\x93NUMPY")),
        ("torch", "a PyTorch checkpoint", "", _member(b"/data.pkl", b"/version", b"/byteorder", b"/.format_version")),
        ("numpy", "a NumPy archive (.npz)", "", _member(b".npy")),
        ("keras", "a Keras model", "", _member(b".weights.h5")),
        ("office", "a spreadsheet or text document", "", _member(b"[Content_Types].xml", b"mimetype")),
        ("zip", "a zip archive", _UNPACK, _begins(b"PK\x03\x04", b"PK\x05\x06")),
        ("gzip", "a gzip archive", _UNPACK, _begins(b"\x1f\x8b")),
        (
            *("archive", "a packed archive", _UNPACK),
            _begins(b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!"),
        ),
        ("tar", "a tar archive", _UNPACK, _at(257, b"ustar")),
        ("torch", "an old PyTorch checkpoint", "", _begins(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")),
        ("pickle", "a Python pickle", "", lambda head: head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"),
        ("program", "a program or library", "", _begins(b"\x7fELF", b"MZ\x90")),
        ("sqlite", "an SQLite database", "", _begins(b"SQLite format 3\0")),
        ("safetensors", "a safetensors file", "", _is_safetensors),
        ("onnx", "an ONNX model", "", _is_onnx),
        ("zeros", "a file of zero bytes only", "copy or download it again", lambda head: not head.strip(b"\0")),
        ("utf-16", "UTF-16 text", "save it as UTF-8", _begins(b"\xff\xfe", b"\xfe\xff")),
        ("html", "a web page", _PAGE, _is_html),
        ("svg", "an SVG drawing", _PICTURE, _is_svg),
    )
)


def _text_or_unknown(head: bytes) -> FileKind:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < HEAD_BYTES:  # otherwise only cut inside a character
            return FileKind("unknown", "of an unknown kind")
        text = head[: error.start].decode("utf-8-sig")
    if any(ord(character) < 32 and character not in "\t\n\v\f\r\x1b" for character in text):
        return FileKind("unknown", "of an unknown kind")
    start = text.lstrip()
    if start.startswith(("{", "[")):
        return FileKind("json", "JSON text")
    if start.startswith("<"):
        return FileKind("xml", "an XML document")
    lines = [line.rstrip() for line in start.splitlines()[:4] if line.strip() and not line.startswith("#")]
    if lines and (lines[0] == "---" or (len(lines) > 1 and all(map(_YAML_LINE.fullmatch, lines)))):
        return FileKind("yaml", "YAML text")
    return FileKind("text", "plain text")
