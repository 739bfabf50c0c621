"""The words in which the page presents adapt.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgetl.adapt.record import Adaptation, Candidate, Epoch, History, ResizeChoice
from edgetl.report import words
from edgetl.types.findings import Audit

KINDS = {"head": "head", "finetune": "fine-tuning"}
_SHOWN_NAMES = 6  # of trained parts; a network may have hundreds


@dataclass(frozen=True)
class Curve:
    """Losses in nats after epoch 1, 2, ...; the mean over `folds`, up to the epoch that all of them reached.

    held_out     NaN if nothing was held out; both are NaN if a loss was not finite
    ended_after  epochs of the final training; None except for the curve that determined them
    """

    name: str
    folds: int
    train: tuple[float, ...]
    held_out: tuple[float, ...]
    ended_after: int | None = None


def curves(adapt: Adaptation, history: History) -> tuple[Curve, ...]:
    """Of every fine-tuning that was tried, the chosen one first, and of the training on all shots at the end."""
    chosen = adapt.chosen.name if adapt.chosen else None
    trials = [
        _curve(short_name(name), folds, adapt.epochs if name == chosen else None)
        for name, folds in history.trials.items()
    ]
    trials.sort(key=lambda curve: curve.ended_after is None)
    return tuple(curve for curve in [*trials, _curve("all shots", (history.final,), None)] if curve.train)


def short_name(name: str) -> str:
    """`finetune last 3 of 9 parts` -> `last 3 of 9 parts`: in a table and a plot of fine-tunings the word is noise."""
    return name.removeprefix("finetune ")


def kind(candidate: Candidate) -> str:
    """`head: C 0.1`; without the setting if the name contains it."""
    setting = "" if candidate.setting == short_name(candidate.name) else candidate.setting
    return ": ".join(part for part in (KINDS[candidate.kind], setting) if part)


def state(candidate: Candidate, adapt: Adaptation) -> str:
    if candidate.state == "dropped" and candidate.folds and adapt.folds:
        return f"dropped after {candidate.folds} of {adapt.folds} folds"
    return candidate.state


def is_reference(candidate: Candidate) -> bool:
    """The best head: the differences are against it, so it has none."""
    judged = candidate.state == "judged" and candidate.top1 is not None
    return candidate.kind == "head" and judged and candidate.difference_points is None


def time(candidate: Candidate) -> str:
    """In words; closed forms take almost no time, and candidates that never started none."""
    if not candidate.seconds:
        return words.DASH
    return "< 0.1 s" if candidate.seconds < 0.05 else words.seconds(candidate.seconds)


def judged_on(adapt: Adaptation, noun: str = "image") -> str:
    if not adapt.held_out_images:
        return "Nothing could be held out, so the candidates were not compared."
    each = f", each held out once in {adapt.folds} folds" if adapt.folds else ""
    return f"Evaluated on {adapt.held_out_images} shots{each}; paired on the same {noun}s."


def resize_reason(choice: ResizeChoice) -> str:
    """The reason without the policy, which the page shows before it."""
    return choice.reason.removeprefix(f"{choice.policy}: ").rstrip(".")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def facts(adapt: Adaptation) -> list[tuple[str, str]]:
    """Facts that have no other place on the page, without empty ones."""
    threads = words.threads(adapt.threads) if adapt.threads else ""
    rows = [
        ("Trained", _trained(adapt)),
        ("Head", adapt.head),
        ("Trained parts", _parts(adapt.trained_parts or ())),
        ("Augmentation", adapt.augment),
        ("Parameters", f"{adapt.trained_parameters:,} trained, {adapt.frozen_parameters:,} frozen"),
        ("Weights", audit(adapt.audit)),
        ("Source", adapt.source),
        ("License of the weights", adapt.licence),
        ("Device", ", ".join(part for part in (adapt.device, threads) if part)),
        ("Time", "" if adapt.seconds is None else words.seconds(adapt.seconds)),
        ("Learning rate", "" if adapt.learning_rate is None else f"{adapt.learning_rate:.4g}"),
    ]
    return [(name, value) for name, value in rows if value]


def plain(value: Any) -> str:
    """A value of a record in words: `images 4, max abs diff 1e-06`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {plain(item)}" for key, item in value.items())
    return words.DASH if value is None else str(value)


def _trained(adapt: Adaptation) -> str:
    epochs = f", {adapt.epochs} epochs on all shots" if adapt.epochs else ""
    return KINDS.get(adapt.strategy, adapt.strategy) + epochs


def _parts(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def audit(found: Audit) -> str:
    """What the weights filled, in words."""
    counts = f"{found.matched} tensors loaded from the checkpoint, {len(found.dropped)} of the checkpoint unused"
    return "; ".join((f"{counts}, {len(found.new)} new", *found.notes))


def _curve(name: str, folds: Sequence[Sequence[Epoch]], ended_after: int | None) -> Curve:
    columns = list(zip(*folds, strict=False))
    return Curve(
        name=name,
        folds=len(folds),
        train=tuple(_mean([epoch.train_loss for epoch in column]) for column in columns),
        held_out=tuple(
            _mean([epoch.held_out.loss if epoch.held_out else math.nan for epoch in column]) for column in columns
        ),
        ended_after=ended_after,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
