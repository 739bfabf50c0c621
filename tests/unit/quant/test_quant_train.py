from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from edgetl.quant.imitation import distillation_loss, imitation_for
from edgetl.quant.record import Epoch
from edgetl.quant.train import Views, best_epoch, train
from edgetl.recipes.recipe import Quantize
from edgetl.types import Silent

CLASSES = imitation_for("classification")


def _views(images: torch.Tensor) -> Views:
    def take(indices: Sequence[int]) -> torch.Tensor:
        return images[list(indices)]

    return Views(len(images), take, take)


def _pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    student = copy.deepcopy(teacher)
    with torch.no_grad():
        next(student.parameters()).add_(0.3 * torch.randn(3, 12))
    return student, teacher


def test_the_loss_is_the_textbook_formula() -> None:
    student, teacher = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[2.0, 0.0, 1.0]])
    p = np.exp(np.array([1.0, 0.0, 0.5])) / np.exp(np.array([1.0, 0.0, 0.5])).sum()
    q = np.exp(np.array([0.5, 1.0, 0.0])) / np.exp(np.array([0.5, 1.0, 0.0])).sum()
    expected = 4 * float((p * np.log(p / q)).sum())
    assert float(distillation_loss(student, teacher, 2.0)) == pytest.approx(expected, rel=1e-5)


def test_equal_networks_have_no_loss() -> None:
    logits = torch.randn(4, 5)
    assert float(distillation_loss(logits, logits, 3.0)) == pytest.approx(0.0, abs=1e-6)


def test_training_brings_the_student_closer_to_the_teacher() -> None:
    student, teacher = _pair()
    config = Quantize(epochs=5, batch_size=8, learning_rate=0.02)
    history = train(student, teacher, _views(torch.randn(32, 3, 2, 2)), config, CLASSES, Silent())
    assert len(history) == 6
    assert best_epoch(history).loss < 0.5 * history[0].loss


def test_training_that_only_harms_leaves_the_start() -> None:
    student, teacher = _pair()
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    student_loss_at_start = None
    config = Quantize(epochs=2, batch_size=8, learning_rate=1.0)
    history = train(student, teacher, _views(100 * torch.randn(32, 3, 2, 2)), config, CLASSES, Silent())
    student_loss_at_start = history[0].loss
    assert best_epoch(history).loss <= student_loss_at_start
    if best_epoch(history).epoch == 0:
        assert all(torch.equal(before[name], tensor) for name, tensor in student.state_dict().items())


def test_the_network_is_left_at_its_best_epoch() -> None:
    student, teacher = _pair()
    images = torch.randn(16, 3, 2, 2)
    config = Quantize(epochs=4, batch_size=16, learning_rate=0.2)
    history = train(student, teacher, _views(images), config, CLASSES, Silent())
    with torch.no_grad():
        loss = float(distillation_loss(student(images), teacher(images), config.temperature))
    assert loss == pytest.approx(best_epoch(history).loss, rel=1e-5)


def test_two_runs_with_one_seed_are_equal() -> None:
    images, states = torch.randn(16, 3, 2, 2), []
    for _ in range(2):
        student, teacher = _pair()
        train(student, teacher, _views(images), Quantize(epochs=2, batch_size=4), CLASSES, Silent())
        states.append(student.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_best_epoch_is_never_one_that_diverged() -> None:
    history = [Epoch(0, 0.5, 1.0), Epoch(1, float("nan"), 0.1), Epoch(2, 0.5, 1.0)]
    assert best_epoch(history).epoch == 0


def test_a_training_that_diverges_leaves_the_start_and_says_so() -> None:
    student, teacher = _pair()
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    config = Quantize(epochs=2, batch_size=8).model_copy(update={"learning_rate": 1e37})
    history = train(student, teacher, _views(100 * torch.randn(16, 3, 2, 2)), config, CLASSES, Silent())
    assert all(torch.equal(before[name], tensor) for name, tensor in student.state_dict().items())
    assert [epoch.epoch for epoch in history] == [0, 1, 2]
    assert math.isnan(history[2].loss)
