"""Fine-tunes the part of a network that is not frozen, starting from a fitted head."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgetl.adapt.inputs import Inputs
from edgetl.adapt.losses import contrast_of, loss_of_heads, scores_of_heads
from edgetl.adapt.merged import Merged, merged
from edgetl.adapt.snapshot import Snapshots
from edgetl.backbones.classifier import features
from edgetl.backbones.freeze import is_under, set_modes
from edgetl.backbones.reproducible import own_draws
from edgetl.backbones.speed import packed
from edgetl.recipes.recipe import Adapt
from edgetl.types import HeadClasses

_JUDGED_AT_ONCE = 8  # more do not fit into the cache of a core
_WARM_UP = 0.1  # share of the steps

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of logits (n, C) and labels, the mean over the images."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training shots. The held-out values are None if nothing was held out."""

    epoch: int
    learning_rate: float
    train_loss: float
    held_out_loss: float | None
    held_out_top1: float | None
    seconds: float


@dataclass(frozen=True)
class Plan:
    """How one network is trained. `by_block` has the names of the trained parts, block by block from input to output,
    without the head; `contrast` says whether the features of a batch are compared with each other too; with several
    `heads` their losses are added, each the mean over the images that are labeled for it."""

    config: Adapt
    learning_rate: float
    by_block: tuple[tuple[str, ...], ...]
    head: str
    epochs: int
    contrast: bool = False
    heads: tuple[HeadClasses, ...] = ()


@dataclass(frozen=True)
class Trained:
    """The epochs that were run, and the held-out logits (epochs, held out, C) after each."""

    history: tuple[Epoch, ...]
    logits: NDArray[np.float32]

    @property
    def diverged(self) -> bool:
        return not self.history or not math.isfinite(self.history[-1].train_loss)


def finetune(
    network: nn.Module,
    inputs: Inputs,
    labels: NDArray[np.int64],
    train: Sequence[int],
    held_out: Sequence[int],
    plan: Plan,
    *,
    stop_after: int | None = None,
    after_epoch: Callable[[Epoch], None] = lambda _: None,
    snapshots: Snapshots | None = None,
) -> Trained:
    """Train `network` in place on the images `train`; it ends in eval mode. labels (N,) of all images, or (N, heads).

    The schedule is always that of `plan.epochs`. `stop_after` ends it early, so that the network equals that of a trial
    after as many epochs. A loss that is not finite also ends it, and so do `patience` epochs in the second half without
    a better loss on `held_out` (in the first half the loss may rise and fall again as the rate anneals). All randomness
    comes from `config.seed`. With `snapshots` (nothing held out) a killed training resumes.
    """
    trainer = _Trainer(network, inputs, torch.from_numpy(labels), plan, loss_for(plan, labels[list(train)]))
    history: list[Epoch] = []
    logits: list[NDArray[np.float32]] = []
    count = stop_after or plan.epochs
    with own_draws(network, plan.config.seed):
        if snapshots and (kept := snapshots.read()):
            trainer.resume(kept[0])
            history = [Epoch(**record) for record in kept[1]]
            for done in history:
                after_epoch(done)
        for epoch in range(len(history) + 1, count + 1):
            start = time.monotonic()
            mean_loss = trainer.epoch(train, epoch)
            loss = top1 = None
            if held_out:
                logits.append(logits_of(network, inputs, held_out))
                loss, top1 = _scores(logits[-1], labels[list(held_out)], plan.heads)
            history.append(Epoch(epoch, trainer.rate, mean_loss, loss, top1, time.monotonic() - start))
            after_epoch(history[-1])
            if snapshots:
                snapshots.write(trainer.state(), [asdict(done) for done in history], last=epoch == count)
            if not math.isfinite(mean_loss) or _out_of_patience(history, plan):
                break
    network.eval().requires_grad_(False)
    return Trained(tuple(history), np.stack(logits) if logits else np.zeros((0, 0, 0), np.float32))


def loss_for(plan: Plan, train: NDArray[np.int64]) -> Loss:
    """train  labels of the images that are trained on"""
    smoothing = plan.config.label_smoothing
    if plan.heads:
        return loss_of_heads(plan.heads, train, smoothing)
    return lambda logits, labels: functional.cross_entropy(logits, labels, label_smoothing=smoothing)


def rate_factor(step: int, steps: int) -> float:
    """Factor on the peak rate: linear warm-up, then half a cosine to zero (arXiv:1608.03983, eq. 5)."""
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


@torch.no_grad()
def logits_of(network: nn.Module, inputs: Inputs, indices: Sequence[int]) -> NDArray[np.float32]:
    """Logits (n, C) for the plain views of the images `indices`; the network ends in eval mode."""
    network.eval()
    parts = [indices[start : start + _JUDGED_AT_ONCE] for start in range(0, len(indices), _JUDGED_AT_ONCE)]
    return torch.cat([network(packed(inputs.plain(part))).float().cpu() for part in parts]).numpy()


class _Trainer:
    """A network with its optimizer and random numbers."""

    def __init__(self, network: nn.Module, inputs: Inputs, labels: Tensor, plan: Plan, loss: Loss) -> None:
        self._network, self._inputs, self._labels, self._plan, self._loss = network, inputs, labels, plan, loss
        self._generator = torch.Generator().manual_seed(plan.config.seed)
        learning = [plan.head, *chain(*plan.by_block)]
        self._members = [pair for pair in network.named_parameters() if is_under(pair[0], learning)]
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        groups = [
            {"params": [parameter], "weight_decay": plan.config.weight_decay * (parameter.ndim > 1)}
            for _, parameter in self._members
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate)
        self._step, self.rate = 0, 0.0
        self._merged: Merged | None = None

    def epoch(self, train: Sequence[int], number: int) -> float:
        """Train for one pass; the mean loss."""
        config = self._plan.config
        self._unfreeze(number)
        normed = config.batch_norm == "trained"
        set_modes(self._network, train_batch_norm=normed)
        # a trained batch norm has no statistics with one image
        batches = _batches(train, config.batch_size, self._generator, fewest=2 if normed else 1)
        losses = [self._train(batch, len(batches) * self._plan.epochs) for batch in batches]
        return sum(losses) / len(losses)

    def state(self) -> dict[str, Tensor]:
        """All that the next epoch depends on."""
        parts: dict[str, Mapping[str, Tensor]] = {"network": self._network.state_dict()}
        for number, (_, parameter) in enumerate(self._members):
            parts[f"optimizer {number}"] = self._optimizer.state.get(parameter, {})
        named = {f"{part}: {name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}
        own = {"step": torch.tensor(self._step), "order": self._generator.get_state(), "draws": torch.get_rng_state()}
        return {**named, **own}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a result of `state`."""

        def part(name: str) -> dict[str, Tensor]:
            return {key.partition(": ")[2]: tensor for key, tensor in state.items() if key.startswith(f"{name}: ")}

        self._network.load_state_dict(part("network"))
        for number, (_, parameter) in enumerate(self._members):
            if kept := part(f"optimizer {number}"):
                self._optimizer.state[parameter] = {
                    key: tensor if key == "step" else tensor.to(parameter.device) for key, tensor in kept.items()
                }
        self._step = int(state["step"])
        self._generator.set_state(state["order"])
        torch.set_rng_state(state["draws"])

    def _unfreeze(self, number: int) -> None:
        blocks, every = self._plan.by_block, self._plan.config.unfreeze_epochs
        count = len(blocks) if not every else min(len(blocks), (number - 1) // every)
        trained = [*chain(*blocks[len(blocks) - count :]), self._plan.head]
        for name, parameter in self._members:
            parameter.requires_grad_(is_under(name, trained))

    def _train(self, batch: Sequence[int], steps: int) -> float:
        self.rate = self._plan.learning_rate * rate_factor(self._step, steps)
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate
        inputs = self._inputs.views(batch, self._generator)
        labels = self._labels[list(batch)].to(inputs.device)
        self._optimizer.zero_grad()
        loss = self._backward(packed(inputs), labels)
        self._optimizer.step()
        self._step += 1
        return loss

    def _backward(self, inputs: Tensor, labels: Tensor) -> float:
        """Gradients of the mean loss over the batch, and that loss.

        If no batch norm uses batch statistics, the batch is processed in parts that fit the cache; the sum is the same.
        """
        if self._plan.contrast:
            pooled, logits = features(self._network, self._plan.head, inputs)
            loss = self._loss(logits, labels) + contrast_of(pooled, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())
        forward, at_once = self._forward(inputs)
        total = 0.0
        for images, truths in zip(torch.split(inputs, at_once), torch.split(labels, at_once), strict=True):
            loss = self._loss(forward(images), truths)
            loss = loss * (len(images) / len(inputs))
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def _forward(self, inputs: Tensor) -> tuple[Callable[[Tensor], Tensor], int]:
        """The network, and how many images it takes at once."""
        if self._plan.config.batch_norm == "trained" or inputs.device.type != "cpu":
            return self._network, len(inputs)
        if self._merged is None:
            self._merged = merged(self._network, inputs)
        return self._merged.forward, self._merged.at_once


def _scores(
    logits: NDArray[np.float32], labels: NDArray[np.int64], heads: Sequence[HeadClasses]
) -> tuple[float, float]:
    if heads:
        return scores_of_heads(logits, labels, heads)
    loss = float(functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels)))
    return loss, float((logits.argmax(1) == labels).mean())


def _batches(indices: Sequence[int], size: int, generator: torch.Generator, *, fewest: int) -> list[list[int]]:
    """All of `indices` in random order; a last batch smaller than `fewest` joins the one before."""
    order = [indices[position] for position in torch.randperm(len(indices), generator=generator).tolist()]
    starts = list(range(0, len(order), size))
    if len(starts) > 1 and len(order) - starts[-1] < fewest:
        starts.pop()
    return [order[start:end] for start, end in zip(starts, [*starts[1:], len(order)], strict=True)]


def _out_of_patience(history: Sequence[Epoch], plan: Plan) -> bool:
    losses = [epoch.held_out_loss for epoch in history if epoch.held_out_loss is not None]
    finite = [loss for loss in losses if math.isfinite(loss)]
    best = losses.index(min(finite)) + 1 if finite else 0
    waited = len(losses) - max(best, plan.epochs // 2)
    return bool(losses) and waited >= plan.config.patience
