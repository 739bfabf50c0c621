"""Text of users, made fit for one line of a terminal, a label file or JSON."""

from __future__ import annotations

import re
from reprlib import Repr

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_QUOTED_CHARACTERS = 80


def printable(text: str) -> str:
    """The text with `?` for control characters, line separators, and bytes of a file name that are not UTF-8.

    Names reach label files, JSON and terminals; one that this changes is not used.
    """
    return _UNPRINTABLE.sub("?", text)


def shortened(text: str, most: int) -> str:
    """At most `most` characters on one line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 3]}..."


def quoted(value: object) -> str:
    """A value as Python writes it, by its beginning: 80 characters at most, whatever it holds and however deep."""
    short = Repr()
    short.maxlevel = 2
    short.maxstring = short.maxother = _QUOTED_CHARACTERS
    try:
        return shortened(short.repr(value), _QUOTED_CHARACTERS)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return f"a very long {type(value).__name__}"
