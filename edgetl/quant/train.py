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
from torch.nn import functional

from edgetl.recipe import Quantize
from edgetl.types import Progress

Normalized = Callable[[Sequence[int]], Tensor]  # indices of shots -> float32 (n, 3, H, W), normalised, on the device


@dataclass(frozen=True)
class Epoch:
    """The state after an epoch (0: calibrated, untrained), measured on the plain views of all shots.

    loss       distillation loss against the float network
    agreement  share of shots with the float network's class
    trained    mean loss of the epoch's training steps; None for epoch 0
    """

    epoch: int
    loss: float
    agreement: float
    trained: float | None = None


@dataclass(frozen=True)
class Views:
    """The shots in the two forms training needs; `count` shots, all on one device."""

    count: int
    plain: Normalized
    augmented: Normalized


def train(student: nn.Module, teacher: nn.Module, views: Views, config: Quantize, progress: Progress) -> list[Epoch]:
    """Train `student` in place and leave it at its best epoch; returns the history, epoch 0 first.

    student, teacher  float32 (n, 3, H, W) -> (n, classes), on the views' device
    """
    expected = _logits(teacher, views, config.batch_size)
    history = [_judge(student, expected, views, config, epoch=0, trained=None)]
    best = snapshot(student)
    steps = config.epochs * math.ceil(views.count / config.batch_size)
    parameters = [parameter.requires_grad_() for parameter in student.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
    order = torch.Generator().manual_seed(config.seed)
    with progress.task("quantize: train", config.epochs) as advance:
        for epoch in range(1, config.epochs + 1):
            losses = [
                _step(student, teacher, views.augmented(batch), optimizer, schedule, config.temperature)
                for batch in batches(views.count, config.batch_size, order)
            ]
            history.append(_judge(student, expected, views, config, epoch=epoch, trained=sum(losses) / len(losses)))
            if best_epoch(history) is history[-1]:
                best = snapshot(student)
            advance(detail=f"loss {history[-1].loss:.4f}, agreement {100 * history[-1].agreement:.1f} %")
    student.load_state_dict(best)
    return history


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """The lowest loss; the earlier of equals; never one that is not a number."""
    return min(history, key=lambda epoch: (math.isnan(epoch.loss), epoch.loss))


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """temperature**2 * KL(softmax(teacher / temperature) || softmax(student / temperature)), mean over the batch."""
    return temperature**2 * functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def _step(
    student: nn.Module,
    teacher: nn.Module,
    images: Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    temperature: float,
) -> float:
    with torch.no_grad():
        expected = teacher(images)
    loss = distillation_loss(student(images), expected, temperature)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    schedule.step()
    return float(loss.detach())


@torch.no_grad()
def _judge(
    student: nn.Module, expected: Tensor, views: Views, config: Quantize, *, epoch: int, trained: float | None
) -> Epoch:
    found = _logits(student, views, config.batch_size)
    loss = float(distillation_loss(found, expected, config.temperature))
    agreement = float((found.argmax(1) == expected.argmax(1)).float().mean())
    return Epoch(epoch, loss, agreement, trained)


@torch.no_grad()
def _logits(network: nn.Module, views: Views, size: int) -> Tensor:
    indices = range(views.count)
    return torch.cat([network(views.plain(indices[i : i + size])) for i in range(0, views.count, size)])


def batches(count: int, size: int, order: torch.Generator, most: int | None = None) -> Iterator[list[int]]:
    """Indices of `count` images in a new random order, `size` at a time; of `most` of them, where that is fewer."""
    shuffled = torch.randperm(count, generator=order).tolist()[:most]
    return (shuffled[i : i + size] for i in range(0, len(shuffled), size))


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the state, for `load_state_dict`."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
