from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgetl.bench.repair_record import Repair, Trial, front, read_repair, write_repair
from edgetl.diagnose.repair.search import search
from edgetl.types import Interval

NAMES = tuple(f"layer{index}" for index in range(20))


@pytest.mark.parametrize(
    "needed",
    [
        {"layer0"},
        {"layer1"},
        {"layer0", "layer1"},
        {"layer6"},
        {"layer2", "layer5"},
        {"layer19"},
        {"layer0", "layer9", "layer19"},
    ],
)
def test_a_passing_set_is_found_and_what_is_not_needed_is_left_out(needed: set[str]) -> None:
    found = search(NAMES, lambda layers: needed <= set(layers))
    assert found.layers is not None
    assert set(found.layers) == needed
    assert found.pruned


@example(needed={1})
@given(needed=st.sets(st.integers(0, 59), min_size=1, max_size=2))
def test_where_more_layers_never_hurt_no_layer_of_the_set_can_be_left_out(needed: set[int]) -> None:
    names = tuple(map(str, range(60)))
    found = search(names, lambda layers: needed <= set(map(int, layers)))
    assert found.layers == tuple(map(str, sorted(needed)))
    assert found.pruned
    assert found.tries <= 2 * 6 + 2 * len(needed) * 6, "doubling and bisection, then 2 k log2 n"


def test_a_list_that_cannot_be_shortened_is_not_tried_layer_by_layer_and_says_so() -> None:
    names = tuple(map(str, range(200)))
    found = search(names, lambda layers: len(layers) >= 150)
    assert found.layers is not None
    assert len(found.layers) == 150
    assert not found.pruned
    assert found.tries <= 2 * 8 + 24


def test_a_list_of_which_every_layer_is_needed_is_tried_to_the_end_where_it_is_short() -> None:
    found = search(NAMES, lambda layers: len(layers) >= 12)
    assert found.layers == NAMES[:12]
    assert found.pruned


def test_where_not_even_all_layers_in_float_pass_there_is_none() -> None:
    assert search(NAMES, lambda _: False).layers is None
    assert search((), lambda _: True).layers is None


def test_a_first_layer_alone_is_asked_for_first() -> None:
    asked: list[Sequence[str]] = []

    def passes(layers: Sequence[str]) -> bool:
        asked.append(layers)
        return True

    assert search(NAMES, passes).layers == ("layer0",)
    assert asked == [("layer0",)]


@given(passing=st.sets(st.frozensets(st.sampled_from(NAMES[:6]), min_size=1), max_size=30))
def test_whatever_passes_only_a_set_that_passed_is_returned(passing: set[frozenset[str]]) -> None:
    found = search(NAMES[:6], lambda layers: frozenset(layers) in passing)
    assert found.layers is None or frozenset(found.layers) in passing
    assert found.tries <= 20


def trial(score: float, p50_ms: float) -> Trial:
    def certain(value: float) -> Interval:
        return Interval(value, value, value)

    return Trial((), True, certain(score), certain(0.0), certain(p50_ms), certain(1.0), 0, 1)


def test_the_front_has_what_no_other_beats_in_both() -> None:
    trials = [trial(0.8, 1.0), trial(0.9, 2.0), trial(0.85, 3.0), trial(0.95, 4.0), trial(0.8, 1.5)]
    assert front(trials) == (0, 1, 3)
    assert front([trial(0.9, 1.0), trial(0.9, 1.0)]) == (0,)


def test_a_record_of_an_earlier_version_has_its_top1_as_the_score(tmp_path: Path) -> None:
    repair = Repair("x86-cpu", 52, 1, None, (trial(0.8, 1.0),), (0,), "INT8 loses.", "AP")
    write_repair(repair, tmp_path / "repair.json")
    assert read_repair(tmp_path / "repair.json") == repair
    text = (tmp_path / "repair.json").read_text(encoding="utf-8")
    assert '"score"' in text
    (tmp_path / "repair.json").write_text(text.replace('"score"', '"top1"'), encoding="utf-8")
    assert read_repair(tmp_path / "repair.json") == repair
