"""Trains a detector, or only its layers after the backbone on cached features, for a number of steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.adapt.detection.inputs import Features, Given, Inputs
from edgetl.adapt.finetune import rate_factor
from edgetl.adapt.merged import merged
from edgetl.tasks.detection.networks.base import Detector, Targets
from edgetl.types import Advance

_CLIP = 10.0  # norm of the gradients


@dataclass(frozen=True)
class Plan:
    """rates  peak learning rate of each parameter that is trained, by name
    new       layers without pretrained values: their batch norms use the statistics of the batch
    steps     of `batch_size` images
    """

    rates: Mapping[str, float]
    new: frozenset[str]
    steps: int
    batch_size: int
    weight_decay: float
    seed: int


def train(detector: Detector, inputs: Inputs, indices: Sequence[int], plan: Plan, advance: Advance) -> list[float]:
    """Train `detector` in place on the images `indices`; it ends in eval mode. The loss of every step.

    AdamW with a linear warm-up and half a cosine. All randomness comes from `plan.seed`. A loss that is not finite ends
    it.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    members = [(name, parameter) for name, parameter in detector.named_parameters() if name in plan.rates]
    optimizer = torch.optim.AdamW(
        [
            {"params": [parameter], "lr": plan.rates[name], "weight_decay": plan.weight_decay * (parameter.ndim > 1)}
            for name, parameter in members
        ]
    )
    peaks = [group["lr"] for group in optimizer.param_groups]
    loss_of = _prepare(detector, plan)
    losses: list[float] = []
    batches = _batches(indices, plan.batch_size, generator)
    for step in range(plan.steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * rate_factor(step, plan.steps)
        batch = inputs.batch(next(batches), generator)
        optimizer.zero_grad()
        loss = loss_of(batch.given, batch.targets)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_([parameter for _, parameter in members], _CLIP)
        optimizer.step()
        losses.append(float(loss.detach()))
        advance(1, f"loss {losses[-1]:.3f}")
        if not math.isfinite(losses[-1]):
            break
    detector.eval().requires_grad_(False)
    return losses


def _prepare(detector: Detector, plan: Plan) -> Callable[[Given, Sequence[Targets]], Tensor]:
    """Set modes and gradients; the loss of a batch of images or of features."""
    for name, parameter in detector.named_parameters():
        parameter.requires_grad_(name in plan.rates)
    _set_modes(detector, plan.new)
    features: Features | None = None

    def loss(given: Given, targets: Sequence[Targets]) -> Tensor:
        nonlocal features
        if isinstance(given, Tensor):
            features = features or features_of(detector.backbone, given)
            given = features(given)
        return detector.loss(detector.head(given), targets)

    return loss


def features_of(backbone: nn.Module, images: Tensor) -> Features:
    """The backbone as a function of images like these, faster: batch norms are merged into the layers before them
    unless they use batch statistics, and few images are run at a time, whose activations fit the cache of a core."""
    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training for part in backbone.modules()):
        return backbone
    if images.device.type != "cpu":
        return backbone
    fast: Any = merged(backbone, images)

    def features(images: Tensor) -> tuple[Tensor, ...]:
        parts = [fast.forward(part) for part in torch.split(images, fast.at_once)]
        return tuple(torch.cat(level) for level in zip(*parts, strict=True))

    return features


def _set_modes(detector: Detector, new: frozenset[str]) -> None:
    """Train mode for modules with trained parameters, except for pretrained batch norms: their statistics stay."""
    detector.train()
    for name, module in detector.named_modules():
        parameters = list(module.named_parameters(recurse=False))
        frozen = bool(parameters) and not any(parameter.requires_grad for _, parameter in parameters)
        norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        if frozen or (norm and not all(f"{name}.{each}" in new for each, _ in parameters)):
            module.train(False)
    for part in (detector.backbone, *detector.children()):
        if not any(parameter.requires_grad for parameter in part.parameters()):
            part.eval()


def _batches(indices: Sequence[int], size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Batches without end, in a new random order each time all images were seen."""
    waiting: list[int] = []
    while True:
        while len(waiting) < size:
            waiting += [indices[position] for position in torch.randperm(len(indices), generator=generator).tolist()]
        yield waiting[:size]
        waiting = waiting[size:]
