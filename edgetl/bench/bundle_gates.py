"""Gates on finished bundles: the recipe's gates that need no comparison with the float network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from edgetl.bench.gate_checks import GateCheck, at_least, p99_check, size_check
from edgetl.bench.measurement import BundleGates, BundleMeasurement, Measurement
from edgetl.bench.result import Latency
from edgetl.errors import UsageError
from edgetl.files.text import nearest
from edgetl.files.yaml_file import read_yaml
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe_file import validation_lines
from edgetl.types import Interval

KEYS = ("min_score", "min_top1", "min_recall", "max_p99_ms", "max_size_bytes")


def parse_gates(given: Sequence[str]) -> Gates:
    """`max_p99_ms=5`, `min_recall.defect=0.95`: keys of a recipe's `gates`. Raises UsageError naming the mistake."""
    raw: dict[str, Any] = {"max_drop_points": None}
    for text in given:
        key, sign, value = text.partition("=")
        name, dot, label = key.partition(".")
        of_part = bool(dot) == (name == "min_recall") or (bool(dot) and name == "min_score")
        if not sign or not of_part:
            raise UsageError(f"--gate {text}: expected key=value, for example max_p99_ms=5 or min_recall.LABEL=0.95")
        if name not in KEYS:
            raise UsageError(f"--gate {text}: bundles have no gate `{name}`; {nearest(name, KEYS)}")
        try:
            number = read_yaml(value)
        except ValueError as error:
            raise UsageError(f"--gate {text}: not a number: {error}") from error
        if dot and name == "min_score":
            raw.setdefault("heads", {})[label] = {"min_score": number}
        elif dot:
            raw.setdefault(name, {})[label] = number
        else:
            raw[name] = number
    try:
        return Gates.model_validate(raw)
    except ValidationError as error:
        raise UsageError("\n".join(validation_lines(error, "--gate"))) from error


def judge_bundles(measurement: Measurement, gates: Gates) -> Measurement:
    """The measurement with every gate applied to every bundle. Raises UsageError for a class unknown to a bundle."""
    found = tuple(
        BundleGates(place, checks)
        for place, each in enumerate(measurement.bundles)
        if (checks := tuple(_checks(each, measurement, gates)))
    )
    return replace(measurement, gates=found)


def _checks(row: BundleMeasurement, measurement: Measurement, gates: Gates) -> list[GateCheck]:
    checks: list[GateCheck] = []
    for name in gates.heads or {}:
        if name not in [head.head for head in row.heads]:
            named = [head.head for head in row.heads]
            hint = nearest(name, named) if named else "--gate min_score.HEAD needs several heads, and --data"
            raise UsageError(f"--gate min_score.{name}: {row.bundle} has no such head measured; {hint}")
    for head in row.heads:
        if (least := gates.of_head(head.head).least_score) is not None:
            what = f"top-1 of {head.head}"
            checks.append(_share_check(gates.score_key, what, head.top1, head.images, least, head.head))
    if gates.least_score is not None and not row.heads:
        checks.append(_share_check(gates.score_key, row.metric, row.first_score, row.images, gates.least_score))
    found = {each.label: each for each in row.recalls}
    for label, least in (gates.min_recall or {}).items():
        if found and label not in found:
            raise UsageError(f"--gate min_recall.{label}: {row.bundle} has no such class; {nearest(label, found)}")
        recall, images = (found[label].recall, found[label].images) if found else (None, 0)
        checks.append(_share_check("min_recall", f"recall of `{label}`", recall, images, least, label))
    if gates.max_p99_ms is not None:
        timed = Latency(row.p50_ms, row.p90_ms, row.p99_ms, row.runs, row.threads, row.round_spread)
        checks.append(p99_check(timed, measurement.machine, measurement.conditions, gates.max_p99_ms))
    if gates.max_size_bytes is not None:
        checks.append(size_check(row.size_bytes, gates.max_size_bytes))
    return checks


def _share_check(
    gate: str, what: str, share: Interval | None, images: int, limit: float, label: str | None = None
) -> GateCheck:
    if share is None:
        return GateCheck(gate, limit, None, "not measured", f"{what} was not measured: it has no labeled files", label)
    reason = f"{what} {at_least(share, limit, images, 'file')}"
    return GateCheck(gate, limit, share.value, "fail" if share.value < limit else "pass", reason, label)
