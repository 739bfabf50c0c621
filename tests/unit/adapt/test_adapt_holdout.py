"""Holding out shots."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edgetl.adapt.holdout import hold_out


@given(counts=st.lists(st.integers(2, 30), min_size=2, max_size=6), share=st.floats(0.01, 0.89), seed=st.integers(0, 9))
def test_every_part_is_stratified_and_disjoint(counts: list[int], share: float, seed: int) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    parts = hold_out(labels, share, seed)
    assert parts
    judged = [index for part in parts for index in part.held_out]
    assert len(judged) == len(set(judged))
    for part in parts:
        assert sorted(part.train + part.held_out) == list(range(len(labels)))
        for indices in (part.train, part.held_out):
            assert set(Counter(labels[index] for index in indices)) == set(range(len(counts)))


def test_a_quarter_of_ten_shots_is_three_of_each_class() -> None:
    (part,) = hold_out([label for label in range(7) for _ in range(10)], 0.25, 0)
    assert len(part.held_out) == 21


def test_few_images_are_judged_in_several_parts() -> None:
    parts = hold_out([0] * 10 + [1] * 10, 0.25, 0)
    assert [len(part.held_out) for part in parts] == [6, 6, 6]


def test_a_class_with_a_single_shot_leaves_nothing_to_judge_by() -> None:
    assert hold_out([0, 0, 0, 1], 0.25, 0) == []


def test_the_seed_decides() -> None:
    labels = [0] * 40 + [1] * 40
    assert hold_out(labels, 0.25, 0) == hold_out(labels, 0.25, 0) != hold_out(labels, 0.25, 1)
