from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from small_reports import bundle

from edgetl.report.model import Build
from edgetl.report.plots import accuracy_latency, latency_histogram, log_axis
from edgetl.types import Precision


def build(precision: Precision, p50_ms: float | None, top1: float = 0.9) -> Build:
    return Build(
        precision=precision,
        verdict="pass",
        reason="",
        p50_ms=p50_ms,
        p50_ms_low=p50_ms and 0.9 * p50_ms,
        p50_ms_high=p50_ms and 1.1 * p50_ms,
        top1=top1,
        top1_low=top1 - 0.05,
        top1_high=top1 + 0.05,
    )


def times() -> dict[Precision, NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    return {
        "int8": generator.normal(3e6, 1e5, 300).astype(np.int64),
        "float32": generator.normal(7e6, 2e5, 300).astype(np.int64),
    }


def test_the_accuracy_plot_tells_its_numbers_in_words() -> None:
    picture = accuracy_latency([bundle("x86-cpu", builds=(build("int8", 3.0, 0.95), build("float32", 7.2)))])
    assert picture is not None
    assert "x86-cpu int8: 95.0 % at 3 ms; x86-cpu float32: 90.0 % at 7.2 ms" in picture.text
    assert ">x86-cpu</text>" in picture.svg


def test_without_latency_there_is_no_accuracy_plot() -> None:
    assert accuracy_latency([bundle("arm64-cpu", builds=(build("int8", None),))]) is None


def test_the_histogram_tells_medians_and_what_lies_beyond_its_axis() -> None:
    samples = times()
    samples["int8"][0] = 10**9
    picture = latency_histogram("x86-cpu", samples)
    assert picture is not None
    assert "medians float32 7" in picture.text
    assert "Runs slower than the axis shows: 1 of int8." in picture.text


def test_without_times_there_is_no_histogram() -> None:
    assert latency_histogram("x86-cpu", {}) is None


def test_figures_are_the_same_bytes_every_time_and_leave_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    first, second = latency_histogram("x86-cpu", times()), latency_histogram("x86-cpu", times())
    assert first == second
    assert dict(matplotlib.rcParams) == before


def test_two_figures_do_not_share_identifiers() -> None:
    one, two = latency_histogram("x86-cpu", times()), latency_histogram("intel-cpu", times())
    assert one is not None
    assert two is not None
    clips = [{part.split('"')[0] for part in figure.svg.split('<clipPath id="')[1:]} for figure in (one, two)]
    assert clips[0]
    assert not clips[0] & clips[1]


def test_colors_come_from_the_page_and_nothing_points_outside() -> None:
    picture = latency_histogram("x86-cpu", times())
    assert picture is not None
    assert "var(--int8)" in picture.svg
    assert "var(--float32)" in picture.svg
    assert "http" not in picture.svg
    assert "<metadata" not in picture.svg


@pytest.mark.parametrize(
    ("low", "high", "labels"), [(0.25, 6.1, ["0.5", "1", "2", "5"]), (0.02, 90.0, ["0.1", "1", "10"])]
)
def test_a_logarithmic_axis_has_few_plain_numbers(low: float, high: float, labels: list[str]) -> None:
    panel = Figure().subplots()
    log_axis(panel, low, high)
    panel.set_xlim(low, high)
    shown = [tick.get_text() for tick in panel.get_xticklabels(which="both")]
    visible = [text for text in shown if text and low <= float(text) <= high]
    assert visible == labels
