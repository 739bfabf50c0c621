"""edgetl listen: what a bundle spots in a recording, counted against what was said when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_calls import Shell
from numpy.typing import NDArray
from sounds import tone, write_wav
from tiny_sounds import HZ, LABELS, RATE, make_sound_pivot, write_tones

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import BackendError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    (made,) = compile_targets(make_sound_pivot(folder / "tones"), ["x86-cpu"], folder / "made")
    try:
        with open_bundle(read_bundle(made), threads=1):
            return made
    except BackendError as error:
        pytest.skip(str(error))


def recording(folder: Path) -> Path:
    """36 s: a low tone at 4 s, a middle one at 12 s, a high one at 20 s and at 30 s, each 1 s long, and silence."""
    samples = np.zeros(36 * RATE, np.int16)
    for second, hz in ((4, HZ[0]), (12, HZ[1]), (20, HZ[2]), (30, HZ[2])):
        samples[second * RATE : (second + 1) * RATE] = tone(hz, 1, RATE)
    return write_wav(folder / "long.wav", samples, RATE)


def events(folder: Path, *rows: str) -> Path:
    path = folder / "events.csv"
    path.write_text("begin_s,end_s,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_detections_are_printed_with_their_times(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    done = shell("listen", bundle, recording(tmp_path), "--quiet", "--threshold", "0.9", "--refractory", "2")
    lines = done.out.splitlines()
    assert [line.split()[4] for line in lines] == ["low", "middle", "high", "high"]
    assert [round(float(line.split()[0])) for line in lines] == [4, 12, 20, 30]


def test_misses_and_false_accepts_are_counted_against_events(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    said = events(tmp_path, "4,5,low", "12,13,middle", "20,21,high", "25,26,middle")
    common = ("listen", bundle, recording(tmp_path), "--events", said, "--threshold", "0.9", "--refractory", "2", "-q")
    found = shell(*common, "--json").json()
    whole = found["all"]
    assert (whole["events"], whole["found"], whole["false"], whole["repeated"]) == (4, 3, 1, 0)
    assert whole["missed"]["value"] == 0.25
    assert whole["false_per_hour"]["value"] == pytest.approx(100)
    assert whole["false_per_hour"]["high"] == pytest.approx(5.5716 * 100, rel=1e-3)  # Garwood's limit of one event
    assert [each["label"] for each in found["false_accepts"]] == ["high"]
    assert found["classes"]["middle"]["missed"]["value"] == 0.5
    lines = shell(*common, "--off", "high").out.splitlines()
    assert lines[4].split()[:3] == ["high", "off", "1"]
    assert lines[5].split()[:4] == ["all", "4", "50.0", "(15.0–85.0)"]


def test_thresholds_are_chosen_on_clips(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    clips = write_tones(tmp_path / "clips")
    found = shell("listen", bundle, recording(tmp_path), "--clips", clips, "--json", "-q").json()
    assert set(found["thresholds"]) == set(LABELS)
    assert all(0.5 <= value <= 1 for value in found["thresholds"].values())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("4,5,loud", ["line 2", "no label `loud`"]),
        ("5,4,low", ["line 2", "0 <= begin_s <= end_s <= 36.00"]),
        ("a,4,low", ["line 2", "expected seconds"]),
        ("30,40,low", ["line 2", "found 30 and 40"]),
    ],
)
def test_events_that_cannot_be_are_refused(
    shell: Shell, bundle: Path, tmp_path: Path, row: str, words: list[str]
) -> None:
    shell.refuses(1, words, "listen", bundle, recording(tmp_path), "--events", events(tmp_path, row), "-q")


def test_a_recording_shorter_than_a_window_is_refused(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    short: NDArray[np.int16] = tone(300, 0.2, RATE)
    shell.refuses(
        1, ["at least one window of 0.50 s"], "listen", bundle, write_wav(tmp_path / "a.wav", short, RATE), "-q"
    )
