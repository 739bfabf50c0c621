"""The files of observed ranges: found by content, refused when damaged or another network's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgetl.errors import DataError, UsageError
from edgetl.quant.observed import Observed, pack, read_observed, unpack, write_observed
from edgetl.quant.observers import Extremes, Histogram, Observer
from edgetl.quant.ranges import RangesCache, given_ranges
from edgetl.types import Silent

PLACES = ("activation_post_process_0", "activation_post_process_1")
PARTS: dict[str, Any] = {
    "version": 1,
    "network": {"architecture": "tiny"},
    "weights": "00",
    "images": ["a", "b"],
    "preprocessing": {"height": 8},
    "profile": {"observer": "entropy", "images": 2},
    "augmentation": "none",
    "scheme": {"operators": ["conv"]},
    "tools": {"torch": "2.15.0"},
}
batches = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32))


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def _observers(kind: type[Histogram] | type[Extremes] = Histogram) -> list[Observer]:
    observers: list[Observer] = [kind(), kind()]
    for number, observer in enumerate(observers):
        observer.add(np.array([-1.0, 0.0, 2.5 + number], np.float32))
    return observers


def _observed(done: int = 4, **parts: Any) -> Observed:
    return Observed(PARTS | parts, PLACES, done, 4, pack(_observers()))


@given(batches, batches, batches, st.sampled_from([Histogram, Extremes]))
def test_a_state_that_was_put_away_goes_on_as_if_it_never_was(
    first: Any, second: Any, third: Any, kind: type[Histogram] | type[Extremes]
) -> None:
    through, whole, fresh = [kind(), kind()], [kind(), kind()], [kind(), kind()]
    for observers in (through, whole):
        observers[0].add(first)
        observers[1].add(second)
    unpack(fresh, pack(through))
    for observers in (fresh, whole):
        observers[0].add(third)
    for found, expected in zip(pack(fresh).values(), pack(whole).values(), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)


def test_what_was_written_is_read_and_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    write_observed(tmp_path / "a", _observed())
    write_observed(tmp_path / "b", _observed())
    found = read_observed(tmp_path / "a")
    assert (dict(found.parts), found.places, found.batches, found.total) == (PARTS, PLACES, 4, 4)
    for name, array in pack(_observers()).items():
        np.testing.assert_array_equal(found.arrays[name], array, strict=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]  # nothing is left aside


@pytest.mark.parametrize("length", [0, 7, 100, 3000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, length: int) -> None:
    write_observed(tmp_path / "a", _observed())
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:length])
    with pytest.raises(DataError, match="damaged"):
        read_observed(tmp_path / "a")


def test_an_altered_byte_anywhere_in_the_numbers_is_refused(tmp_path: Path) -> None:
    write_observed(tmp_path / "a", _observed())
    whole = (tmp_path / "a").read_bytes()
    size = sum(array.nbytes for array in pack(_observers()).values())
    for position in range(1, size, size // 7):
        data = bytearray(whole)
        data[-position] ^= 0x40
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(DataError, match="damaged"):
            read_observed(tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b"{}", b"not ranges" * 100, json.dumps(PARTS).encode()])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=r"/a: damaged, or not observed ranges of edgetl"):
        read_observed(tmp_path / "a")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent: cannot read the observed ranges: No such file"):
        read_observed(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "value"), [("extremes", np.nan), ("width", np.inf), ("counts", -1), ("zeros", -1), ("extremes", 1.0)]
)
def test_impossible_numbers_are_refused(name: str, value: float) -> None:
    arrays = pack(_observers())
    arrays[name].flat[0] = value
    with pytest.raises(DataError, match="impossible numbers"):
        unpack([Histogram(), Histogram()], arrays)


def test_states_of_another_network_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected .*\(3, 2\)"):
        unpack([Histogram(), Histogram(), Histogram()], pack(_observers()))
    with pytest.raises(DataError, match="another kind"):
        unpack([Histogram(), Histogram()], pack(_observers(Extremes)))


def test_the_cache_finds_what_it_kept_and_says_nothing(tmp_path: Path) -> None:
    cache, notes = RangesCache(tmp_path, "u8s8"), Notes()
    assert cache.find(PARTS, PLACES, notes) is None
    cache.keep(_observed())
    found = cache.find(PARTS, PLACES, notes)
    assert found is not None
    assert found.complete
    assert notes.lines == []


def test_a_key_that_moved_is_told_part_by_part(tmp_path: Path) -> None:
    cache, notes = RangesCache(tmp_path, "u8s8"), Notes()
    cache.keep(_observed())
    now = PARTS | {"weights": "01", "images": ["a", "c"], "profile": {"observer": "mse", "images": 2}}
    assert cache.find(now | {"tools": {"torch": "2.16.0"}}, PLACES, notes) is None
    (line,) = notes.lines
    assert line.startswith("calibration again: ")
    for phrase in ("weights changed", "images changed (1 of 2)", "profile changed from entropy to mse"):
        assert phrase in line
    assert "torch 2.15.0 -> 2.16.0" in line


def test_another_schemes_ranges_are_no_reason_to_speak(tmp_path: Path) -> None:
    RangesCache(tmp_path, "u8s8").keep(_observed())
    notes = Notes()
    assert RangesCache(tmp_path, "s8s8").find(PARTS | {"weights": "01"}, PLACES, notes) is None
    assert notes.lines == []


def test_a_part_of_a_calibration_is_found_and_not_yet_what_was_used_last(tmp_path: Path) -> None:
    cache, notes = RangesCache(tmp_path, "u8s8"), Notes()
    cache.keep(_observed(done=3))
    found = cache.find(PARTS, PLACES, notes)
    assert found is not None
    assert (found.batches, found.complete) == (3, False)
    assert notes.lines == ["calibration continues after batch 3 of 4"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_a_file_under_anothers_name_is_not_believed(tmp_path: Path) -> None:
    cache, notes = RangesCache(tmp_path, "u8s8"), Notes()
    cache.keep(_observed())
    moved = PARTS | {"weights": "01"}
    cache.path(PARTS).rename(cache.path(moved))
    assert cache.find(moved, PLACES, notes) is None
    assert notes.lines == [f"calibration again: {cache.path(moved).name} belongs to another network"]


def test_given_ranges_may_be_of_other_images_and_tools(tmp_path: Path) -> None:
    write_observed(tmp_path / "given", _observed(images=["x"], tools={}, augmentation="light"))
    assert given_ranges(tmp_path / "given", PARTS, PLACES, "u8s8").complete


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"weights": "01"}, "weights changed"),
        ({"preprocessing": {"height": 9}}, r"preprocessing changed \(height 9 -> 8\)"),
        ({"scheme": {"operators": ["add"]}}, r"scheme changed \(operators add -> conv\)"),
        ({"profile": {"observer": "min-max"}}, "profile changed from min-max to entropy"),
    ],
)
def test_given_ranges_of_something_else_are_refused_by_name(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    write_observed(tmp_path / "given", _observed(**changed))
    with pytest.raises(UsageError, match=rf"given: not the ranges of this network for u8s8: {said}; give the ranges"):
        given_ranges(tmp_path / "given", PARTS, PLACES, "u8s8")


def test_given_ranges_must_be_finished_and_of_the_same_places(tmp_path: Path) -> None:
    write_observed(tmp_path / "part", _observed(done=3))
    with pytest.raises(UsageError, match="has 3 of 4 batches"):
        given_ranges(tmp_path / "part", PARTS, PLACES, "u8s8")
    write_observed(tmp_path / "other", replace(_observed(), places=("a", "b")))
    with pytest.raises(UsageError, match="the observed places changed"):
        given_ranges(tmp_path / "other", PARTS, PLACES, "u8s8")
