"""Calibration is kept, continues after a kill to the same bits, and holds one batch at a time."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_calibration
from calibrating import calibrate
from hypothesis import given
from hypothesis import strategies as st
from tiny_calibration import (
    IMAGES,
    PROFILE,
    P,
    calibrate_tiny,
    calibration_images,
    pictures,
    prepared_tiny,
    tiny,
)

from edgetl.backbones import pixels
from edgetl.errors import DataError
from edgetl.files.durable import damaged
from edgetl.fronts.batches import load_batch
from edgetl.fronts.image.normalize import normalize
from edgetl.quant import calibration
from edgetl.quant.fakequant import quantizers
from edgetl.quant.observe import observe, take_ranges
from edgetl.quant.observed import Observed, read_observed
from edgetl.quant.prepare import fix_ranges
from edgetl.types import CalibrationProfile, Sample, Silent

BATCHES = -(-IMAGES // calibration.BATCH)


class Notes(Silent):
    """Keeps what is told to the user."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, ...]:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def in_one_go(samples: tuple[Sample, ...]) -> Observed:
    return calibrate_tiny(samples, None)


def _equal(found: Observed, expected: Observed) -> None:
    assert found.places == expected.places
    assert (found.batches, found.total) == (expected.batches, expected.total)
    assert found.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, strict=True)


def _decoded(monkeypatch: pytest.MonkeyPatch, *, fail_at: int = 0) -> list[int]:
    """Counts decoded batches; the one numbered `fail_at` raises."""
    seen: list[int] = []

    def load(samples: Any, p: Any) -> Any:
        seen.append(len(samples))
        if len(seen) == fail_at:
            raise RuntimeError("stopped here")
        return load_batch(samples, p)

    monkeypatch.setattr(calibration, "load_batch", load)
    return seen


def _killed(samples: tuple[Sample, ...], cache: Path, at: int) -> None:
    command = [sys.executable, tiny_calibration.__file__, str(Path(samples[0].path).parent), str(cache), str(at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_calibration_that_was_killed_continues_to_the_same_bits(
    samples: tuple[Sample, ...], in_one_go: Observed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _killed(samples, tmp_path, at=5)
    (kept,) = tmp_path.glob("*.safetensors")
    assert read_observed(kept).batches == 4
    seen, notes = _decoded(monkeypatch), Notes()
    found = calibrate_tiny(samples, tmp_path, notes)
    assert len(seen) == BATCHES - 4
    assert notes.lines == [f"calibration continues after batch 4 of {BATCHES}"]
    _equal(found, in_one_go)
    _equal(read_observed(kept), in_one_go)


@pytest.mark.parametrize(("batch", "kept"), [(1, 0), (2, 0), (3, 2), (BATCHES, 6)])
def test_a_calibration_that_failed_continues_to_the_same_bits(
    samples: tuple[Sample, ...],
    in_one_go: Observed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    kept: int,
) -> None:
    with monkeypatch.context() as patch:
        _decoded(patch, fail_at=batch)
        with pytest.raises(RuntimeError, match="stopped here"):
            calibrate_tiny(samples, tmp_path)
    seen = _decoded(monkeypatch)
    _equal(calibrate_tiny(samples, tmp_path), in_one_go)
    assert len(seen) == BATCHES - kept  # a checkpoint after every 64 views: two batches of 3 * 16


@pytest.mark.parametrize("observer", ["min-max", "percentile", "mse"])
def test_every_observer_continues_to_the_same_bits(
    samples: tuple[Sample, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, observer: Any
) -> None:
    profile = CalibrationProfile("p", "", 40, observer, views=1)
    expected = calibrate_tiny(samples, None, profile=profile)
    with monkeypatch.context() as patch:
        _decoded(patch, fail_at=3)
        with pytest.raises(RuntimeError):
            calibrate_tiny(samples, tmp_path, profile=profile)
    _equal(calibrate_tiny(samples, tmp_path, profile=profile), expected)


def test_a_finished_calibration_decodes_nothing_again(
    samples: tuple[Sample, ...], in_one_go: Observed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate_tiny(samples, tmp_path)
    seen, notes = _decoded(monkeypatch), Notes()
    _equal(calibrate_tiny(samples, tmp_path, notes), in_one_go)
    assert seen == []
    assert notes.lines == []


def test_the_files_bytes_do_not_tell_of_interruptions(
    samples: tuple[Sample, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate_tiny(samples, tmp_path / "whole")
    with monkeypatch.context() as patch:
        _decoded(patch, fail_at=6)
        with pytest.raises(RuntimeError):
            calibrate_tiny(samples, tmp_path / "parts")
    calibrate_tiny(samples, tmp_path / "parts")
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "parts")]
    assert files[0] == files[1]
    assert len(files[0]) == 2


def test_a_damaged_file_is_named_and_made_again(
    samples: tuple[Sample, ...], in_one_go: Observed, tmp_path: Path
) -> None:
    calibrate_tiny(samples, tmp_path)
    (kept,) = tmp_path.glob("*.safetensors")
    data = bytearray(kept.read_bytes())
    data[-100] ^= 1
    kept.write_bytes(data)
    notes = Notes()
    _equal(calibrate_tiny(samples, tmp_path, notes), in_one_go)
    assert notes.lines == [damaged(kept)]
    _equal(read_observed(kept), in_one_go)


def test_no_more_than_one_batch_is_alive(samples: tuple[Sample, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Any]] = []
    most = [0]
    gc.freeze()  # what is there already is looked through once, not at each batch

    def count(array: Any) -> Any:
        gc.collect()
        made.append(weakref.ref(array))
        most.append(sum(each() is not None for each in made))
        return array

    # both forms of a batch: its bytes and its normalized numbers
    monkeypatch.setattr(calibration, "load_batch", lambda *a: count(load_batch(*a)))
    monkeypatch.setattr(pixels, "normalize_as_exported", lambda *a: count(normalize(*a)))
    calibrate_tiny(samples, None)
    gc.unfreeze()
    assert len(most) == 1 + 2 * BATCHES
    assert max(most) == 2


def test_taken_ranges_round_as_observed_ones_do(samples: tuple[Sample, ...], in_one_go: Observed) -> None:
    images = calibration_images(samples)
    observed, taken = prepared_tiny(), prepared_tiny()
    calibrate(observed, (batch for number in range(len(images)) for batch in images.views(number)), P)
    take_ranges(taken, in_one_go, Path("given"))
    fix_ranges(taken, P)
    parameters = [
        [(float(part.scale.sum()), float(part.zero_point.sum())) for part in quantizers(network)]
        for network in (observed, taken)
    ]
    assert parameters[0] == parameters[1]


def test_ranges_of_another_observer_are_refused_by_name(samples: tuple[Sample, ...], in_one_go: Observed) -> None:
    plain = prepared_tiny(CalibrationProfile("default", "", 8, "min-max"))
    with pytest.raises(DataError, match=r"given: observed ranges of another kind: expected extremes"):
        take_ranges(plain, in_one_go, Path("given"))


def test_the_images_are_those_of_the_draw_in_whole_batches(samples: tuple[Sample, ...]) -> None:
    images = calibration_images(samples, CalibrationProfile("p", "", 20, "min-max", views=1, seed=3))
    assert len(images) == 2
    assert len(set(images.samples)) == 20
    assert [images.size(number) for number in (0, 1)] == [32, 8]
    assert [tuple(view.shape) for view in images.views(1)] == [(4, 3, 16, 16)] * 2
    assert images.samples != calibration_images(samples).samples[:20]


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=60),
    st.integers(1, 70),
    st.integers(0, 3),
)
def test_every_class_is_shown_before_one_is_shown_again(labels: list[int], count: int, seed: int) -> None:
    samples = tuple(Sample(f"{index}.png", label, f"{index:064x}") for index, label in enumerate(labels))
    drawn = calibration_images(samples, CalibrationProfile("p", "", count, "min-max", seed=seed)).samples
    assert len(set(drawn)) == len(drawn) == min(count, len(samples))
    have, shown = Counter(labels), Counter(sample.label for sample in drawn)
    # no class has two images more than one that has some left
    assert all(shown[a] <= shown[b] + 1 for a in have for b in have if shown[b] < have[b])


def test_another_seed_draws_other_images_of_the_same_classes(samples: tuple[Sample, ...]) -> None:
    draws = [
        calibration_images(samples, CalibrationProfile("p", "", 20, "min-max", seed=seed)).samples for seed in (0, 1)
    ]
    assert set(draws[0]) != set(draws[1])
    assert [Counter(sample.label for sample in drawn) for drawn in draws] == [{0: 10, 1: 10}] * 2


def test_views_differ_between_batches_and_repeat_with_the_seed(samples: tuple[Sample, ...]) -> None:
    images = calibration_images(samples, PROFILE)
    again = calibration_images(samples, PROFILE)
    first, second = (list(images.views(number)) for number in (0, 1))
    assert all((a == b).all() for a, b in zip(first, again.views(0), strict=True))
    assert not (first[1] == first[2]).all()
    assert not (first[1] == second[1]).all()


def test_the_float_network_is_what_is_observed(samples: tuple[Sample, ...]) -> None:
    images, network, prepared = calibration_images(samples), tiny(), prepared_tiny()
    before = prepared(images.plain(0))
    observe(prepared, images, {}, None, Silent())
    assert (before == prepared(images.plain(0))).all()
    np.testing.assert_allclose(before.detach(), network(images.plain(0)).detach(), atol=1e-5)
