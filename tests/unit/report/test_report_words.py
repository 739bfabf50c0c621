from __future__ import annotations

import pytest

from edgetl.report import words


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0.0"), (0.9734, "97.3"), (1.0, "100.0"), (0.99999, "100.0")]
)
def test_fractions_are_told_in_percent(value: float | None, text: str) -> None:
    assert words.percent(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.333, "0.33"), (-1.0, "−1.00"), (0.0, "0.00")])
def test_points_have_a_true_minus_sign(value: float | None, text: str) -> None:
    assert words.points(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.00108, "0.001"),
        (0.4119, "0.412"),
        (3.074, "3.07"),
        (9.996, "10.0"),
        (15.94, "15.9"),
        (128.4, "128"),
    ],
)
def test_milliseconds_keep_three_digits(value: float | None, text: str) -> None:
    assert words.milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (2_575_320, "2.6 MB"),
        (125_000_000, "125 MB"),
        (1_300_000_000, "1.3 GB"),
        (999_960, "1.0 MB"),
        (5 * 10**13, "50000 GB"),
    ],
)
def test_sizes_have_decimal_units(value: int | None, text: str) -> None:
    assert words.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.44, "0.4 s"), (12.4, "12 s"), (185.0, "3 min 05 s"), (119.7, "2 min 00 s")]
)
def test_durations_are_told_in_minutes_and_seconds(value: float, text: str) -> None:
    assert words.seconds(value) == text


def test_ranges_are_empty_without_both_ends() -> None:
    assert words.percent_range(0.949, 0.986) == "94.9–98.6"
    assert words.points_range(-0.7, 1.4) == "−0.7…1.4"
    assert words.points_range(-0.04, 0.04) == "0.0…0.0"
    assert words.times_range(2.28, 2.52) == "2.28–2.52"
    assert words.milliseconds_range(2.9, 12.0) == "2.90–12.0"
    assert words.percent_range(None, 0.5) == words.times_range(1.0, None) == words.points_range(None, None) == ""


def test_how_much_was_emulated_is_told() -> None:
    assert words.emulated(64, None) == "emulated, 64 images"
    assert words.emulated(300, 64) == "64 of 300 images emulated"


def test_long_names_are_broken_between_words_only() -> None:
    assert words.in_lines("tf_mobilenetv3_small_100", 18) == "tf_mobilenetv3_\nsmall_100"
    assert words.in_lines("demo-raspberry-pi-5", 20) == "demo-raspberry-pi-5"
    assert words.in_lines("pittedsurfaces", 5) == "pittedsurfaces"


def test_a_placement_says_what_it_counts() -> None:
    assert words.layers("int8 52, float32 1") == "52 layers int8, 1 float32"
    assert words.layers("int8 1") == "1 layer int8"
    assert words.layers("none") == "none"
    assert words.layers(None) == ""
