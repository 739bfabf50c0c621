"""Makes users' text safe for one line of a terminal, a label file or JSON."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from reprlib import Repr

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_QUOTED_CHARACTERS = 80


def printable(text: str) -> str:
    """The text with `?` for control characters, line separators, and bytes of a file name that are not UTF-8.

    Names reach label files, JSON and terminals; a name that this function changes is not used.
    """
    return _UNPRINTABLE.sub("?", text)


def escaped(text: str) -> str:
    r"""The text with every character that `printable` would replace escaped as in Python: `\n`, `\x1b`, `\u2028`; bytes
    of a file name that are not UTF-8 as `\xff`.

    For lines that people and scripts read: a file name, a label of a bundle or a word of a list can neither end the
    line nor control the terminal, and different names stay different. All code that prints untrusted text uses this or
    `printable`.
    """
    return _UNPRINTABLE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: how Python keeps a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def shortened(text: str, most: int) -> str:
    """At most `most` characters on one line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 3]}..."


def quoted(value: object) -> str:
    """The beginning of a value in Python's notation: at most 80 characters, whatever its content and depth."""
    short = Repr()
    short.maxlevel = 2
    short.maxstring = short.maxother = _QUOTED_CHARACTERS
    try:
        return shortened(short.repr(value), _QUOTED_CHARACTERS)
    except ValueError:  # Python refuses to print integers of more than 4300 digits
        return f"a very long {type(value).__name__}"


def one_line(text: str) -> str:
    """A sentence without line breaks and without its final period, to be continued."""
    return " ".join(text.split()).rstrip(".")


def decimal(value: float, places: int) -> str:
    """A number with a minus sign, not a hyphen, and never a negative zero: `−0.06`, `0.00`."""
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def nearest(word: str, valid: Iterable[str]) -> str:
    """`did you mean X?` if something is close, else the list of valid names."""
    names = sorted(valid)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"valid are: {', '.join(names)}"


def duration(seconds: float) -> str:
    """`50 s`, `4 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
