"""adapt.json as the page shows it. A missing key leaves its place empty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgetl.report import words

_KINDS = {"head": "head", "finetune": "fine-tuning"}
_SHOWN_NAMES = 6  # of trained parts; a network may have hundreds
_ELSEWHERE = frozenset(  # keys with a place of their own on the page
    {"schema", "reason", "strategy", "augment", "epochs", "source", "licence", "device", "threads", "seconds"}
    | {"head", "frozen_parameters", "trained_parameters", "folds", "held_out_images"}
)


@dataclass(frozen=True)
class Candidate:
    """One head or fine-tuning on held-out shots; None if it was not evaluated.

    name, setting     without the word "finetune", which `kind` says; the setting is empty if the name includes it
    top1              fraction, with its 95 % interval; loss: mean cross entropy in nats
    difference_points its top-1 minus that of the best head on the same images, with its 95 % interval
    folds, images     of the evaluation; seconds: its time, all folds together
    state             in words; `complete`: evaluated on all folds
    """

    name: str
    kind: str
    setting: str
    state: str
    complete: bool
    chosen: bool
    folds: int | None
    images: int | None
    top1: float | None
    top1_low: float | None
    top1_high: float | None
    difference_points: float | None
    difference_low: float | None
    difference_high: float | None
    loss: float | None
    seconds: float | None

    @property
    def is_reference(self) -> bool:
        """Whether this is the best head, to which the others are compared."""
        return self.kind == "head" and self.complete and self.top1 is not None and self.difference_points is None

    @property
    def time(self) -> str:
        """`seconds` in words; closed-form heads take almost none, and a candidate that never started takes none."""
        if not self.seconds:
            return words.DASH
        return "< 0.1 s" if self.seconds < 0.05 else words.seconds(self.seconds)


@dataclass(frozen=True)
class Guard:
    """`verdict` is a word for a badge: pass, warn, rolled back, failed, not measured."""

    title: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Resize:
    """A resize policy, evaluated by the best cheap head on held-out shots."""

    policy: str
    chosen: bool
    top1: float | None
    loss: float | None


@dataclass(frozen=True)
class Adaptation:
    """Strings and tuples are empty if nothing was recorded."""

    reason: str
    judged_on: str
    budget: str
    candidates: tuple[Candidate, ...]
    guards: tuple[Guard, ...]
    resize_policy: str
    resize_reason: str
    resizes: tuple[Resize, ...]
    facts: tuple[tuple[str, str], ...]


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


def show_adaptation(adapt: Mapping[str, Any]) -> Adaptation:
    """From adapt.json, with or without its history."""
    resize = _mapping(adapt, "resize")
    policy = _text(resize, "policy")
    return Adaptation(
        reason=_text(adapt, "reason"),
        judged_on=_judged_on(adapt),
        budget=_budget(_mapping(adapt, "budget")),
        candidates=tuple(_candidate(row, _count(adapt, "folds")) for row in _rows(adapt, "candidates")),
        guards=tuple(
            Guard(_capital(_text(row, "guard")), _text(row, "verdict") or "not measured", _text(row, "sentence"))
            for row in _rows(adapt, "guards")
        ),
        resize_policy=policy,
        resize_reason=_text(resize, "reason").removeprefix(f"{policy}: ").rstrip("."),
        resizes=tuple(
            Resize(_text(row, "policy"), _text(row, "policy") == policy, _number(row, "top1"), _number(row, "loss"))
            for row in _rows(resize, "candidates")
        ),
        facts=tuple((name, value) for name, value in [*_facts(adapt), *_others(adapt)] if value),
    )


def read_curves(adapt: Mapping[str, Any], history: Mapping[str, Any]) -> tuple[Curve, ...]:
    """Curves of every fine-tuning, the chosen one first, and of the final training on all shots.

    adapt    adapt.json; history  its key `history`
    """
    chosen = {row.name for row in show_adaptation(adapt).candidates if row.chosen}
    epochs = _count(adapt, "epochs") or None
    trials = [
        _curve(_title(name), [_sequence(fold) for fold in _sequence(folds)], epochs if _title(name) in chosen else None)
        for name, folds in _mapping(history, "trials").items()
    ]
    trials.sort(key=lambda curve: curve.ended_after is None)
    final = _curve("all shots", [_sequence(history.get("final"))], None)
    return tuple(curve for curve in [*trials, final] if curve.train)


def plain(value: Any) -> str:
    """A value of a record in words: `images 4, max abs diff 1e-06`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_heading(str(key))} {plain(item)}" for key, item in value.items())
    return words.DASH if value is None else str(value)


def _candidate(row: Mapping[str, Any], all_folds: int | None) -> Candidate:
    kind, state, folds = _text(row, "kind"), _text(row, "state"), _count(row, "folds")
    name, setting = _title(_text(row, "name")), _text(row, "setting")
    return Candidate(
        name=name,
        kind=_KINDS.get(kind, kind),
        setting="" if setting == name else setting,
        state=_state(state, folds, all_folds),
        complete=state == "judged",
        chosen=row.get("chosen") is True,
        folds=folds,
        images=_count(row, "images"),
        top1=_number(row, "top1"),
        top1_low=_number(row, "top1_low"),
        top1_high=_number(row, "top1_high"),
        difference_points=_number(row, "difference_points"),
        difference_low=_number(row, "difference_low"),
        difference_high=_number(row, "difference_high"),
        loss=_number(row, "loss"),
        seconds=_number(row, "seconds"),
    )


def _title(name: str) -> str:
    """`finetune last 3 of 9 parts` -> `last 3 of 9 parts`: a table or plot of fine-tunings does not need the word."""
    return name.removeprefix("finetune ")


def _state(state: str, folds: int | None, all_folds: int | None) -> str:
    if state == "dropped" and folds and all_folds:
        return f"dropped after {folds} of {all_folds} folds"
    return state


def _judged_on(adapt: Mapping[str, Any]) -> str:
    images, folds = _count(adapt, "held_out_images"), _count(adapt, "folds")
    if not images:
        return "Nothing could be held out, so the candidates were not compared."
    each = f", each held out once in {folds} folds" if folds else ""
    return f"Evaluated on {images} shots{each}; paired on the same images."


def _budget(budget: Mapping[str, Any]) -> str:
    minutes, estimated = _number(budget, "minutes"), _number(budget, "estimated_minutes")
    if _text(budget, "sentence") or minutes is None:
        return _text(budget, "sentence")
    return f"Budget: {minutes:.3g} min" + ("." if estimated is None else f", estimated need {estimated:.3g} min.")


def _facts(adapt: Mapping[str, Any]) -> list[tuple[str, str]]:
    strategy, epochs, seconds = _text(adapt, "strategy"), _count(adapt, "epochs"), _number(adapt, "seconds")
    threads = _count(adapt, "threads")
    runs_on = (_text(adapt, "device"), words.threads(threads) if threads else "")
    return [
        ("Trained", _KINDS.get(strategy, strategy) + (f", {epochs} epochs on all shots" if epochs else "")),
        ("Head", _text(adapt, "head")),
        ("Trained parts", _parts(adapt)),
        ("Augmentation", _text(adapt, "augment")),
        ("Parameters", _parameters(adapt)),
        ("Weights", _audit(_mapping(adapt, "audit"))),
        ("Source", _text(adapt, "source")),
        ("License of the weights", _text(adapt, "licence")),
        ("Device", ", ".join(part for part in runs_on if part)),
        ("Time", "" if seconds is None else words.seconds(seconds)),
    ]


def _parameters(adapt: Mapping[str, Any]) -> str:
    counts = (("trained", _count(adapt, "trained_parameters")), ("frozen", _count(adapt, "frozen_parameters")))
    return ", ".join(f"{count:,} {name}" for name, count in counts if count is not None)


def _parts(adapt: Mapping[str, Any]) -> str:
    names = [str(name) for name in _sequence(adapt.get("trained_parts"))]
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def _audit(audit: Mapping[str, Any]) -> str:
    matched = _count(audit, "matched")
    if matched is None:
        return ""
    dropped, new = len(_sequence(audit.get("dropped"))), len(_sequence(audit.get("new")))
    counts = f"{matched} tensors loaded from the checkpoint, {dropped} of the checkpoint unused, {new} new"
    return "; ".join((counts, *map(str, _sequence(audit.get("notes")))))


def _others(adapt: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Single values without a place of their own, so that the page shows all of the record."""
    return [
        (_capital(_heading(key)), plain(value))
        for key, value in adapt.items()
        if key not in _ELSEWHERE and isinstance(value, (str, int, float))
    ]


def _curve(name: str, folds: Sequence[Sequence[Any]], ended_after: int | None) -> Curve:
    epochs = list(zip(*folds, strict=False))
    return Curve(
        name=name,
        folds=len(folds),
        train=tuple(_mean([_loss(epoch, "train_loss") for epoch in column]) for column in epochs),
        held_out=tuple(_mean([_loss(_held_out(epoch), "loss") for epoch in column]) for column in epochs),
        ended_after=ended_after,
    )


def _held_out(epoch: Any) -> Any:
    return epoch.get("held_out") if isinstance(epoch, Mapping) else None


def _loss(row: Any, key: str) -> float:
    value = _number(row, key) if isinstance(row, Mapping) else None
    return math.nan if value is None else value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _heading(key: str) -> str:
    return key.replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _mapping(row: Any, key: str) -> Mapping[str, Any]:
    value = row.get(key) if isinstance(row, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _rows(row: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [item for item in _sequence(row.get(key)) if isinstance(item, Mapping)]


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _count(row: Mapping[str, Any], key: str) -> int | None:
    value = _number(row, key)
    return None if value is None else int(value)


def _number(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known and value is not None else None
