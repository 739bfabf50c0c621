"""Training of a small torch module on cached features: a random view of every image per epoch, early stop on folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgetl.tasks.classification.folds import stratified_folds
from edgetl.tasks.classification.heads.head import Floats, Labels
from edgetl.tasks.classification.heads.temperature import best_scale, blind_scale, cross_entropy

Build = Callable[[int, int, torch.Generator], nn.Module]
"""(features, classes, generator) -> module float32 (N, features) -> (N, classes), drawn from the generator."""

_FOLDS = 3


@dataclass(frozen=True)
class Recipe:
    """How a module is trained. AdamW, constant rate; the judged and kept weights are an exponential average."""

    learning_rate: float
    weight_decay: float
    label_smoothing: float = 0.1
    batch_size: int = 64
    most_epochs: int = 100
    judged_every: int = 5  # epochs
    average_decay: float = 0.9  # per step


@dataclass(frozen=True)
class Trained:
    """The module, in eval mode, for features @ rotation (D, D); the factor that calibrates its logits; its epochs."""

    module: nn.Module
    rotation: Floats
    scale: float
    epochs: int


def train(build: Build, recipe: Recipe, views: Floats, labels: Labels, num_classes: int, seed: int) -> Trained:
    """Train on views (V, N, D) and labels (N,); deterministic for one seed and one number of threads.

    Epochs and scale are those with the least cross entropy of the held-out plain views over three folds. Where a
    class has a single shot there is nothing to hold out: half of the most epochs, and a modest scale.

    The features are turned at random first. Adam takes steps of one size along every axis, so along principal axes
    it would learn as much from the faintest direction as from the strongest, and few shots teach noise that way.
    """
    rotation = _random_rotation(views.shape[2], seed)
    shots = torch.from_numpy((views @ rotation).astype(np.float32)), torch.from_numpy(labels)
    folds = stratified_folds(labels.tolist(), _FOLDS, seed)
    if not folds:
        epochs = recipe.most_epochs // 2
        module = _run(build, recipe, *shots, num_classes, seed, epochs)[0]
        return Trained(module, rotation, blind_scale(_logits(module, shots[0][0]), labels), epochs)
    held_out_logits = np.zeros((recipe.most_epochs // recipe.judged_every, len(labels), num_classes))
    for fold in folds:
        train, held_out = list(fold.train), list(fold.held_out)
        _, judged = _run(
            build, recipe, shots[0][:, train], shots[1][train], num_classes, seed, recipe.most_epochs,
            shots[0][0, held_out],
        )  # fmt: skip
        held_out_logits[:, held_out] = judged
    tried = []
    for number, logits in enumerate(held_out_logits):
        scale = best_scale(logits, labels)
        tried.append((float(cross_entropy(scale * logits, labels).mean()), number, scale))
    _, number, scale = min(tried)
    epochs = (number + 1) * recipe.judged_every
    return Trained(_run(build, recipe, *shots, num_classes, seed, epochs)[0], rotation, scale, epochs)


def as_floats(tensor: Tensor) -> Floats:
    """A parameter as float64 on the CPU."""
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def _random_rotation(size: int, seed: int) -> Floats:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def _run(
    build: Build,
    recipe: Recipe,
    views: Tensor,
    labels: Tensor,
    num_classes: int,
    seed: int,
    epochs: int,
    held_out: Tensor | None = None,
) -> tuple[nn.Module, Floats]:
    """The averaged module after `epochs`, and its logits (J, H, C) on `held_out` after every few of them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # torch's layers draw from the global generator when they are made
        module = build(views.shape[2], num_classes, generator)
    average = [parameter.detach().clone() for parameter in module.parameters()]
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    judged, step = [], 0
    for epoch in range(1, epochs + 1):
        shown = views[torch.randint(len(views), (len(labels),), generator=generator), torch.arange(len(labels))]
        module.train()
        order = torch.randperm(len(labels), generator=generator)
        for batch in torch.split(order, recipe.batch_size):
            loss = functional.cross_entropy(module(shown[batch]), labels[batch], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
            kept = min(recipe.average_decay, (step - 1) / step)  # a plain mean until the decay takes over
            for mean, parameter in zip(average, module.parameters(), strict=True):
                mean.lerp_(parameter.detach(), 1 - kept)
        if held_out is not None and epoch % recipe.judged_every == 0:
            judged.append(_with_weights(module, average, held_out))
    with torch.no_grad():
        for mean, parameter in zip(average, module.parameters(), strict=True):
            parameter.copy_(mean)
    return module.eval(), np.stack(judged) if judged else np.zeros((0, 0, num_classes))


@torch.no_grad()
def _with_weights(module: nn.Module, weights: list[Tensor], inputs: Tensor) -> Floats:
    own = [parameter.clone() for parameter in module.parameters()]
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.copy_(value)
    logits = _logits(module.eval(), inputs)
    for parameter, value in zip(module.parameters(), own, strict=True):
        parameter.copy_(value)
    return logits


@torch.no_grad()
def _logits(module: nn.Module, inputs: Tensor) -> Floats:
    return np.asarray(module(inputs).numpy(), dtype=np.float64)
