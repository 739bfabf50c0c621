"""Several heads: each is judged on the examples that are labeled for it, and each must meet the gates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.bench.gates import judge
from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, TargetBench
from edgetl.errors import ParityError
from edgetl.recipes.gates import Gates, HeadGates
from edgetl.stages.repair import missed_by_int8
from edgetl.tasks import accuracy_gates
from edgetl.tasks.heads.scores import HeadScores, measure
from edgetl.tasks.heads.task import Heads
from edgetl.types import HeadClasses
from edgetl.types.data import are_heads_of

HEADS = (HeadClasses("kind", 0, ("bolt", "gear", "nut")), HeadClasses("state", 3, ("new", "worn")))
COUNT = 200
KIND, STATE = np.arange(COUNT) % 3, np.arange(COUNT) // 3 % 2
TRUTHS = [(int(kind), 3 + int(state)) for kind, state in zip(KIND, STATE, strict=True)]


def answering(wrong_kinds: int = 0, wrong_states: int = 0) -> NDArray[np.float32]:
    logits = np.zeros((COUNT, 5), np.float32)
    rows = np.arange(COUNT)
    logits[rows, (KIND + (rows < wrong_kinds)) % 3] = 2
    logits[rows, 3 + (STATE + (rows < wrong_states)) % 2] = 9  # larger than those of the other head
    return logits


def scores(wrong_kinds: int = 0, wrong_states: int = 0) -> HeadScores:
    return measure(HEADS, answering(wrong_kinds, wrong_states), TRUTHS, answering())


def bench(found: HeadScores) -> TargetBench:
    build = BuildBench("int8", 1000, accuracy=found)
    return TargetBench(
        *("x86-cpu", "onnxruntime", "1", True, False, "", describe(), tuple(range(COUNT)), (build,)),
        labels=tuple(label for head in HEADS for label in head.labels),
    )


def test_a_head_is_right_by_its_own_logits() -> None:
    found = dict(scores(20, 5).measured)
    assert (found["kind"].top1.value, found["state"].top1.value) == (0.9, 0.975)
    assert len(found["kind"].confusion) == 3


def test_the_score_is_that_of_the_worst_head_and_the_drop_that_of_the_one_that_lost_most() -> None:
    found = scores(20, 5)
    assert found.score.value.value == 0.9
    assert found.drop_points.value == pytest.approx(10)


def test_an_example_without_a_label_does_not_count() -> None:
    truths = [truth if index >= 20 else truth[:1] for index, truth in enumerate(TRUTHS)]
    found = dict(measure(HEADS, answering(0, 20), truths, answering()).measured)
    assert (found["state"].images, found["state"].top1.value) == (COUNT - 20, 1.0)
    assert found["kind"].images == COUNT


def test_a_head_without_any_label_has_no_accuracy_and_recalls_of_no_images() -> None:
    found = measure(HEADS, answering(), [truth[:1] for truth in TRUTHS], answering())
    assert [name for name, _ in found.measured] == ["kind"]
    assert [recall.images for recall in found.recalls] == [67, 67, 66, 0, 0]


def test_logits_that_are_not_finite_are_wrong_for_every_head() -> None:
    logits = answering()
    logits[:10, 4] = np.nan
    found = measure(HEADS, logits, TRUTHS, answering())
    assert found.not_finite == 10
    assert [each.top1.value for _, each in found.measured] == [0.95, 0.95]


def test_every_head_must_meet_the_gates() -> None:
    passing = judge(bench(scores(1, 1)), Gates(max_drop_points=1.0, min_score=0.98))
    assert passing.verdict == "pass"
    failing = judge(bench(scores(1, 10)), Gates(max_drop_points=1.0))
    assert failing.verdict == "fail"
    assert failing.reason.startswith("state: drop 5.00 points")
    assert [(check.gate, check.label, check.verdict) for check in failing.builds[0].checks] == [
        ("max_drop_points", "kind", "pass"),
        ("max_drop_points", "state", "fail"),
    ]


def test_a_head_has_its_own_gates_in_place_of_the_common_ones() -> None:
    gates = Gates(max_drop_points=1.0, min_score=0.9, heads={"state": HeadGates(max_drop_points=6, min_score=0.94)})
    assert judge(bench(scores(1, 10)), gates).verdict == "pass"
    assert judge(bench(scores(1, 13)), gates).verdict == "fail"
    assert judge(bench(scores(3, 10)), gates).verdict == "fail"


def test_int8_is_repaired_if_a_head_misses_its_own_gate() -> None:
    gates = Gates(max_drop_points=None, heads={"state": HeadGates(max_drop_points=1)})
    assert missed_by_int8(bench(scores(50, 10)), gates)
    assert not missed_by_int8(bench(scores(50, 1)), gates)


def test_only_the_head_whose_float_network_misses_a_gate_is_let_off() -> None:
    gates = Gates(max_drop_points=None, min_score=0.96)
    values = accuracy_gates.heads_of(measure(HEADS, answering(20), TRUTHS, answering(20)))
    assert accuracy_gates.missed_by_float(gates, "lowest top-1", 0.9, {}, values) == (
        "top-1 of kind of 90.0 %, but gates.min_score requires 96 %",
    )
    left = accuracy_gates.within_reach(gates, 0.9, {}, values)
    assert accuracy_gates.allow(left, 0, 0.9, {}, heads=accuracy_gates.heads_of(scores(20, 8)))
    assert not accuracy_gates.allow(left, 0, 0.9, {}, heads=accuracy_gates.heads_of(scores(20, 9)))


def test_an_exported_model_must_be_close_in_every_head() -> None:
    task, expected = Heads(HEADS), {"logits": answering()}
    moved = answering()
    moved[:, 3:] = moved[:, [4, 3]]
    with pytest.raises(ParityError, match=r"float32\.onnx: head state: the ONNX model differs"):
        task.closeness({"logits": moved}, expected, "float32", "float32.onnx")
    assert task.closeness(expected, expected, "float32", "float32.onnx").agreement == 1


def test_predictions_are_compared_head_by_head() -> None:
    assert Heads(HEADS).agreeing({"logits": answering(20, 5)}, {"logits": answering()}) == (2 * COUNT - 25, 2 * COUNT)


@pytest.mark.parametrize(
    "heads",
    [
        HEADS[:1],
        (HEADS[1], HEADS[0]),
        (HEADS[0], HeadClasses("state", 2, ("new", "worn"))),
        (HEADS[0], HeadClasses("state", 3, ("new", "old"))),
        (HEADS[0], HeadClasses("state", 3, ("new",)), HeadClasses("b", 4, ("worn",))),
    ],
)
def test_heads_that_do_not_own_the_labels_are_refused(heads: tuple[HeadClasses, ...]) -> None:
    labels = ("kind/bolt", "kind/gear", "kind/nut", "state/new", "state/worn")
    assert are_heads_of(HEADS, labels)
    assert not are_heads_of(heads, labels)
