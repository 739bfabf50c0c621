"""Trains until the loss on held-out examples stops falling; a killed training resumes after its last epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from edgetl.adapt.finetune import rate_factor
from edgetl.adapt.pretrain.objective import Objective
from edgetl.adapt.snapshot import Snapshots
from edgetl.types import Progress

_RATE, _DECAY, _NORM = 2e-3, 0.01, 1.0
_PATIENCE = 3


@dataclass(frozen=True)
class Epoch:
    """Mean losses; `seconds` of training and of the held-out examples."""

    epoch: int
    train_loss: float
    held_out_loss: float
    seconds: float


@dataclass(frozen=True)
class Limits:
    """epochs  at most, and the length of the schedule;  minutes  after which no epoch begins that would exceed them"""

    epochs: int
    minutes: float | None
    seed: int


def train(
    objective: Objective, limits: Limits, device: torch.device, snapshots: Snapshots, progress: Progress
) -> tuple[Epoch, ...]:
    """Train the objective's network in place; it ends as it was after its best epoch, in eval mode, on the CPU."""
    trainer = _Trainer(objective, limits, device)
    history: list[Epoch] = []
    with progress.task(f"pretraining, {objective.what}", total=limits.epochs) as advance, torch.random.fork_rng():
        if kept := snapshots.read():
            trainer.resume(kept[0])
            history = [Epoch(**record) for record in kept[1]]
            advance(len(history))
        while not _over(history, limits):
            history.append(trainer.epoch(len(history) + 1))
            if best_of(history) is history[-1]:
                trainer.remember()
            snapshots.write(trainer.state(), [asdict(done) for done in history], last=False)
            advance(1, f"held out {objective.shown(history[-1].held_out_loss):.4g}")
    trainer.restore_best()
    return tuple(history)


def best_of(history: list[Epoch] | tuple[Epoch, ...]) -> Epoch:
    """The first epoch with the least loss on held-out examples."""
    return min(history, key=lambda epoch: epoch.held_out_loss if math.isfinite(epoch.held_out_loss) else math.inf)


def _over(history: list[Epoch], limits: Limits) -> bool:
    if not history:
        return False
    spent, last = sum(epoch.seconds for epoch in history), history[-1]
    out_of_time = limits.minutes is not None and spent + last.seconds > 60 * limits.minutes
    waited = last.epoch - best_of(history).epoch
    return len(history) >= limits.epochs or out_of_time or waited >= _PATIENCE or not math.isfinite(last.train_loss)


class _Trainer:
    """A network with its optimizer; every epoch draws from generators of its own, so there is no other state."""

    def __init__(self, objective: Objective, limits: Limits, device: torch.device) -> None:
        self._objective, self._limits, self._device = objective, limits, device
        self._network: nn.Module = objective.network.to(device)
        self._members = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(self._members, lr=_RATE, weight_decay=_DECAY)
        self._best: dict[str, Tensor] = {}

    def epoch(self, number: int) -> Epoch:
        start = time.monotonic()
        seed = 1000 * self._limits.seed + number
        torch.manual_seed(seed)  # of dropout
        generator = torch.Generator().manual_seed(seed)
        self._network.train()
        batches = self._objective.batches(generator)
        losses = []
        for step, batch in enumerate(batches, start=(number - 1) * len(batches)):
            for group in self._optimizer.param_groups:
                group["lr"] = _RATE * rate_factor(step, self._limits.epochs * len(batches))
            self._optimizer.zero_grad()
            loss = self._objective.loss(batch, generator)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self._members, _NORM)
            self._optimizer.step()
            losses.append(float(loss.detach()))
        self._network.eval()
        with torch.no_grad():
            held_out = self._objective.held_out_loss()
        return Epoch(number, sum(losses) / len(losses), held_out, time.monotonic() - start)

    def remember(self) -> None:
        self._best = {name: tensor.detach().cpu().clone() for name, tensor in self._network.state_dict().items()}

    def restore_best(self) -> None:
        if self._best:
            self._network.load_state_dict(self._best)
        self._network.cpu().eval().requires_grad_(False)

    def state(self) -> dict[str, Tensor]:
        """All that the next epoch depends on."""
        parts: dict[str, Mapping[str, Tensor]] = {"network": self._network.state_dict(), "best": self._best}
        for number, parameter in enumerate(self._members):
            parts[f"optimizer {number}"] = self._optimizer.state[parameter]
        return {f"{part}: {name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a result of `state`."""

        def part(name: str) -> dict[str, Tensor]:
            return {key.partition(": ")[2]: tensor for key, tensor in state.items() if key.startswith(f"{name}: ")}

        self._network.load_state_dict(part("network"))
        self._best = part("best")
        for number, parameter in enumerate(self._members):
            kept = part(f"optimizer {number}")
            self._optimizer.state[parameter] = {
                key: tensor if key == "step" else tensor.to(parameter.device) for key, tensor in kept.items()
            }
