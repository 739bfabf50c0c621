"""Quantization-aware training with the float network as teacher (distillation, Hinton et al. 2015, arXiv:1503.02531).

Activation ranges stay as calibrated; the weights learn to live with the rounding. The start counts as a candidate, so
training never ends worse than calibration alone, judged on the plain views of the shots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgetl.pivot.adapted import outputs_of
from edgetl.quant.imitation import Imitation
from edgetl.quant.record import Epoch
from edgetl.recipes.recipe import Quantize, Surgery
from edgetl.types import Progress

Normalized = Callable[[Sequence[int]], Tensor]  # indices of shots -> float32 (n, 3, H, W), normalized, on the device


@dataclass(frozen=True)
class Views:
    """The shots in the two forms training needs; `count` shots, all on one device."""

    count: int
    plain: Normalized
    augmented: Normalized


def train(
    student: nn.Module,
    teacher: nn.Module,
    views: Views,
    config: Quantize,
    imitation: Imitation,
    progress: Progress,
) -> list[Epoch]:
    """Train `student` in place and leave it at its best epoch; returns the history, epoch 0 first.

    student, teacher  float32 (n, 3, H, W) -> the task's outputs, on the views' device
    """
    expected = _outputs(teacher, views, config.batch_size)

    def loss_of(batch: list[int]) -> Tensor:
        images = views.augmented(batch)
        with torch.no_grad():
            wanted = teacher(images)
        return imitation.loss(student(images), wanted, config.temperature)

    def judge(epoch: int, trained: float | None) -> Epoch:
        found = _outputs(student, views, config.batch_size)
        loss = float(imitation.loss(found, expected, config.temperature))
        return Epoch(epoch, loss, imitation.agreement(found, expected), trained)

    return train_epochs(student, config, views.count, loss_of, judge, "quantize: train", progress)


def train_epochs(
    student: nn.Module,
    config: Quantize | Surgery,
    count: int,
    loss_of: Callable[[list[int]], Tensor],
    judge: Callable[[int, float | None], Epoch],
    task: str,
    progress: Progress,
    most: int | None = None,
) -> list[Epoch]:
    """Train `student` in place with AdamW, its rate falling along a cosine, and leave it at its best epoch; returns the
    history, epoch 0 (untrained) first.

    count    images, of which each epoch sees all in a new order, or `most` of them
    loss_of  indices of a batch -> its loss, a scalar with gradients
    judge    number of an epoch and mean loss of its steps -> the student's result so far
    """
    history = [judge(0, None)]
    best = snapshot(student)
    steps = max(1, config.epochs * math.ceil(min(count, most or count) / config.batch_size))
    parameters = [parameter.requires_grad_() for parameter in student.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
    order = torch.Generator().manual_seed(config.seed)
    with progress.task(task, config.epochs) as advance:
        for epoch in range(1, config.epochs + 1):
            losses: list[float] = []
            for batch in batches(count, config.batch_size, order, most):
                loss = loss_of(batch)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                losses.append(float(loss.detach()))
            history.append(judge(epoch, sum(losses) / len(losses)))
            if best_epoch(history) is history[-1]:
                best = snapshot(student)
            advance(detail=f"loss {history[-1].loss:.4f}, agreement {100 * history[-1].agreement:.1f} %")
    student.load_state_dict(best)
    return history


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """The lowest loss; the earlier of equals; never one that is not a number."""
    return min(history, key=lambda epoch: (math.isnan(epoch.loss), epoch.loss))


@torch.no_grad()
def _outputs(network: nn.Module, views: Views, size: int) -> tuple[Tensor, ...]:
    indices = range(views.count)
    parts = [outputs_of(network(views.plain(indices[i : i + size]))) for i in range(0, views.count, size)]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def batches(count: int, size: int, order: torch.Generator, most: int | None = None) -> Iterator[list[int]]:
    """Indices of `count` images in a new random order, `size` at a time; of `most` of them, where that is fewer."""
    shuffled = torch.randperm(count, generator=order).tolist()[:most]
    return (shuffled[i : i + size] for i in range(0, len(shuffled), size))


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the state, for `load_state_dict`."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
