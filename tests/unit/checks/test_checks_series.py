"""Checks of windows find overlaps between the sides, dead channels, other units and windows that are cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cli_calls import Shell
from numpy.typing import NDArray
from windows import wave

Sides = tuple[NDArray[np.float32], NDArray[np.float32]]


def sides(count: int = 12, steps: int = 40, channels: int = 3) -> Sides:
    train, val = (np.stack([wave(steps, channels, first + number) for number in range(count)]) for first in (0, 1000))
    return train, val


def checked(shell: Shell, folder: Path, found: Sides, *more: str) -> str:
    labels = np.arange(len(found[0])) % 2
    np.savez(folder / "s.npz", train_x=found[0], val_x=found[1], train_y=labels, val_y=labels)
    (folder / "r.yaml").write_text(
        "name: r\nfront: series\ndata: {train: s.npz, val: s.npz, shots: all}\n"
        "check: {features: false}\nbackbone: {name: minirocket}\ntargets: [x86-avx2]\n"
    )
    done = shell("check", folder / "r.yaml", *more)
    assert done.code in (0, 1), done.err
    return done.out


def line_of(out: str, check: str) -> Sequence[str]:
    return next(line.split(maxsplit=2) for line in out.splitlines() if line.split()[1:2] == [check])


def test_windows_of_other_recordings_pass(tmp_path: Path, shell: Shell) -> None:
    out = checked(shell, tmp_path, sides())
    assert line_of(out, "copies")[0] == "pass"
    assert line_of(out, "channels") == [
        "pass", "channels", "3 channels are alive and alike in training and validation"
    ]  # fmt: skip
    assert line_of(out, "window")[0] == "pass"


def test_windows_that_overlap_across_the_sides_are_refused(tmp_path: Path, shell: Shell) -> None:
    train, val = sides()
    recording = wave(60, 3, 77)
    train[3], val[5] = recording[:40], recording[20:]
    out = checked(shell, tmp_path, (train, val))
    verdict, _, sentence = line_of(out, "copies")
    assert verdict == "refuse"
    assert "1 validation window also among the training windows" in sentence
    assert "time steps of the same recording: windows that overlap" in out


def test_signals_at_rest_are_no_overlap(tmp_path: Path, shell: Shell) -> None:
    train, val = sides()
    train[:, :, :2] = val[:, :, :2] = 0
    train[:, :20, 2] = val[:, 20:, 2] = 0
    assert line_of(checked(shell, tmp_path, (train, val)), "copies")[0] == "pass"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("dead", "channel 2 is constant in 50% of the windows"),
        ("unit", "the values of channel 2 vary 9.65 times as large"),
        ("offset", "channel 2 is +"),
    ],
)
def test_channels_that_are_dead_or_in_other_units_are_named(
    tmp_path: Path, shell: Shell, change: str, sentence: str
) -> None:
    train, val = sides()
    if change == "dead":
        train[:, :, 1] = 4.5
    elif change == "unit":
        val[:, :, 1] *= 9.81
    else:
        val[:, :, 1] += 20
    verdict, _, found = line_of(checked(shell, tmp_path, (train, val)), "channels")
    assert verdict == "warn"
    assert sentence in found


def test_windows_that_lose_their_end_are_named(tmp_path: Path, shell: Shell) -> None:
    out = checked(shell, tmp_path, sides(), "--set", "series.steps=20")
    verdict, _, sentence = line_of(out, "window")
    assert verdict == "warn"
    assert "the network sees only 20 steps: 24 longer and 0 shorter of 24 windows; 50.0% of all time steps" in sentence


def test_people_on_both_sides_are_refused_and_named(tmp_path: Path, shell: Shell) -> None:
    train, val = sides()
    labels, people = np.arange(12) % 2, np.array([f"p{number // 2}" for number in range(12)])
    others = np.array(["p3", *(f"q{number}" for number in range(11))])
    np.savez(
        tmp_path / "s.npz",
        train_x=train,
        val_x=val,
        train_y=labels,
        val_y=labels,
        train_subject=people,
        val_subject=others,
    )
    (tmp_path / "r.yaml").write_text(
        "name: r\nfront: series\ndata: {train: s.npz, val: s.npz, shots: all, group_by: subject}\n"
        "check: {features: false}\nbackbone: {name: minirocket}\ntargets: [x86-avx2]\n"
    )
    done = shell("check", tmp_path / "r.yaml")
    assert done.code == 1
    verdict, _, sentence = line_of(done.out, "groups")
    assert verdict == "refuse"
    assert "1 group in both training and validation (`p3`)" in sentence
