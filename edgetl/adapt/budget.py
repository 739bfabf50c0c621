"""The cost of a search, estimated from the network: the same on every machine, so that equal runs stay equal."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.adapt.trials import Tuning
from edgetl.recipes.recipe import Adapt
from edgetl.tasks.classification.folds import Fold

KEPT = 2  # candidates evaluated on the remaining folds, after all were evaluated on the first
MACS_PER_MINUTE = 50e9 * 60  # multiply-accumulates, training of MobileNetV2 on two cores of a server CPU
_BACKWARD = 3  # a training step costs about three forward runs
_MINUTES_PER_SHOT, _LEAST_MINUTES, _MOST_MINUTES = 0.03, 1.5, 20.0


def allowed_minutes(config: Adapt, shots: int) -> float:
    """The budget of the recipe, with `auto` resolved."""
    if config.budget_minutes != "auto":
        return config.budget_minutes
    return min(max(_MINUTES_PER_SHOT * shots, _LEAST_MINUTES), _MOST_MINUTES)


def search_minutes(tunings: Sequence[Tuning], folds: Sequence[Fold], shots: int, epochs: int) -> float:
    """All candidates on the first fold, the most expensive `KEPT` on the others, the most expensive on all shots."""
    return _search_macs([tuning.prepared.macs for tuning in tunings], folds, shots, epochs) / MACS_PER_MINUTE


def _search_macs(macs: Sequence[int], folds: Sequence[Fold], shots: int, epochs: int) -> float:
    if not macs:
        return 0.0
    costs = sorted((_BACKWARD * epochs * each for each in macs), reverse=True)
    passes = [len(fold.train) + len(fold.held_out) / _BACKWARD for fold in folds]
    first = sum(costs) * passes[0] if folds else 0.0
    others = sum(costs[:KEPT]) * sum(passes[1:])
    return first + others + costs[0] * shots


def is_affordable(macs: int, folds: Sequence[Fold], shots: int, epochs: int, minutes: float) -> bool:
    """Whether one candidate with these multiply-accumulates per image costs, alone, no more than `minutes`."""
    return _search_macs([macs], folds, shots, epochs) <= minutes * MACS_PER_MINUTE


def affordable(
    tunings: Sequence[Tuning], folds: Sequence[Fold], shots: int, epochs: int, minutes: float
) -> tuple[Tuning, ...]:
    """The candidates, in their order of promise, with which the search costs no more than `minutes`."""
    chosen: tuple[Tuning, ...] = ()
    for tuning in tunings:
        if search_minutes((*chosen, tuning), folds, shots, epochs) <= minutes:
            chosen = (*chosen, tuning)
    return chosen
