"""Calibration or training: what the validation images say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_calibration import pictures
from torch import nn

from edgetl.quant.decide import decide, is_inside, judge_on
from edgetl.quant.record import Judged
from edgetl.recipes.gates import Gates
from edgetl.tasks.base import load_task
from edgetl.types import ImagePreprocessing, Interval, Silent, Split

P = ImagePreprocessing(32, 32, "squash", (0.4, 0.5, 0.6), (0.5, 0.5, 0.5))


def _judged(drop_points: float, top1: float = 0.9) -> Judged:
    return Judged(300, top1, Interval(drop_points, drop_points - 1, drop_points + 1))


class _Rounded(nn.Module):
    """Loses `before` points until it is trained, then `after`."""

    def __init__(self, before: float, after: float) -> None:
        super().__init__()
        self.loss = nn.Parameter(torch.tensor(before, dtype=torch.float64))
        self._after = after
        self.trainings = 0

    def train_it(self) -> None:
        self.trainings += 1
        self.loss.data.fill_(self._after)


def _judge(network: nn.Module) -> Judged:
    return _judged(network.get_parameter("loss").item())


def test_a_network_with_half_of_the_gate_left_is_not_trained() -> None:
    network = _Rounded(0.5, 0.0)
    decision = decide(network, _judge, Gates(max_drop_points=1.0), network.train_it)
    assert (decision.method, decision.trained, network.trainings) == ("ptq", None, 0)
    assert decision.sentence.startswith(
        "After calibration the drop is 0.50 points (−0.50 to 1.50) on 300 validation images"
    )
    assert decision.sentence.endswith("0.50 is half of what the gate allows: not trained.")


def test_a_network_close_to_the_gate_is_trained() -> None:
    network = _Rounded(0.6, 0.2)
    decision = decide(network, _judge, Gates(max_drop_points=1.0), network.train_it)
    assert (decision.method, network.trainings) == ("qat", 1)
    assert decision.calibrated.drop_points.value == pytest.approx(0.6)
    assert decision.trained is not None
    assert decision.trained.drop_points.value == pytest.approx(0.2)
    assert network.loss.item() == pytest.approx(0.2)


@pytest.mark.parametrize("after", [0.6, 2.0])
def test_training_that_helps_nothing_is_taken_back(after: float) -> None:
    network = _Rounded(0.6, after)
    decision = decide(network, _judge, Gates(max_drop_points=1.0), network.train_it)
    assert (decision.method, network.trainings) == ("ptq", 1)
    assert network.loss.item() == pytest.approx(0.6)
    assert decision.sentence.endswith("which is not lower, so calibration is kept.")


@pytest.mark.parametrize(
    ("gates", "inside"),
    [
        (Gates(max_drop_points=None), True),
        (Gates(max_drop_points=10.0), True),
        (Gates(max_drop_points=9.9), False),
        (Gates(max_drop_points=None, min_top1=0.9), True),
        (Gates(max_drop_points=None, min_top1=0.91), False),
        (Gates(max_drop_points=10.0, min_top1=0.91), False),
    ],
)
def test_every_accuracy_gate_counts(gates: Gates, inside: bool) -> None:
    assert is_inside(_judged(5.0, top1=0.9), gates) is inside


def test_without_a_gate_nothing_is_trained_and_that_is_said() -> None:
    network = _Rounded(50.0, 0.0)
    decision = decide(network, _judge, Gates(max_drop_points=None), network.train_it)
    assert decision.sentence.endswith("there is no accuracy gate: not trained.")


def test_networks_are_judged_on_the_same_pictures_against_the_float_one(tmp_path: Path) -> None:
    samples = pictures(tmp_path, 20)
    labels = [sample.label for sample in samples]

    class Answers(nn.Module):
        """Right on all pictures but the first `wrong`."""

        def __init__(self, wrong: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self._wrong, self._seen = wrong, 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape[1:] == (3, 32, 32)
            rows = range(self._seen, self._seen + len(images))
            self._seen = (self._seen + len(images)) % len(labels)
            given = [1 - labels[row] if row < self._wrong else labels[row] for row in rows]
            return torch.from_numpy(np.eye(2, dtype=np.float32)[given])

    split = Split(("a", "b"), (), samples, (), "squash", "", "")
    judge = judge_on(load_task("classification"), split, Answers(wrong=2), P, Silent())
    found = judge(Answers(wrong=5))
    assert (found.images, found.score) == (20, 0.75)
    assert found.drop_points.value == pytest.approx(15.0)
    assert found.drop_points.low < 15.0 < found.drop_points.high
