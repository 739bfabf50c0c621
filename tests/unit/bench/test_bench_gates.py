from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from edgetl.bench.gate_checks import check_gates
from edgetl.bench.gates import Decision, judge, judge_build
from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, HostCheck, Latency, TargetBench
from edgetl.errors import UsageError
from edgetl.recipes.gates import Gates
from edgetl.tasks.classification.accuracy import Accuracy, compare
from edgetl.tasks.detection.scores import DetectionScores
from edgetl.tasks.detection.task import Detection
from edgetl.types import Box, Boxes, Estimate, Interval, Precision

NO_GATES = Gates(max_drop_points=None)


def accuracy(images: int = 300, lost: int = 0) -> Accuracy:
    """A build that answers `lost` images wrong that the (perfect) float network answers right."""
    labels = np.arange(images) % 2
    reference = np.eye(2, dtype=np.float32)[labels]
    logits = reference.copy()
    logits[:lost] = logits[:lost, ::-1]
    return compare(logits, labels, reference)


def latency(p50_ms: float, p99_ms: float | None = None) -> Latency:
    p99 = p99_ms or 2 * p50_ms
    return Latency(
        p50_ms=Interval(p50_ms, 0.97 * p50_ms, 1.03 * p50_ms),
        p90_ms=None,
        p99_ms=Estimate(p99, 0.9 * p99, 1.1 * p99),
        runs=300,
        threads=1,
    )


def build(
    precision: Precision,
    *,
    p50_ms: float | None = None,
    lost: int | None = 0,
    images: int = 300,
    speedup: float | None = None,
    size_bytes: int = 1000,
    p99_ms: float | None = None,
) -> BuildBench:
    return BuildBench(
        precision=precision,
        size_bytes=size_bytes,
        accuracy=None if lost is None else accuracy(images, lost),
        latency=None if p50_ms is None else latency(p50_ms, p99_ms),
        speedup=None if speedup is None else Interval(speedup, 0.95 * speedup, 1.05 * speedup),
    )


def bench(*builds: BuildBench, measured: bool = True, emulated: bool = False, reason: str = "") -> TargetBench:
    return TargetBench(
        target="x86-cpu",
        backend="onnxruntime",
        backend_version="1",
        measured=measured,
        emulated=emulated,
        reason=reason,
        machine=describe(),
        images=(),
        builds=builds,
    )


def told(decision: Decision, precision: Precision) -> str:
    return next(verdict.reason for verdict in decision.builds if verdict.precision == precision)


class TestGates:
    def test_a_drop_within_the_gate_passes_and_tells_its_interval(self) -> None:
        verdict = judge_build(build("int8", lost=3, p50_ms=3), bench(), Gates(max_drop_points=1.0))
        assert verdict.verdict == "pass"
        assert "drop 1.00 points (" in verdict.reason
        assert "within the allowed 1" in verdict.reason

    def test_a_drop_beyond_the_gate_fails_on_the_measured_value(self) -> None:
        verdict = judge_build(build("int8", lost=4, p50_ms=3), bench(), Gates(max_drop_points=1.0))
        assert verdict.verdict == "fail"
        assert "drop 1.33 points" in verdict.reason
        assert "above the allowed 1" in verdict.reason

    def test_an_interval_around_the_gate_says_that_the_images_are_too_few(self) -> None:
        few = judge_build(build("int8", lost=1, images=40, p50_ms=3), bench(), Gates(max_drop_points=3.0))
        assert "40 images are too few to be sure" in few.reason
        clips = judge_build(build("int8", lost=1, images=40, p50_ms=3), bench(), Gates(max_drop_points=3.0), "clip")
        assert "40 clips are too few to be sure" in clips.reason
        clear = judge_build(build("int8", lost=100, p50_ms=3), bench(), Gates(max_drop_points=1.0))
        assert "too few" not in clear.reason

    def test_the_lowest_accuracy_is_a_fraction_and_is_told_in_percent(self) -> None:
        verdict = judge_build(build("int8", lost=60), bench(), Gates(max_drop_points=None, min_top1=0.9))
        assert verdict.verdict == "fail"
        assert "top-1 80.0 % (" in verdict.reason
        assert "below the required 90 %" in verdict.reason

    def test_a_slow_tail_fails_the_p99_gate(self) -> None:
        gates = Gates(max_drop_points=None, max_p99_ms=5)
        assert judge_build(build("int8", p50_ms=3, p99_ms=5.2), bench(), gates).verdict == "fail"
        assert judge_build(build("int8", p50_ms=3, p99_ms=4.0), bench(), gates).verdict == "pass"

    def test_a_latency_gate_without_latency_is_not_measured(self) -> None:
        verdict = judge_build(build("int8"), bench(), Gates(max_drop_points=None, max_p99_ms=5))
        assert verdict.verdict == "not measured"
        assert "p99 latency was not measured" in verdict.reason

    def test_a_file_beyond_the_gate_fails_even_where_nothing_can_be_measured(self) -> None:
        absent = bench(measured=False, reason="no GPU here")
        verdict = judge_build(build("int8", lost=None, size_bytes=101), absent, Gates(max_size_bytes=100))
        assert verdict.verdict == "fail"
        assert "101 bytes, above the allowed 100" in verdict.reason

    def test_each_gate_is_listed_with_its_limit_and_value(self) -> None:
        gates = Gates(max_drop_points=1, min_top1=0.5, max_p99_ms=10, max_size_bytes=10_000)
        verdict = judge_build(build("int8", p50_ms=3, p99_ms=4), bench(), gates)
        assert [(check.gate, check.limit, check.value) for check in verdict.checks] == [
            ("max_drop_points", 1.0, 0.0),
            ("min_top1", 0.5, 1.0),
            ("max_p99_ms", 10.0, 4.0),
            ("max_size_bytes", 10_000.0, 1000.0),
        ]

    def test_a_build_that_does_not_run_fails_with_its_error(self) -> None:
        broken = replace(build("int8", lost=None), error="no kernel for Foo.\n")
        verdict = judge_build(broken, bench(), NO_GATES)
        assert (verdict.verdict, verdict.reason) == ("fail", "it does not run: no kernel for Foo")

    def test_a_build_that_this_machine_lacks_something_for_neither_fails_nor_ships(self) -> None:
        bfloat16 = replace(build("bfloat16", lost=None), lacking="this CPU has no bfloat16 instructions")
        verdict = judge_build(bfloat16, bench(), Gates())
        assert (verdict.verdict, verdict.reason) == (
            "not measured",
            "not measured here: this CPU has no bfloat16 instructions",
        )
        slow = build("float32", p50_ms=20, p99_ms=30)
        found = judge(bench(bfloat16, slow), Gates(max_p99_ms=5))
        assert (found.verdict, found.shipped) == ("fail", "float32")

    def test_without_any_gate_a_measured_build_passes(self) -> None:
        verdict = judge_build(build("float32", p50_ms=3), bench(), NO_GATES)
        assert (verdict.verdict, verdict.reason) == ("pass", "no gate is set")

    def test_convolutions_that_stayed_float_are_told(self) -> None:
        partly = replace(build("int8", p50_ms=3), not_integer=("conv1", "conv2"))
        assert "2 convolutions or matrix products do not run in INT8" in judge_build(partly, bench(), Gates()).reason

    def test_layers_left_in_float_and_conversions_are_gated_on_the_int8_build_alone(self) -> None:
        gates = Gates(max_drop_points=None, max_float_layers=1, max_conversions=2)
        int8 = replace(build("int8"), placement="int8 50, float32 2", not_integer=("conv1", "conv2"), conversions=2)
        verdict = judge_build(int8, bench(), gates)
        assert verdict.verdict == "fail"
        assert [(check.gate, check.value, check.verdict) for check in verdict.checks] == [
            ("max_float_layers", 2, "fail"),
            ("max_conversions", 2, "pass"),
        ]
        assert "convolutions and matrix products in float: 2, above the allowed 1" in verdict.reason
        assert judge_build(build("float32"), bench(), gates).checks == ()

    def test_a_placement_gate_without_an_opened_runtime_is_not_measured(self) -> None:
        verdict = judge_build(build("int8"), bench(), Gates(max_drop_points=None, max_float_layers=0))
        assert verdict.verdict == "not measured"
        assert "because the runtime is missing" in verdict.reason

    def test_nan_logits_are_told(self) -> None:
        found = replace(accuracy(), not_finite=7)
        sick = replace(build("int8", p50_ms=3), accuracy=found)
        assert "7 images gave NaN or infinite logits" in judge_build(sick, bench(), Gates()).reason

    @pytest.mark.parametrize("emulated", [False, True])
    def test_nan_logits_fail_whatever_the_gates_are(self, emulated: bool) -> None:
        sick = replace(build("int8", p50_ms=3), accuracy=replace(accuracy(), not_finite=1))
        verdict = judge_build(sick, bench(emulated=emulated), NO_GATES)
        assert verdict.verdict == "fail"
        assert verdict.reason.startswith("1 images gave NaN or infinite logits")
        found = judge(bench(sick, build("float32", p50_ms=9)), NO_GATES)
        assert (found.verdict, found.shipped) == ("pass", "float32")


class TestEmulation:
    def test_one_lost_image_of_few_is_no_failure(self) -> None:
        emulated = bench(measured=False, emulated=True, reason="another CPU")
        verdict = judge_build(build("int8", lost=1, images=32), emulated, Gates(max_drop_points=1.0))
        assert verdict.verdict == "not measured"
        assert "32 images are too few to be sure" in verdict.reason

    def test_a_sure_loss_is_a_failure(self) -> None:
        emulated = bench(measured=False, emulated=True, reason="another CPU")
        assert judge_build(build("int8", lost=20, images=32), emulated, Gates(max_drop_points=1.0)).verdict == "fail"

    def test_a_kept_accuracy_passes_and_is_marked(self) -> None:
        emulated = bench(measured=False, emulated=True, reason="another CPU")
        verdict = judge_build(build("int8", images=64), emulated, Gates(max_drop_points=1.0))
        assert verdict.verdict == "pass"
        assert "accuracy on 64 images under emulation, no latency" in verdict.reason

    @pytest.mark.parametrize(("undecided", "doubt"), [(0, ""), (3, "; 3 predictions could differ there")])
    def test_what_the_host_answered_is_told_with_what_emulation_says_of_it(self, undecided: int, doubt: str) -> None:
        emulated = bench(measured=False, emulated=True, reason="another CPU")
        host = HostCheck(
            emulated_images=64, same=63, max_abs_diff=0.1, undecided=undecided, most_top1=1.0, least_drop_points=0.0
        )
        verdict = judge_build(replace(build("int8", images=300), host=host), emulated, Gates(max_drop_points=1.0))
        told = "accuracy on 300 images, measured on this CPU (same class as under emulation on 63 of 64), no latency"
        assert told + doubt in verdict.reason
        assert ("could differ" in verdict.reason) == bool(undecided)

    @pytest.mark.parametrize(
        ("least_drop_points", "most_top1", "verdict"), [(2.0, 0.90, "fail"), (0.5, 0.99, "not measured")]
    )
    def test_a_gate_that_the_host_sees_missed_fails_unless_undecided_answers_could_meet_it(
        self, least_drop_points: float, most_top1: float, verdict: str
    ) -> None:
        emulated = bench(measured=False, emulated=True, reason="another CPU")
        host = HostCheck(64, 64, 0.1, 3, most_top1=most_top1, least_drop_points=least_drop_points)
        lossy = replace(build("int8", lost=6, images=300), host=host)
        assert judge_build(lossy, emulated, Gates(max_drop_points=1.0)).verdict == verdict
        assert judge_build(lossy, emulated, Gates(max_drop_points=None, min_top1=0.985)).verdict == verdict


class TestChoice:
    def test_the_fastest_passing_build_ships(self) -> None:
        found = judge(bench(build("int8", p50_ms=3, speedup=2.4), build("float32", p50_ms=7.2)), Gates())
        assert (found.verdict, found.shipped) == ("pass", "int8")
        assert found.why == "int8 is the fastest passing build: 2.40x (2.28 to 2.52) the speed of float32"

    def test_int8_that_is_slower_does_not_ship(self) -> None:
        found = judge(bench(build("int8", p50_ms=10, speedup=0.72), build("float32", p50_ms=7.2)), Gates())
        assert (found.verdict, found.shipped) == ("pass", "float32")
        assert found.why == "int8 is slower than float32 here: 0.72x (0.68 to 0.76); float32 ships"

    def test_the_conversions_that_make_int8_slow_are_told(self) -> None:
        slow = replace(build("int8", p50_ms=10, speedup=0.72), conversions=76)
        found = judge(bench(slow, build("float32", p50_ms=7.2)), Gates())
        assert "76 of its operators only convert between float and INT8; float32 ships" in found.why

    def test_int8_beaten_by_bfloat16_does_not_ship(self) -> None:
        builds = (
            build("int8", p50_ms=5, speedup=1.6),
            build("bfloat16", p50_ms=4, speedup=2.0),
            build("float32", p50_ms=8),
        )
        found = judge(bench(*builds), Gates())
        assert found.shipped == "bfloat16"
        assert found.why == "int8 is slower than bfloat16 here (5 ms against 4 ms); bfloat16 ships"

    def test_equally_fast_builds_are_decided_by_their_size(self) -> None:
        builds = (
            build("int8", p50_ms=7.3, speedup=0.99, size_bytes=250),
            build("float32", p50_ms=7.2, size_bytes=900),
        )
        found = judge(bench(*builds), Gates())
        assert found.shipped == "int8"
        assert found.why == "as fast as float32 within noise; int8 is the smaller file"

    def test_builds_whose_own_intervals_overlap_are_told_apart_by_the_ratio_in_their_rounds(self) -> None:
        int8, bfloat16 = build("int8", p50_ms=5), build("bfloat16", p50_ms=4.9, size_bytes=2000)
        assert judge(bench(int8, bfloat16), NO_GATES).shipped == "int8"  # all that is known are two intervals
        for slower, faster in (
            (replace(int8, speedup_over={"bfloat16": Interval(0.98, 0.97, 0.99)}), bfloat16),
            (int8, replace(bfloat16, speedup_over={"int8": Interval(1.02, 1.01, 1.03)})),
        ):
            found = judge(bench(slower, faster), NO_GATES)
            assert found.shipped == "bfloat16"
            assert found.why == "int8 is slower than bfloat16 here (5 ms against 4.9 ms); bfloat16 ships"

    def test_builds_whose_ratio_may_be_1_are_level_although_their_own_intervals_lie_apart(self) -> None:
        level = replace(build("int8", p50_ms=5.5), speedup_over={"bfloat16": Interval(0.91, 0.82, 1.01)})
        found = judge(bench(level, build("bfloat16", p50_ms=5, size_bytes=2000)), NO_GATES)
        assert found.shipped == "int8"
        assert found.why == "as fast as bfloat16 within noise; int8 is the smaller file"

    def test_a_failing_int8_leaves_the_float_build(self) -> None:
        found = judge(
            bench(build("int8", p50_ms=3, lost=50, speedup=2.4), build("float32", p50_ms=7)), Gates(max_drop_points=1)
        )
        assert (found.verdict, found.shipped) == ("pass", "float32")
        assert found.why.startswith("int8 does not pass its gates")
        assert "above the allowed 1" in told(found, "int8")

    def test_when_nothing_passes_the_most_accurate_is_kept_and_the_verdict_is_fail(self) -> None:
        builds = (build("int8", p50_ms=3, lost=50), build("float32", p50_ms=7, lost=20))
        found = judge(bench(*builds), Gates(max_drop_points=1))
        assert (found.verdict, found.shipped) == ("fail", "float32")
        assert "kept for inspection" in found.why

    def test_when_nothing_runs_nothing_ships(self) -> None:
        broken = replace(build("int8", lost=None), error="no kernel")
        found = judge(bench(broken), Gates())
        assert (found.verdict, found.shipped) == ("fail", None)
        assert "no kernel" in found.reason

    def test_a_target_that_is_not_here_ships_int8_unmeasured(self) -> None:
        absent = bench(build("float32", lost=None), build("int8", lost=None), measured=False, reason="no GPU here.")
        found = judge(absent, Gates())
        assert (found.verdict, found.shipped) == ("not measured", "int8")
        assert found.reason == "not measured here: no GPU here"
        assert found.why == "no latency was measured here; int8 is preferred"

    def test_under_emulation_int8_ships_unless_it_surely_fails(self) -> None:
        def emulated(lost: int) -> Decision:
            builds = (build("int8", lost=lost, images=32), build("float32", images=32))
            return judge(bench(*builds, measured=False, emulated=True, reason="another CPU"), Gates(max_drop_points=1))

        assert (emulated(0).verdict, emulated(0).shipped) == ("pass", "int8")
        assert (emulated(1).verdict, emulated(1).shipped) == ("not measured", "int8")
        assert (emulated(20).verdict, emulated(20).shipped) == ("pass", "float32")
        assert "(int8 failed)" in emulated(20).why

    @pytest.mark.parametrize("choose", ["int8", "float32"])
    def test_a_pinned_precision_ships_whatever_the_speed(self, choose: Literal["int8", "float32"]) -> None:
        found = judge(bench(build("int8", p50_ms=10, speedup=0.72), build("float32", p50_ms=7)), Gates(), choose)
        assert (found.shipped, found.why) == (choose, f"the recipe asks for {choose}")

    def test_a_pinned_precision_that_fails_fails_the_target(self) -> None:
        found = judge(bench(build("int8", p50_ms=3, lost=50), build("float32", p50_ms=7)), Gates(), "int8")
        assert (found.verdict, found.shipped) == ("fail", "int8")

    def test_a_pinned_precision_that_was_not_built_is_wrong_usage(self) -> None:
        with pytest.raises(UsageError, match=r"x86-cpu has no such build \(it has float32\)"):
            judge(bench(build("float32", p50_ms=7)), Gates(), "int8")

    def test_a_target_without_builds_is_refused(self) -> None:
        with pytest.raises(UsageError, match="no build to judge"):
            judge(bench(), Gates())

    def test_a_latency_of_another_cpu_meets_and_misses_no_gate(self) -> None:
        builds = (build("int8", p50_ms=3, p99_ms=50, speedup=2), build("float32", p50_ms=6))
        other = replace(bench(*builds), other_cpu="x86-avx2 is a CPU without vnni; EPYC has vnni")
        found = judge(other, Gates(max_p99_ms=5))
        assert (found.verdict, found.shipped) == ("not measured", "int8")
        assert "p99 latency was measured on another CPU: x86-avx2 is a CPU without vnni; EPYC has vnni" in found.reason
        assert found.why == "latency on its own CPU was not measured; int8 is preferred"
        assert judge(other, Gates()).verdict == "pass"

    def test_a_build_that_could_not_be_measured_this_time_does_not_fail(self) -> None:
        cut = replace(build("int8", lost=None), unmeasured="fresh process did not finish within 300 s")
        found = judge(bench(cut, build("float32", p50_ms=6)), NO_GATES)
        assert told(found, "int8").startswith("not measured: fresh process did not finish within 300 s; the next build")
        assert [verdict.verdict for verdict in found.builds] == ["not measured", "pass"]
        assert found.why == "int8 was not measured; float32 is the fastest build that passes"


def test_the_gates_of_a_detector_speak_of_ap(labeled_cells: DetectionScores) -> None:
    build = BuildBench("int8", 10, accuracy=labeled_cells)
    bench = TargetBench("x86-cpu", "onnxruntime", "1", True, False, "", describe(), (0, 1, 2), (build,))
    drop, score = check_gates(build, bench, Gates(max_drop_points=1.0, min_score=0.9))
    assert drop.reason.startswith("AP drop 0.00 points (0.00 to 0.00), within the allowed 1")
    assert score.gate == "min_score"
    assert score.reason.startswith("AP ")
    assert "below the required 90 %" in score.reason
    sick = replace(build, accuracy=replace(labeled_cells, not_finite=2))
    assert "2 images gave NaN or infinite outputs" in judge(replace(bench, builds=(sick,)), Gates()).reason


@pytest.fixture
def labeled_cells() -> DetectionScores:
    """Of three images in which one of two objects is found."""
    truths: list[Boxes] = [(Box(0, 0, 4, 4, 0), Box(5, 5, 15, 15, 0)), (Box(2, 2, 30, 30, 0),), ()]
    found = np.full((3, 100, 6), -1, np.float32)
    found[:2, 0] = ((5, 5, 15, 15, 0.8, 0), (2, 2, 30, 30, 0.75, 0))
    return Detection().measure(found, truths, found, 1)
