"""What the page shows of clips: a picture of their mel spectrum, a player, and how long they are."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sounds import tone, write_wav

from edgetl.checks.model import Checks, Finding, Picture, Suspect
from edgetl.fronts.audio.decode import decode_bytes
from edgetl.report.clips import ClipLooks, mel_picture
from edgetl.report.suspects import show_findings


def heard(player: str) -> NDArray[np.int16]:
    head, _, body = player.partition(",")
    assert head == "data:audio/wav;base64"
    return decode_bytes(base64.b64decode(body), "player").samples


def lightness(samples: NDArray[np.int16], rate: int = 16000) -> NDArray[np.float64]:
    """(64, columns), 0 to 1; the first row is the top one."""
    picture = Image.open(io.BytesIO(mel_picture(samples, rate))).convert("RGB")
    return np.asarray(picture, np.float64) @ [0.2126, 0.7152, 0.0722] / 255


def test_a_player_plays_the_clip_itself(tmp_path: Path) -> None:
    clip = write_wav(tmp_path / "a.wav", tone(440, 0.5))
    look = ClipLooks()(clip)
    assert np.array_equal(heard(look.player), tone(440, 0.5))
    assert look.length == "0.5 s"
    assert look.source.startswith("data:image/png;base64,")


def test_of_a_long_clip_the_middle_is_shown(tmp_path: Path) -> None:
    samples = np.concatenate([tone(300, 3), tone(1000, 4), tone(300, 3)])
    look = ClipLooks()(write_wav(tmp_path / "a.wav", samples))
    assert np.array_equal(heard(look.player), tone(1000, 4))
    assert look.length == "the middle 4 s of 10.0 s"


def test_a_clip_of_a_high_rate_is_played_at_a_lower_one(tmp_path: Path) -> None:
    look = ClipLooks()(write_wav(tmp_path / "a.wav", tone(440, 0.5, 48000), 48000))
    assert len(heard(look.player)) == 8000
    assert np.abs(heard(look.player)[100:-100] - tone(440, 0.5)[100:-100].astype(int)).max() < 300


def test_a_page_has_room_for_some_players_and_counts_the_others(tmp_path: Path) -> None:
    clips = [write_wav(tmp_path / f"{index}.wav", tone(440, 0.5)) for index in range(4)]
    size = len(ClipLooks()(clips[0]).player)
    looks = ClipLooks(most_bytes=2 * size)
    shown = [looks(clip) for clip in clips]
    assert [bool(each.player) for each in shown] == [True, True, False, False]
    assert all(each.source for each in shown)
    assert looks.silent == 2


def test_a_clip_that_is_gone_shows_nothing(tmp_path: Path) -> None:
    look = ClipLooks()(tmp_path / "absent.wav")
    assert (look.source, look.player) == ("", "")


@pytest.mark.parametrize("rate", [1000, 8000, 16000])
def test_a_picture_of_a_tone_is_a_line_that_is_higher_for_a_higher_tone(rate: int) -> None:
    low, high = (int(lightness(tone(rate * share, 1, rate), rate).mean(1).argmax()) for share in (0.05, 0.35))
    assert 0 <= high < low - 15 < 64


def test_silence_is_dark_and_a_short_clip_has_a_picture() -> None:
    assert lightness(np.zeros(16000, np.int16)).max() < 0.05
    assert lightness(tone(440, 0.01)).shape == (64, 1)


def test_colors_become_lighter_with_every_decibel() -> None:
    from edgetl.report.clips import _palette

    gray = _palette().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(np.convolve(gray, np.ones(8) / 8, "valid")) > 0).all()
    assert gray[0] < 15
    assert gray[-1] > 230


def test_suspects_of_a_check_can_be_heard(tmp_path: Path) -> None:
    clip = write_wav(tmp_path / "a.wav", tone(440, 0.5))
    picture = Picture(path=str(clip), label="yes", side="train")
    finding = Finding(
        check="drift",
        verdict="warn",
        sentence="a copy",
        found=1,
        suspects=(Suspect(pictures=(picture, picture), sentence="the same"),),
    )
    (shown,) = show_findings(
        Checks(findings=(finding,), shots=1, val=1), allow_leak=False, look=ClipLooks(), noun="clip"
    )
    assert [len(heard(each.look.player)) for each in shown.suspects[0].pictures] == [8000, 8000]
    assert shown.suspects[0].pictures[0].caption == "train yes"
    assert shown.title == "Training against validation clips"
