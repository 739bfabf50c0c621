"""Bytes -> text. UTF-8 only: a device reads nothing else, so another encoding is named and refused here."""

from __future__ import annotations

from edgetl.files.file_kind import HEAD_BYTES, describe_bytes

_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_POINTERS = ("git-lfs", "git-annex")
_LOOKED_AT = 4096
_HALF_ZEROS = 0.3
"""Share of zeros at even or at odd places from which on bytes are taken as UTF-16 without its mark."""


class NotText(ValueError):
    """Bytes that are no UTF-8 text; the message says what they are and what to do."""


def decode_text(data: bytes) -> str:
    """The text, without the mark that some editors put before it. Raises NotText."""
    found = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if found:
        raise NotText(_save_as(f"it is {found} text", found))
    kind = describe_bytes(data[:HEAD_BYTES])
    if kind.kind in _POINTERS:
        raise NotText(kind.sentence)
    if _is_wide(data[:_LOOKED_AT]):
        raise NotText(_save_as("it looks like UTF-16 text", "UTF-16"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if kind.kind not in ("unknown", "text", "json", "yaml", "xml", "html", "svg"):
            raise NotText(kind.sentence) from error
        raise NotText(_wrong_byte(data, error.start)) from error


def _is_wide(head: bytes) -> bool:
    """Whether every other byte is mostly zero, as for letters of most languages in UTF-16."""
    half = max(len(head) // 2, 1)
    evens, odds = head[0::2].count(0) / half, head[1::2].count(0) / half
    return max(evens, odds) >= _HALF_ZEROS > 2 * min(evens, odds)


def _wrong_byte(data: bytes, place: int) -> str:
    line = data.count(b"\n", 0, place) + 1
    letter = data[place : place + 1].decode("cp1252", errors="ignore")
    guess = f", which is `{letter}` in Windows-1252 (Latin-1)" if letter.isprintable() and letter else ""
    return _save_as(f"not UTF-8: byte 0x{data[place]:02X} in line {line}{guess}", "WINDOWS-1252" if guess else "")


def _save_as(found: str, encoding: str) -> str:
    how = f", for example iconv -f {encoding} -t UTF-8 OLD > NEW" if encoding else ""
    return f"{found}; save it as UTF-8{how}"
