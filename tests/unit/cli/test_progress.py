"""Progress goes to stderr, for people; where nobody looks there are lines, no bars."""

from __future__ import annotations

import pytest

from edgetl.cli.progress import Terminal
from edgetl.types import Silent


def test_silence_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Silent()
    with progress.task("work", 3) as advance:
        advance()
        advance(2, "nearly")
    progress.note("done")
    assert capfd.readouterr() == ("", "")


def test_off_a_terminal_notes_are_whole_lines_on_stderr_and_bars_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Terminal()
    with progress.task("work", 3) as advance:
        advance()
    note = "compile [x86-cpu] " + "a long line " * 20
    progress.note(note)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == note + "\n"


def test_on_a_terminal_a_bar_shows_the_steps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    progress = Terminal()
    with progress.task("training", 4) as advance:
        advance(3, "loss 0.1")
    out, err = capsys.readouterr()
    assert out == ""
    assert "training" in err
