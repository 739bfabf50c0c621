"""Numbers of images: uneven and tiny classes, and what the validation images can tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.checks.sizes import balance, drop_half_width_points, images_to_settle, precision
from edgetl.types import Sample, Split

CLASSES = ("cat", "dog")


def split(shots: tuple[int, int], val: tuple[int, int]) -> Split:
    def side(counts: tuple[int, int]) -> tuple[Sample, ...]:
        return tuple(Sample(f"/{n}", label, "") for label, count in enumerate(counts) for n in range(count))

    return Split(CLASSES, side(shots), side(val), (), "squash", "", "")


def test_even_classes_pass() -> None:
    assert balance(split((10, 10), (40, 50))).verdict == "pass"


@pytest.mark.parametrize(
    ("shots", "val", "words"),
    [
        ((40, 10), (20, 20), "unbalanced training images: 40 of `cat`, 10 of `dog`"),
        ((10, 10), (100, 20), "unbalanced validation images: 100 of `cat`, 20 of `dog`"),
        ((10, 2), (20, 20), "fewer than 3 training images: `dog` has 2"),
        ((10, 10), (9, 20), "fewer than 10 validation images: `cat` has 9"),
    ],
)
def test_uneven_and_tiny_classes_are_named(shots: tuple[int, int], val: tuple[int, int], words: str) -> None:
    finding = balance(split(shots, val))
    assert finding.verdict == "warn"
    assert words in finding.sentence


def test_a_gate_finer_than_the_images_can_tell_says_how_many_more_would_settle_it() -> None:
    finding = precision(split((10, 10), (150, 150)), 1.0)
    assert finding.verdict == "warn"
    needed = int(finding.numbers["needed_images"])
    assert f"about {needed - 300} more would be enough" in finding.sentence
    assert precision(split((10, 10), (needed // 2, needed - needed // 2)), 1.0).verdict == "pass"


@given(images=st.integers(2, 3000), gate=st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 5.0]))
def test_never_fewer_images_than_there_are_would_settle_it(images: int, gate: float) -> None:
    finding = precision(split((10, 10), (images // 2, images - images // 2)), gate)
    if finding.verdict == "warn":
        assert finding.numbers["needed_images"] > images
        assert drop_half_width_points(int(finding.numbers["needed_images"])) <= gate


def test_where_the_half_width_rises_with_the_images_the_search_starts_at_those_there_are() -> None:
    assert drop_half_width_points(451) > 1.5 >= drop_half_width_points(440)
    finding = precision(split((10, 10), (225, 226)), 1.5)
    assert finding.numbers["needed_images"] > 451
    assert "about -" not in finding.sentence


def test_a_wide_gate_or_none_is_settled_by_few_images() -> None:
    assert precision(split((10, 10), (150, 150)), 5.0).verdict == "pass"
    assert precision(split((10, 10), (2, 2)), None).verdict == "pass"


def test_a_gate_of_nothing_cannot_be_settled() -> None:
    assert images_to_settle(0.0) is None
    assert "set a wider gate" in precision(split((10, 10), (150, 150)), 0.0).remedy


def test_four_times_the_images_halve_the_width() -> None:
    assert drop_half_width_points(4000) == pytest.approx(drop_half_width_points(1000) / 2, rel=0.15)
    assert 1.0 < drop_half_width_points(300) < 2.5


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_handful_of_images_can_tell_nothing(count: int) -> None:
    assert drop_half_width_points(count) > 20
