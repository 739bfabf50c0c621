"""The first lines of a report say what was measured, what passes and what to take."""

from __future__ import annotations

import pytest
from small_reports import bundle

from edgetl.report.model import Bundle
from edgetl.report.summary import Unmeasured, summarize
from edgetl.types import Verdict


def timed(target: str, verdict: Verdict = "pass", p50_ms: float = 1.0, **more: object) -> Bundle:
    interval = {"p50_ms": p50_ms, "p50_ms_low": 0.95 * p50_ms, "p50_ms_high": 1.05 * p50_ms}
    return bundle(target, verdict=verdict, top1=0.98, **interval, **more)


def absent(target: str, reason: str = "no GPU") -> Bundle:
    return bundle(target, verdict="not measured", measured=False, not_measured_reason=reason)


def emulated(target: str, verdict: Verdict = "pass") -> Bundle:
    return bundle(target, verdict=verdict, measured=False, emulated=True, not_measured_reason="no ARM CPU")


@pytest.mark.parametrize(
    ("bundles", "verdict", "headline"),
    [
        ([timed("a"), timed("b")], "pass", "2 of 2 measured targets pass"),
        ([timed("a"), absent("b")], "pass", "1 of 1 measured target passes; 1 not measured here"),
        ([timed("a", "fail"), absent("b")], "fail", "0 of 1 measured target passes; 1 not measured here"),
        (
            [timed("a"), timed("b", "not measured")],
            "not measured",
            "1 of 2 measured targets pass; 1 with a gate that was not measured",
        ),
        ([timed("a"), emulated("b")], "pass", "2 of 2 measured targets pass (1 of them emulated)"),
        ([absent("a")], "not measured", "1 not measured here"),
    ],
)
def test_the_headline_counts_what_was_measured(bundles: list[Bundle], verdict: Verdict, headline: str) -> None:
    summary = summarize(bundles)
    assert (summary.verdict, summary.headline) == (verdict, headline)


def test_measured_targets_stand_first_and_keep_their_order() -> None:
    summary = summarize([absent("a"), timed("z"), emulated("c"), timed("b")])
    assert [each.target for each in summary.bundles] == ["z", "b", "c", "a"]


def test_the_fastest_bundle_that_passes_is_the_one_to_take() -> None:
    take = summarize([timed("slow", p50_ms=2.0), timed("fast"), timed("wrong", "fail", 0.1)]).take
    assert "take the bundle for fast: the fastest that passes, with int8, 98.0 % top-1 and 1.00 ms." in take


def test_bundles_that_are_as_fast_within_their_intervals_are_named() -> None:
    take = summarize([timed("fast"), timed("level", p50_ms=1.05), timed("slow", p50_ms=2.0)]).take
    assert take.endswith("; level may be as fast.")


def test_a_latency_of_another_cpu_recommends_nothing() -> None:
    assert summarize([timed("a", other_cpu="no VNNI"), emulated("b"), absent("c")]).take == ""


def test_an_emulated_target_is_not_listed_as_unmeasured() -> None:
    assert summarize([emulated("arm"), absent("gpu")]).unmeasured == (Unmeasured(("gpu",), "no GPU"),)


def test_one_reason_for_several_targets_stands_once() -> None:
    reasons = [f"target {name} needs a CPU of type aarch64" for name in ("pi", "arm")]
    summary = summarize([absent("pi", reasons[0]), absent("gpu"), absent("arm", reasons[1])])
    assert summary.unmeasured == (
        Unmeasured(("pi", "arm"), "needs a CPU of type aarch64"),
        Unmeasured(("gpu",), "no GPU"),
    )
