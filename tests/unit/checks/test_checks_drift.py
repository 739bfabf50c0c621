"""The kernel two-sample test: valid without drift, blind to class proportions, awake to shifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl.checks import drift
from edgetl.checks.drift import measure_drift

CLASSES = 3


def drawn(seed: int, count: int, shift: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`count` points of each class around its own center."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), count)
    centers = np.random.default_rng(0).normal(0, 3, (CLASSES, 8))
    points = centers[labels] + generator.normal(0, 1, (len(labels), 8)) + shift
    return points.astype(np.float32), labels


def sides(first: int, second: int, shift: float, seed: int = 1) -> drift.Drift:
    one, one_labels = drawn(seed, first)
    two, two_labels = drawn(seed + 1000, second, shift)
    labels = np.concatenate([one_labels, two_labels])
    found = measure_drift(np.concatenate([one, two]), labels, np.arange(len(labels)) >= len(one), seed=0)
    assert found is not None
    return found


def test_false_alarms_are_as_rare_as_the_p_value_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PERMUTATIONS", 99)
    small = [sides(5, 10, 0.0, seed).p_value for seed in range(200)]
    # at a level of 0.1, 20 of 200 are expected; 8 to 34 holds with a chance of 0.998
    assert 8 <= sum(p <= 0.1 for p in small) <= 34
    assert 70 <= sum(p <= 0.5 for p in small) <= 130


def test_a_shift_of_all_classes_is_found_with_ten_shots() -> None:
    found = sides(10, 30, 1.0)
    assert found.p_value <= drift.ALPHA / 2
    assert found.effect >= drift.MIN_EFFECT


def test_other_class_proportions_alone_are_no_drift() -> None:
    points, labels = drawn(3, 40)
    second = np.zeros(len(labels), dtype=np.bool_)
    for label, count in enumerate((5, 20, 35)):
        second[np.flatnonzero(labels == label)[:count]] = True
    found = measure_drift(points, labels, second, seed=0)
    assert found is not None
    assert found.p_value > 0.01


def test_with_many_images_a_trifle_is_found_but_has_no_effect_to_speak_of() -> None:
    found = sides(300, 300, 0.12)
    assert found.p_value <= drift.ALPHA
    assert found.effect < drift.MIN_EFFECT


def test_the_witness_names_the_side_an_image_is_like() -> None:
    found = sides(20, 20, 5.0)
    assert found.witness[: 20 * CLASSES].mean() > 0.1
    assert found.witness[20 * CLASSES :].mean() < -0.1


def test_two_runs_are_equal() -> None:
    points, labels = drawn(5, 12)
    second = np.arange(len(labels)) % 3 == 0
    one = measure_drift(points, labels, second, seed=4)
    again = measure_drift(points, labels, second, seed=4)
    assert one is not None
    assert again is not None
    assert (one.p_value, one.effect) == (again.p_value, again.effect)


def test_without_a_class_on_both_sides_there_is_nothing_to_compare() -> None:
    points, labels = drawn(0, 4)
    assert measure_drift(points, labels, labels == 0, seed=0) is None


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 100), offset=st.floats(-50, 50))
def test_the_unit_of_the_features_does_not_matter(seed: int, factor: float, offset: float) -> None:
    points, labels = drawn(seed, 5)
    second = np.arange(len(labels)) % 2 == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "PERMUTATIONS", 49)
        one = measure_drift(points, labels, second, seed=0)
        other = measure_drift(points * factor + offset, labels, second, seed=0)
    assert one is not None
    assert other is not None
    assert other.effect == pytest.approx(one.effect, abs=1e-3)


def test_arrangements_that_tie_count_as_no_less_than_what_was_seen() -> None:
    """One image of either class on either side: the sides' exchange in both classes is the same split."""
    labels, second = np.array([0, 0, 1, 1]), np.array([False, True, False, True])
    for seed in range(60):
        points = np.random.default_rng(seed).normal(0, 1, (4, 16)).astype(np.float32)
        found = measure_drift(points, labels, second, seed=0)
        assert found is not None
        assert found.least == 0.25
        assert found.p_value > 0.4, "of four arrangements two are always the observed one"


def grouped(
    seed: int, shift: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_], list[str]]:
    """Three classes, five groups of six images a side; a fifth of the variance is the group's."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), 60)
    number = np.arange(180) // 6
    second = number % 10 >= 5
    own = generator.normal(0, 0.2**0.5, (30, 8))
    points = 3 * np.eye(8)[labels] + own[number] + generator.normal(0, 0.8**0.5, (180, 8)) + shift * second[:, None]
    return points.astype(np.float32), labels, second, [f"g{n}" for n in number]


def test_what_images_of_a_group_share_is_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PERMUTATIONS", 199)
    by_group: list[float] = []
    by_image: list[float] = []
    for seed in range(60):
        points, labels, second, keys = grouped(seed)
        for values, groups in ((by_group, keys), (by_image, None)):
            found = measure_drift(points, labels, second, seed=0, groups=groups)
            assert found is not None
            values.append(found.p_value)
    # at a level of 0.1, 6 of 60 are expected; 1 to 14 holds with a chance of 0.997
    assert 1 <= sum(p <= 0.1 for p in by_group) <= 14
    assert sum(p <= 0.01 for p in by_image) > 10, "which exchanging images takes for drift"


def test_a_shift_beyond_the_groups_is_found() -> None:
    points, labels, second, keys = grouped(1, shift=1.0)
    found = measure_drift(points, labels, second, seed=0, groups=keys)
    assert found is not None
    assert found.p_value <= drift.ALPHA / 2


def test_so_few_groups_that_nothing_could_be_found_are_told() -> None:
    points, labels, second, _ = grouped(1)
    found = measure_drift(points, labels, second, seed=0, groups=["shots" if s else "val" for s in second])
    assert found is not None
    assert found.least == 0.5


def test_groups_of_several_classes_are_exchanged_for_each_other_only() -> None:
    labels, second = np.array([0, 1, 0, 1, 0, 0, 1, 1]), np.array([False, False, True, True, False, True, False, True])
    found = measure_drift(
        np.random.default_rng(0).normal(0, 1, (8, 3)), labels, second, seed=0, groups=["a", "a", "b", "b", *"cdef"]
    )
    assert found is not None
    assert found.least == 1 / 8


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 12))
def test_groups_of_one_image_are_images(seed: int, count: int) -> None:
    points, labels = drawn(seed, count)
    second = np.arange(len(labels)) % 2 == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "PERMUTATIONS", 49)
        alone = measure_drift(points, labels, second, seed=0)
        named = measure_drift(points, labels, second, seed=0, groups=[str(i) for i in range(len(labels))])
    assert alone is not None
    assert named is not None
    assert (alone.p_value, alone.effect, alone.least) == (named.p_value, named.effect, named.least)


def test_equal_images_have_no_drift() -> None:
    labels = np.repeat([0, 1], 6)
    found = measure_drift(np.ones((12, 4), np.float32), labels, np.arange(12) % 2 == 0, seed=0)
    assert found is not None
    assert found.effect == 0
    assert found.p_value > 0.5
