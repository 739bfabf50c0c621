"""Stratified folds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.tasks.classification.folds import Fold, stratified_folds


def _counts(labels: Sequence[int], indices: Sequence[int]) -> dict[int, int]:
    return {label: sum(labels[index] == label for index in indices) for label in set(labels)}


def _hold_out_each_image_once(folds: Sequence[Fold], images: int) -> bool:
    return sorted(index for fold in folds for index in fold.held_out) == list(range(images)) and all(
        sorted(fold.train + fold.held_out) == list(range(images)) for fold in folds
    )


@given(
    st.lists(st.integers(2, 9), min_size=2, max_size=6).flatmap(
        lambda sizes: st.permutations([label for label, size in enumerate(sizes) for _ in range(size)])
    ),
    st.integers(2, 6),
    st.integers(0, 99),
)
def test_every_image_is_held_out_once_and_every_class_in_every_fold(labels: list[int], count: int, seed: int) -> None:
    folds = stratified_folds(labels, count, seed)
    assert len(folds) == min(count, *_counts(labels, range(len(labels))).values())
    assert _hold_out_each_image_once(folds, len(labels))
    for label in set(labels):
        held = [_counts(labels, fold.held_out)[label] for fold in folds]
        assert min(held) >= 1
        assert max(held) - min(held) <= 1
    sizes = [len(fold.held_out) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7)), min_size=4, max_size=40),
    st.integers(2, 5),
    st.integers(0, 99),
)
def test_groups_stay_on_one_side_and_every_class_trains(pairs: list[tuple[int, int]], count: int, seed: int) -> None:
    labels, groups = [label for label, _ in pairs], [group for _, group in pairs]
    folds = stratified_folds(labels, count, seed, groups)
    if not folds:
        return
    assert 2 <= len(folds) <= count
    assert _hold_out_each_image_once(folds, len(pairs))
    for fold in folds:
        assert not {groups[index] for index in fold.train} & {groups[index] for index in fold.held_out}
        assert min(_counts(labels, fold.train).values()) > 0


def test_even_groups_are_dealt_evenly() -> None:
    labels = [0, 0, 1, 1] * 6
    groups = [f"patient {number // 4}" for number in range(24)]
    folds = stratified_folds(labels, 3, 0, groups)
    assert [_counts(labels, fold.held_out) for fold in folds] == [{0: 4, 1: 4}] * 3


def test_a_class_in_one_group_cannot_be_folded() -> None:
    assert stratified_folds([0, 0, 1, 1], 2, 0, ["a", "b", "c", "c"]) == ()


def test_a_class_with_one_shot_cannot_be_folded() -> None:
    assert stratified_folds([0, 0, 0, 1], 3, 0) == ()
    assert stratified_folds([], 3, 0) == ()


def test_the_seed_decides() -> None:
    labels = [0, 1] * 10
    assert stratified_folds(labels, 5, 1) == stratified_folds(labels, 5, 1)
    assert stratified_folds(labels, 5, 1) != stratified_folds(labels, 5, 2)


def test_one_fold_and_missing_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 folds; found 1"):
        stratified_folds([0, 1], 1, 0)
    with pytest.raises(ValueError, match="found 1 groups and 2 labels"):
        stratified_folds([0, 1], 2, 0, ["a"])
