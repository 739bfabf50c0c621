"""What every task promises about answers, scores and distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.errors import ParityError
from edgetl.tasks.base import TASKS, Outputs, Task, load_task
from edgetl.types import Box, Boxes, HeadClasses, Truth
from edgetl.types.frames import Frame

EXAMPLES, CLASSES, PLACES, SIDE = 24, 3, 12, 64


@dataclass(frozen=True)
class Case:
    """A task with outputs of a network that is mostly right."""

    task: Task
    outputs: Outputs
    truths: Sequence[Truth]
    frames: Sequence[Frame]

    def answers(self, outputs: Outputs | None = None) -> NDArray[np.float32]:
        return self.task.answer(outputs or self.outputs, self.frames)


def classified() -> Case:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, EXAMPLES)
    logits = rng.normal(size=(EXAMPLES, CLASSES)).astype(np.float32)
    logits[np.arange(EXAMPLES), labels] += 2
    return Case(load_task("classification"), {"logits": logits}, labels.tolist(), ())


def detected() -> Case:
    """One object in each image, found at one of its places, with noise at the others."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, EXAMPLES)
    corners = rng.uniform(0, SIDE / 2, (EXAMPLES, PLACES, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(8, SIDE / 2, (EXAMPLES, PLACES, 2))], axis=2)
    boxes = boxes.astype(np.float32)
    scores = rng.uniform(0, 0.3, (EXAMPLES, PLACES, CLASSES)).astype(np.float32)
    scores[np.arange(EXAMPLES), 0, labels] = rng.uniform(0.2, 0.95, EXAMPLES)
    truths = [_object(2 * row[0], int(label)) for row, label in zip(boxes, labels, strict=True)]
    frame = Frame(height=2 * SIDE, width=2 * SIDE, rows=SIDE, columns=SIDE, top=0, left=0)
    return Case(load_task("detection"), {"boxes": boxes, "scores": scores}, truths, [frame] * EXAMPLES)


def _object(corners: NDArray[np.float32], label: int) -> Boxes:
    x0, y0, x1, y1 = map(float, corners)
    return (Box(x0, y0, x1, y1, label),)


def of_two_heads() -> Case:
    """Logits of two heads side by side; every third example has no label for the second."""
    rng = np.random.default_rng(0)
    heads = (HeadClasses("kind", 0, ("a", "b", "c")), HeadClasses("state", 3, ("new", "worn")))
    labels = np.stack([rng.integers(0, 3, EXAMPLES), 3 + rng.integers(0, 2, EXAMPLES)], axis=1)
    logits = rng.normal(size=(EXAMPLES, 5)).astype(np.float32)
    for number in range(2):
        logits[np.arange(EXAMPLES), labels[:, number]] += 2
    truths = [tuple(row[: 1 if index % 3 == 0 else 2]) for index, row in enumerate(labels.tolist())]
    return Case(load_task("classification", heads), {"logits": logits}, truths, ())


CASES = {"classification": classified, "detection": detected, "heads": of_two_heads}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def moved(outputs: Outputs, by: float) -> Outputs:
    """Another computation of the same network: `by` is a share of the range of its last output."""
    name, values = list(outputs.items())[-1]
    noise = np.random.default_rng(1).uniform(-1, 1, values.shape) * by * (values.max() - values.min())
    return {**outputs, name: (values + noise).astype(np.float32)}


def test_a_task_names_itself_and_its_outputs(case: Case) -> None:
    assert set(case.outputs) == set(case.task.outputs)
    named = {TASKS[case.task.name].partition(":")[2], "Heads" if case.task.name == "classification" else ""}
    assert type(case.task).__name__ in named


def test_every_example_has_one_answer_that_does_not_depend_on_the_others(case: Case) -> None:
    answers = case.answers()
    assert answers.dtype == np.float32
    assert len(answers) == EXAMPLES
    order = np.random.default_rng(2).permutation(EXAMPLES)
    frames = [case.frames[index] for index in order] if case.frames else ()
    shuffled = case.task.answer({name: values[order] for name, values in case.outputs.items()}, frames)
    np.testing.assert_array_equal(shuffled, answers[order])


def test_the_float_network_loses_nothing_against_itself(case: Case) -> None:
    answers = case.answers()
    found = case.task.measure(answers, case.truths, answers, CLASSES)
    assert found.images == EXAMPLES
    assert found.score.metric == case.task.metric
    assert 0 < found.score.value.low <= found.score.value.value <= found.score.value.high <= 1
    assert found.drop_points.value == 0
    assert found.not_finite == 0


def test_a_worse_build_loses_points_and_the_interval_holds_them(case: Case) -> None:
    worse = case.answers(moved(case.outputs, 0.6))
    found = case.task.measure(worse, case.truths, case.answers(), CLASSES)
    assert found.drop_points.value > 0
    assert found.drop_points.low < found.drop_points.value < found.drop_points.high


def test_the_same_measurement_gives_the_same_numbers(case: Case) -> None:
    worse, reference = case.answers(moved(case.outputs, 0.3)), case.answers()
    one, two = (case.task.measure(worse, case.truths, reference, CLASSES, seed=5) for _ in range(2))
    assert one == two


def test_outputs_that_are_not_finite_are_counted_and_wrong(case: Case) -> None:
    broken = {name: values.copy() for name, values in case.outputs.items()}
    for values in broken.values():
        values[:3] = np.nan
    found = case.task.measure(case.answers(broken), case.truths, case.answers(), CLASSES)
    assert found.not_finite == 3
    assert found.drop_points.value > 0


def test_the_distance_of_outputs_from_themselves_is_zero_and_grows(case: Case) -> None:
    near, far = (case.task.distance(moved(case.outputs, by), case.outputs) for by in (0.02, 0.2))
    assert near.shape == (EXAMPLES,)
    assert not case.task.distance(case.outputs, case.outputs).any()
    assert 0 < np.sqrt((near**2).mean()) < np.sqrt((far**2).mean()) < 1


def test_an_exported_model_must_be_the_network(case: Case) -> None:
    same = case.task.closeness(case.outputs, case.outputs, "float32", "m.onnx")
    assert (same.difference, same.agreement) == (0.0, 1.0)
    case.task.closeness(moved(case.outputs, 0.02), case.outputs, "int8", "m.onnx")
    with pytest.raises(ParityError, match=r"^m\.onnx: .*differ"):
        case.task.closeness(moved(case.outputs, 0.02), case.outputs, "float32", "m.onnx")


def test_outputs_of_another_shape_are_not_the_network(case: Case) -> None:
    fewer = {name: values[:-1] for name, values in case.outputs.items()}
    with pytest.raises(ParityError, match=r"expected .* of shape"):
        case.task.closeness(fewer, case.outputs, "float32", "m.onnx")
