"""Fine-tunes the part of a network that is not frozen, starting from a fitted head."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from edgetl.adapt.inputs import Inputs
from edgetl.adapt.merged import Merged, merged
from edgetl.adapt.schedule import rate_factor
from edgetl.adapt.snapshot import Snapshots
from edgetl.backbones.freeze import is_under, set_modes
from edgetl.backbones.reproducible import own_draws
from edgetl.recipes.recipe import Adapt

_JUDGED_AT_ONCE = 8  # more do not fit into the cache of a core


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
    without the head."""

    config: Adapt
    learning_rate: float
    by_block: tuple[tuple[str, ...], ...]
    head: str
    epochs: int


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
    """Train `network` in place on the images `train`; it ends in eval mode. labels (N,) of all images.

    The schedule is always that of `plan.epochs`. `stop_after` ends it early, so that the network equals that of a trial
    after as many epochs. A loss that is not finite also ends it, and so do `patience` epochs in the second half without
    a better loss on `held_out` (in the first half the loss may rise and fall again as the rate anneals). All randomness
    comes from `config.seed`. With `snapshots` (nothing held out) a killed training resumes.
    """
    trainer = _Trainer(network, inputs, torch.from_numpy(labels), plan)
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
                logits.append(trainer.judge(held_out))
                loss, top1 = _scores(logits[-1], labels[list(held_out)])
            history.append(Epoch(epoch, trainer.rate, mean_loss, loss, top1, time.monotonic() - start))
            after_epoch(history[-1])
            if snapshots:
                snapshots.write(trainer.state(), [asdict(done) for done in history], last=epoch == count)
            if not math.isfinite(mean_loss) or _out_of_patience(history, plan):
                break
    trainer.finish()
    return Trained(tuple(history), np.stack(logits) if logits else np.zeros((0, 0, 0), np.float32))


@torch.no_grad()
def logits_of(network: nn.Module, inputs: Inputs, indices: Sequence[int]) -> NDArray[np.float32]:
    """Logits (n, C) for the plain views of the images `indices`; the network ends in eval mode."""
    network.eval()
    parts = [indices[start : start + _JUDGED_AT_ONCE] for start in range(0, len(indices), _JUDGED_AT_ONCE)]
    return torch.cat([network(_packed(inputs.plain(part))).float().cpu() for part in parts]).numpy()


class _Trainer:
    """A network with its optimizer, averaged weights and random numbers."""

    def __init__(self, network: nn.Module, inputs: Inputs, labels: Tensor, plan: Plan) -> None:
        self._network, self._inputs, self._labels, self._plan = network, inputs, labels, plan
        self._generator = torch.Generator().manual_seed(plan.config.seed)
        self._members = list(_members(network, plan))
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        groups = [
            {"params": [m.parameter], "lr": m.peak, "weight_decay": plan.config.weight_decay * (m.parameter.ndim > 1)}
            for m in self._members
        ]
        self._optimizer = torch.optim.AdamW(groups)
        self._average = AveragedModel(network, avg_fn=_moving(plan.config.ema)) if plan.config.ema else None
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

    def judge(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Logits (n, C) of the network in the state that would be kept now."""
        return logits_of(self._average or self._network, self._inputs, indices)

    def state(self) -> dict[str, Tensor]:
        """All that the next epoch depends on."""
        parts: dict[str, Mapping[str, Tensor]] = {"network": self._network.state_dict()}
        if self._average is not None:
            parts["average"] = self._average.state_dict()
        for number, member in enumerate(self._members):
            parts[f"optimizer {number}"] = self._optimizer.state.get(member.parameter, {})
        named = {f"{part}: {name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}
        own = {"step": torch.tensor(self._step), "order": self._generator.get_state(), "draws": torch.get_rng_state()}
        return {**named, **own}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a result of `state`."""

        def part(name: str) -> dict[str, Tensor]:
            return {key.partition(": ")[2]: tensor for key, tensor in state.items() if key.startswith(f"{name}: ")}

        self._network.load_state_dict(part("network"))
        if self._average is not None:
            self._average.load_state_dict(part("average"))
        for number, member in enumerate(self._members):
            if kept := part(f"optimizer {number}"):
                device = member.parameter.device
                self._optimizer.state[member.parameter] = {
                    key: tensor if key == "step" else tensor.to(device) for key, tensor in kept.items()
                }
        self._step = int(state["step"])
        self._generator.set_state(state["order"])
        torch.set_rng_state(state["draws"])

    def finish(self) -> None:
        """Put the averaged weights, if there are any, into the network; eval mode."""
        if self._average is not None:
            self._network.load_state_dict(self._average.module.state_dict())
        self._network.eval().requires_grad_(False)

    def _unfreeze(self, number: int) -> None:
        blocks, every = self._plan.by_block, self._plan.config.unfreeze_epochs
        count = len(blocks) if not every else min(len(blocks), (number - 1) // every)
        trained = [*chain(*blocks[len(blocks) - count :]), self._plan.head]
        for member in self._members:
            member.parameter.requires_grad_(is_under(member.name, trained))

    def _train(self, batch: Sequence[int], steps: int) -> float:
        config = self._plan.config
        factor = rate_factor(self._step, steps)
        for group, member in zip(self._optimizer.param_groups, self._members, strict=True):
            group["lr"] = member.peak * factor
        self.rate = self._plan.learning_rate * factor
        inputs = self._inputs.views(batch, self._generator)
        labels = self._labels[list(batch)].to(inputs.device)
        inputs, mixed, share = _mix(inputs, labels, config.mixup, self._generator)
        self._optimizer.zero_grad()
        loss = self._backward(_packed(inputs), mixed, share)
        self._optimizer.step()
        self._pull(config.l2_sp * factor)
        if self._average is not None:
            self._average.update_parameters(self._network)
        self._step += 1
        return loss

    def _backward(self, inputs: Tensor, labels: tuple[Tensor, Tensor], share: float) -> float:
        """Gradients of the mean loss over the batch, and that loss.

        If no batch norm uses batch statistics, the batch is processed in parts that fit the cache; the sum is the same.
        """
        forward, at_once = self._forward(inputs)
        total = 0.0
        parts = [torch.split(part, at_once) for part in (inputs, *labels)]
        for images, first, second in zip(*parts, strict=True):
            loss = _loss(forward(images), (first, second), share, self._plan.config.label_smoothing)
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

    @torch.no_grad()
    def _pull(self, strength: float) -> None:
        """L2-SP (Li et al. 2018, arXiv:1802.01483, eq. 2), applied like AdamW's decay: separately from the gradient."""
        if strength:
            for member in self._members:
                if member.parameter.requires_grad:
                    member.parameter.lerp_(member.start, min(1.0, strength * member.peak))


@dataclass(frozen=True)
class _Member:
    """A trainable parameter, its peak learning rate, and its initial value."""

    name: str
    parameter: nn.Parameter
    peak: float
    start: Tensor


def _members(network: nn.Module, plan: Plan) -> Iterator[_Member]:
    for name, parameter in network.named_parameters():
        depth = next((i for i, block in enumerate(reversed(plan.by_block), 1) if is_under(name, block)), None)
        if is_under(name, [plan.head]):
            depth = 0
        if depth is not None:
            peak = plan.learning_rate * plan.config.layer_decay**depth
            yield _Member(name, parameter, peak, parameter.detach().clone())


def _moving(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        # early averages are short, or they would stick to the initial weights
        kept = min(decay, (1 + float(count)) / (10 + float(count)))
        return averaged + (1 - kept) * (current - averaged)

    return average


def _mix(
    inputs: Tensor, labels: Tensor, alpha: float, generator: torch.Generator
) -> tuple[Tensor, tuple[Tensor, Tensor], float]:
    """Mixup (Zhang et al. 2018, arXiv:1710.09412, eq. 1) of the inputs, which may be activations (Verma et al. 2019,
    arXiv:1806.05236). Returns inputs, both labels, the share of the first."""
    if not alpha or len(inputs) < 2:
        return inputs, (labels, labels), 1.0
    seed = int(torch.randint(1 << 31, (1,), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    return share * inputs + (1 - share) * inputs[order], (labels, labels[order]), share


def _loss(logits: Tensor, labels: tuple[Tensor, Tensor], share: float, smoothing: float) -> Tensor:
    first = functional.cross_entropy(logits, labels[0], label_smoothing=smoothing)
    if share == 1.0:
        return first
    return share * first + (1 - share) * functional.cross_entropy(logits, labels[1], label_smoothing=smoothing)


def _packed(inputs: Tensor) -> Tensor:
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


def _scores(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
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
