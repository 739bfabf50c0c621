"""Case `minority-class`: what INT8 does to the rarest class is measured, told and judged."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.bench.gate_checks import GateCheck, check_gates
from edgetl.bench.gates import judge, judge_build
from edgetl.bench.host_answers import Answered, on_all_images
from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, HostCheck, TargetBench
from edgetl.recipes.gates import Gates
from edgetl.stages.repair import missed_by_int8
from edgetl.tasks import accuracy_gates
from edgetl.tasks.classification.accuracy import Accuracy, compare

GOOD, DEFECT = 950, 50
LABELS = np.repeat([0, 1], [GOOD, DEFECT])
NAMES = ("good", "defect")


def answering(wrong_good: int, wrong_defects: int) -> NDArray[np.float32]:
    answers = LABELS.copy()
    answers[:wrong_good] = 1
    answers[GOOD : GOOD + wrong_defects] = 0
    return np.asarray(np.eye(2, dtype=np.float32)[answers])


FLOAT = answering(0, 0)


def bench(accuracy: Accuracy | None, host: HostCheck | None = None) -> TargetBench:
    build = BuildBench("int8", 1000, accuracy=accuracy, host=host)
    measured, emulated = (not host, bool(host))
    return TargetBench(
        *("x86-cpu", "onnxruntime", "1", measured, emulated, "", describe(), tuple(range(len(LABELS))), (build,)),
        labels=NAMES,
    )


def only_check(accuracy: Accuracy | None, gates: Gates) -> GateCheck:
    found = bench(accuracy)
    (check,) = check_gates(found.builds[0], found, gates)
    return check


class TestMinorityClass:
    def test_a_fifth_of_the_defects_is_lost_within_one_point_of_top1(self) -> None:
        accuracy = compare(answering(0, 10), LABELS, FLOAT)
        good, defect = accuracy.recalls
        assert accuracy.drop_points.value == pytest.approx(1.0)
        assert good.drop_points is not None
        assert good.drop_points.value == 0
        assert defect.recall is not None
        assert defect.float_recall is not None
        assert defect.drop_points is not None
        assert (defect.images, defect.recall.value, defect.float_recall.value) == (50, 0.8, 1.0)
        assert defect.drop_points.value == pytest.approx(20.0)
        assert 8 < defect.drop_points.low < 12 < 30 < defect.drop_points.high < 34

    def test_the_gate_on_its_recall_fails_that_build(self) -> None:
        found = bench(compare(answering(0, 10), LABELS, FLOAT))
        passing = judge(found, Gates(max_drop_points=1.0))
        assert passing.verdict == "pass"
        failing = judge(found, Gates(max_drop_points=1.0, min_recall={"defect": 0.95}))
        assert failing.verdict == "fail"
        assert failing.reason == "recall of `defect` 80.0 % (67.0 to 88.8), below the required 95 %"

    def test_the_gate_on_the_loss_of_any_class_names_the_class(self) -> None:
        check = only_check(
            compare(answering(0, 10), LABELS, FLOAT), Gates(max_drop_points=None, max_recall_drop_points=5)
        )
        assert (check.verdict, check.label) == ("fail", "defect")
        assert check.value == pytest.approx(20.0)
        assert check.reason.startswith("recall of `defect` drops by 20.00 points (")
        assert check.reason.endswith("above the allowed 5")

    def test_few_images_of_the_class_are_too_few_to_be_sure(self) -> None:
        check = only_check(
            compare(answering(0, 1), LABELS, FLOAT), Gates(max_drop_points=None, min_recall={"defect": 0.95})
        )
        assert check.verdict == "pass"
        assert check.reason.endswith("at or above the required 95 %; 50 images are too few to be sure")

    def test_a_class_without_validation_images_is_not_judged(self) -> None:
        few = compare(FLOAT[:GOOD], LABELS[:GOOD], FLOAT[:GOOD])
        gates = Gates(max_drop_points=None, min_recall={"defect": 0.9})
        assert few.recalls[1].recall is None
        check = only_check(few, gates)
        assert (check.verdict, check.value) == ("not measured", None)
        assert check.reason == "recall of `defect` was not measured: that class has no validation image"

    def test_a_build_that_was_not_measured_is_not_judged(self) -> None:
        gates = Gates(max_drop_points=None, min_recall={"defect": 0.9}, max_recall_drop_points=1)
        found = bench(None)
        assert [check.verdict for check in check_gates(found.builds[0], found, gates)] == ["not measured"] * 2

    def test_int8_that_loses_the_class_is_repaired(self) -> None:
        found = bench(compare(answering(0, 10), LABELS, FLOAT))
        assert not missed_by_int8(found, Gates(max_drop_points=1.0))
        assert missed_by_int8(found, Gates(max_drop_points=1.0, min_recall={"defect": 0.95}))
        assert missed_by_int8(found, Gates(max_drop_points=1.0, max_recall_drop_points=5))


class TestEmulated:
    PICKED = np.r_[0:32, GOOD : GOOD + 32]

    def of(self, shift: float, lead: float) -> tuple[Accuracy, HostCheck]:
        """Two defects are missed by `lead` of a logit; emulation differs from the host by `shift`."""
        host = answering(0, 0)
        host[GOOD + 40 : GOOD + 42] = (lead, 0)
        emulated = host[self.PICKED].copy()
        emulated[0, 0] += np.float32(shift)
        found = on_all_images(Answered(host, emulated, self.PICKED), LABELS, FLOAT, 0)
        assert found is not None
        return found

    def test_undecided_answers_widen_the_recall_of_their_class(self) -> None:
        accuracy, check = self.of(shift=0.2, lead=0.1)
        decided, _ = self.of(shift=0.01, lead=0.1)
        assert check.most_recall == (1.0, 1.0)
        assert check.least_recall_drop_points == (0.0, 0.0)
        wide, narrow = accuracy.recalls[1].recall, decided.recalls[1].recall
        assert wide is not None
        assert narrow is not None
        assert wide.value == narrow.value == 0.96
        assert wide.high > narrow.high

    def test_the_gate_fails_only_where_no_undecided_answer_can_save_it(self) -> None:
        gates = Gates(max_drop_points=None, min_recall={"defect": 0.98})
        verdicts = []
        for shift in (0.2, 0.01):
            accuracy, check = self.of(shift, lead=0.1)
            found = bench(accuracy, check)
            verdicts.append(judge_build(found.builds[0], found, gates).verdict)
        assert verdicts == ["not measured", "fail"]


class TestGatesThatFloatMisses:
    FLOAT_MISSES = answering(0, 5)  # 90 % of the defects, 99.5 % in all

    def accuracy(self, wrong_defects: int) -> Accuracy:
        return compare(answering(0, wrong_defects), LABELS, self.FLOAT_MISSES)

    def test_the_verdict_says_that_the_float_network_misses_it_too(self) -> None:
        check = only_check(self.accuracy(7), Gates(max_drop_points=None, min_top1=0.999))
        assert check.verdict == "fail"
        assert check.reason.endswith("below the required 99.9 %; the float network itself has 99.5 %")
        recall = only_check(self.accuracy(7), Gates(max_drop_points=None, min_recall={"defect": 0.95}))
        assert recall.reason.endswith("below the required 95 %; the float network itself has 90.0 %")

    def test_what_only_rounding_lost_is_not_blamed_on_the_float_network(self) -> None:
        check = only_check(self.accuracy(9), Gates(max_drop_points=None, min_recall={"defect": 0.9}))
        assert check.verdict == "fail"
        assert "float network" not in check.reason

    @pytest.mark.parametrize("gates", [{"min_top1": 0.999}, {"min_recall": {"defect": 0.95}}])
    def test_no_repair_is_run_for_it(self, gates: dict[str, object]) -> None:
        found = bench(self.accuracy(7))
        assert not missed_by_int8(found, Gates(max_drop_points=None, **gates))
        assert missed_by_int8(found, Gates(max_drop_points=0.1, **gates)), "the drop is the rounding's"

    def test_a_gate_that_float_just_meets_is_within_reach(self) -> None:
        recalls = dict(zip(NAMES, self.accuracy(7).recalls, strict=True))
        gates = Gates(min_top1=0.995, min_recall={"defect": 0.9, "good": 1.0})
        assert accuracy_gates.within_reach(gates, 0.997 - 0.2 / 100, recalls) == gates
        assert accuracy_gates.missed_by_float(gates, "top-1", 0.995, recalls) == ()

    def test_what_it_misses_is_told_class_by_class(self) -> None:
        recalls = dict(zip(NAMES, self.accuracy(7).recalls, strict=True))
        gates = Gates(min_top1=0.999, min_recall={"defect": 0.95, "good": 0.9})
        assert accuracy_gates.missed_by_float(gates, "top-1", 0.995, recalls) == (
            "top-1 of 99.5 %, but gates.min_top1 requires 99.9 %",
            "a recall of 90.0 % for `defect`, but gates.min_recall requires 95 %",
        )
        left = accuracy_gates.within_reach(gates, 0.995, recalls)
        assert (left.min_top1, left.min_recall) == (None, {"good": 0.9})
