"""Text of users cannot leave its line."""

from __future__ import annotations

from edgetl.files.text import escaped, printable


def test_escaped_text_stays_on_its_line_and_tells_what_stood_there() -> None:
    assert escaped("a\nb\r\tc") == r"a\nb\r\tc"
    assert escaped("\x1b]0;owned\x07") == r"\x1b]0;owned\x07"
    assert escaped("\x85\u2028") == r"\x85\u2028"
    assert escaped(b"caf\xe9.png".decode("utf-8", "surrogateescape")) == r"caf\xe9.png"
    assert escaped("Fissuré 傷.png") == "Fissuré 傷.png"


def test_two_names_that_printable_makes_equal_stay_two_once_escaped() -> None:
    assert printable("a\nb") == printable("a\tb")
    assert escaped("a\nb") != escaped("a\tb")
