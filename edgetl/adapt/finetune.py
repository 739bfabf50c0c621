"""Fine-tuning: the head from a probe and the unfrozen part of the backbone, batch-norm statistics untouched."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgetl.adapt.freeze import freeze, set_modes
from edgetl.adapt.images import Images
from edgetl.backbones.augment import Augment
from edgetl.backbones.inputs import normalise
from edgetl.recipe import Adapt
from edgetl.types import Preprocessing, Progress

_HEAD_FACTOR = 10.0  # of the backbone's learning rate; part of the recipe's contract
_WARM_UP = 0.1  # share of the steps


@dataclass(frozen=True)
class Judgement:
    """Mean cross entropy and accuracy (a fraction) on some images, without augmentation."""

    loss: float
    top1: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training shots. `held_out` is None where nothing was held out."""

    epoch: int
    learning_rate: float
    train_loss: float
    held_out: Judgement | None
    seconds: float


@dataclass(frozen=True)
class Shots:
    """Labelled images that training draws from. labels int64 (N,), on the CPU."""

    images: Images
    labels: Tensor


@dataclass(frozen=True)
class Setting:
    """What stays the same over all runs of one adaptation."""

    config: Adapt
    preprocessing: Preprocessing
    augment: Augment
    head: str
    frozen: tuple[str, ...]
    device: torch.device


def finetune(
    network: nn.Module,
    shots: Shots,
    train: Sequence[int],
    held_out: Sequence[int],
    setting: Setting,
    *,
    epochs: int,
    progress: Progress,
    label: str,
) -> list[Epoch]:
    """Train `network` in place on the shots `train`; it ends in eval mode. One record per epoch that was run.

    The schedule is always that of `config.epochs`; `epochs` may end it early, so that the network is the one that a
    trial judged after as many. In the second half of the schedule `patience` epochs without a better loss on the
    shots `held_out` end it too (in the first half the loss may rise, to fall again as the rate anneals), and a loss
    that is not finite ends it anywhere. Frozen parameters and all buffers (batch-norm statistics) are proven
    unchanged.
    """
    config = setting.config
    frozen, _ = freeze(network, setting.frozen)
    before = _untouchable(network, frozen)
    optimizer = torch.optim.AdamW(_groups(network, setting))
    peaks = [group["lr"] for group in optimizer.param_groups]
    generator = torch.Generator().manual_seed(config.seed)
    steps = math.ceil(len(train) / config.batch_size)
    history: list[Epoch] = []
    with progress.task(label, total=epochs) as advance:
        for epoch in range(1, epochs + 1):
            start = time.monotonic()
            set_modes(network)
            losses = []
            for step, batch in enumerate(_batches(train, config.batch_size, generator)):
                factor = _schedule((epoch - 1) * steps + step, config.epochs * steps)
                for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                    group["lr"] = peak * factor
                losses.append(_step(network, optimizer, shots, batch, setting, generator))
            judged = judge(network, shots, held_out, setting) if held_out else None
            mean_loss = sum(losses) / len(losses)
            seconds = time.monotonic() - start
            history.append(Epoch(epoch, config.learning_rate * factor, mean_loss, judged, seconds))
            advance(1, _detail(history, epochs))
            if not math.isfinite(mean_loss) or _out_of_patience(history, config):
                break
    network.eval().requires_grad_(False)
    _assert_unchanged(network, before)
    return history


@torch.no_grad()
def judge(network: nn.Module, shots: Shots, indices: Sequence[int], setting: Setting) -> Judgement:
    """Loss and accuracy of `network`, in eval mode, on the plain views of the shots `indices`."""
    network.eval()
    size = setting.config.batch_size
    parts = [indices[start : start + size] for start in range(0, len(indices), size)]
    logits = torch.cat([_logits(network, shots.images[part], setting).cpu().double() for part in parts])
    labels = shots.labels[list(indices)]
    return Judgement(
        loss=float(functional.cross_entropy(logits, labels)),
        top1=float((logits.argmax(1) == labels).double().mean()),
    )


def _logits(network: nn.Module, images: Tensor, setting: Setting) -> Tensor:
    logits: Tensor = network(normalise(images.to(setting.device), setting.preprocessing))
    return logits


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    shots: Shots,
    batch: Sequence[int],
    setting: Setting,
    generator: torch.Generator,
) -> float:
    views = setting.augment(shots.images[batch], generator)
    labels = shots.labels[list(batch)].to(setting.device)
    loss = functional.cross_entropy(
        _logits(network, views, setting), labels, label_smoothing=setting.config.label_smoothing
    )
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def _groups(network: nn.Module, setting: Setting) -> list[dict[str, object]]:
    """AdamW groups: the head learns faster; biases and scales (one dimension) do not decay."""
    config = setting.config
    groups: list[dict[str, object]] = []
    for in_head in (False, True):
        for decays in (False, True):
            members = [
                parameter
                for name, parameter in network.named_parameters()
                if parameter.requires_grad
                and name.startswith(setting.head + ".") == in_head
                and (parameter.ndim > 1) == decays
            ]
            rate = config.learning_rate * (_HEAD_FACTOR if in_head else 1.0)
            decay = config.weight_decay if decays else 0.0
            if members:
                groups.append({"params": members, "lr": rate, "weight_decay": decay})
    return groups


def _batches(indices: Sequence[int], size: int, generator: torch.Generator) -> Iterator[list[int]]:
    order = torch.randperm(len(indices), generator=generator).tolist()
    for start in range(0, len(order), size):
        yield [indices[position] for position in order[start : start + size]]


def _schedule(step: int, steps: int) -> float:
    """Factor on the peak rate: linear warm-up, then half a cosine to zero (arXiv:1608.03983, eq. 5)."""
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def _out_of_patience(history: Sequence[Epoch], config: Adapt) -> bool:
    losses = [epoch.held_out.loss for epoch in history if epoch.held_out is not None]
    finite = [loss for loss in losses if math.isfinite(loss)]
    best = losses.index(min(finite)) + 1 if finite else 0
    waited = len(losses) - max(best, config.epochs // 2)
    return bool(losses) and waited >= config.patience


def _untouchable(network: nn.Module, frozen: Sequence[str]) -> dict[str, Tensor]:
    buffers = {name for name, _ in network.named_buffers()}
    keep = buffers | set(frozen)
    return {name: tensor.clone() for name, tensor in network.state_dict().items() if name in keep}


def _assert_unchanged(network: nn.Module, before: Mapping[str, Tensor]) -> None:
    after = network.state_dict()
    moved = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    if moved:
        raise AssertionError(f"frozen tensors changed in training: {', '.join(moved[:10])}; this is a bug in edgetl")


def _detail(history: Sequence[Epoch], epochs: int) -> str:
    pace = sum(epoch.seconds for epoch in history) / len(history)
    left = pace * (epochs - len(history))
    held_out = history[-1].held_out
    shown = f", held out {held_out.top1:.0%}" if held_out else ""
    return f"loss {history[-1].train_loss:.2f}{shown}, at most {left:.0f} s left"
