"""The cost of a search, estimated from the network: the same on every machine, so that equal runs stay equal."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.adapt.detection.ways import Anatomy, Way
from edgetl.recipes.recipe import Adapt
from edgetl.tasks.classification.folds import Fold

MACS_PER_MINUTE = 30e9 * 60
"""Multiply-accumulates on two cores of a server CPU: a frozen MobileNetV2 at 320 pixels, which is
limited by memory, is slower, the dense convolutions of a feature pyramid, forward and backward, are faster."""
ENOUGH_HELD_OUT = 40
"""Images: with as many, the mean of their utilities decides, and no further fold is evaluated."""
TRIAL_SHARE = 0.5
"""Steps of a trial, as a share of those on all shots: it has fewer images, and only has to show which way is better."""
_MINUTES_PER_SHOT, _LEAST_MINUTES, _MOST_MINUTES = 0.03, 5.0, 20.0


def allowed_minutes(config: Adapt, shots: int) -> float:
    """The budget of the recipe, with `auto` resolved."""
    if config.budget_minutes != "auto":
        return config.budget_minutes
    return min(max(_MINUTES_PER_SHOT * shots, _LEAST_MINUTES), _MOST_MINUTES)


def enough(folds: Sequence[Fold]) -> tuple[Fold, ...]:
    """The first folds, as many as have `ENOUGH_HELD_OUT` images together."""
    held, chosen = 0, list[Fold]()
    for fold in folds:
        if held < ENOUGH_HELD_OUT:
            chosen.append(fold)
            held += len(fold.held_out)
    return tuple(chosen)


def search_minutes(ways: Sequence[Way], body: Anatomy, folds: Sequence[Fold], shots: int, views: int) -> float:
    """All ways on every fold, the most expensive one on all shots, and the features of cached views once."""
    cached = views * shots * body.backbone_macs if any(way.cached for way in ways) else 0
    held_out = sum(len(fold.held_out) for fold in folds) * (body.backbone_macs + body.head_macs)
    trials = sum(TRIAL_SHARE * way.macs * len(folds) + held_out for way in ways)
    return (cached + trials + max((way.macs for way in ways), default=0)) / MACS_PER_MINUTE


def affordable(
    ways: Sequence[Way], body: Anatomy, folds: Sequence[Fold], shots: int, views: int, minutes: float
) -> tuple[Way, ...]:
    """The ways, in their order of promise, with which the search costs no more than `minutes`."""
    chosen: tuple[Way, ...] = ()
    for way in ways:
        if search_minutes((*chosen, way), body, folds, shots, views) <= minutes:
            chosen = (*chosen, way)
    return chosen
