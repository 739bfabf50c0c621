"""Each gate applied to the measurements of one build: pure functions.

The verdict depends on the measured value, and the interval is reported beside it. Emulated images are few, so an
accuracy gate fails on them only if the whole interval is on the wrong side. If the host ran the other images, it fails
if the value is on the wrong side whatever the undecided predictions are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgetl.bench.machine import Machine
from edgetl.bench.quiet import Conditions, busy, too_many_threads
from edgetl.bench.result import BuildBench, Latency, TargetBench
from edgetl.files.text import decimal, one_line
from edgetl.recipes.gates import Gates
from edgetl.tasks.accuracy_gates import worst
from edgetl.tasks.heads.scores import HeadAccuracy, HeadScores
from edgetl.types import PRECISIONS, ClassRecall, Estimate, Interval, Verdict

_LEFT_IN_FLOAT = "convolutions and matrix products in float"
_CONVERSIONS = "conversions between float and INT8"


@dataclass(frozen=True)
class GateCheck:
    """One gate on one build. `limit` and `value` are in the unit of the recipe key `gate`; `label` is the class of a
    recall gate, or one of several heads."""

    gate: str
    limit: float
    value: float | None
    verdict: Verdict
    reason: str
    label: str | None = None


def check_gates(build: BuildBench, bench: TargetBench, gates: Gates, noun: str = "image") -> tuple[GateCheck, ...]:
    """All gates that are set, on one build that runs. noun  one example, in the reasons"""
    if isinstance(build.accuracy, HeadScores):
        checks = [check for each in build.accuracy.heads for check in _of_head(each, build, bench, gates, noun)]
    else:
        checks = _of_score(build, bench, gates, noun)
    for label, least in (gates.min_recall or {}).items():
        checks.append(_recall_check(build, bench, label, least, noun))
    if gates.max_recall_drop_points is not None:
        checks.append(_recall_drop_check(build, bench, gates.max_recall_drop_points, noun))
    if gates.max_p99_ms is not None:
        checks.append(_p99_check(build, bench, gates.max_p99_ms))
    if gates.max_size_bytes is not None:
        checks.append(size_check(build.size_bytes, gates.max_size_bytes))
    if PRECISIONS[build.precision].all_integer:
        checks += _placement_checks(build, gates)
    return tuple(checks)


def _of_score(build: BuildBench, bench: TargetBench, gates: Gates, noun: str) -> list[GateCheck]:
    checks: list[GateCheck] = []
    if gates.max_drop_points is not None:
        checks.append(_drop_check(build, bench, gates.max_drop_points, noun))
    if gates.least_score is not None:
        checks.append(_score_check(build, bench, gates.score_key, gates.least_score, noun))
    return checks


def _of_head(head: HeadAccuracy, build: BuildBench, bench: TargetBench, gates: Gates, noun: str) -> Iterator[GateCheck]:
    """The gates on accuracy of one of several heads, by its own limits where it has some."""
    for check in _of_score(replace(build, accuracy=head.accuracy), bench, gates.of_head(head.head), noun):
        yield replace(check, label=head.head, reason=f"{head.head}: {check.reason}")


def _placement_checks(build: BuildBench, gates: Gates) -> list[GateCheck]:
    """Counts from the runtime's own graph; not measured if the runtime is missing."""
    asked = build.placement is not None
    wanted = (
        ("max_float_layers", gates.max_float_layers, len(build.not_integer) if asked else None, _LEFT_IN_FLOAT),
        ("max_conversions", gates.max_conversions, build.conversions, _CONVERSIONS),
    )
    return [_count_check(gate, limit, found, what) for gate, limit, found, what in wanted if limit is not None]


def _count_check(gate: str, limit: int, found: int | None, what: str) -> GateCheck:
    if found is None:
        return GateCheck(gate, limit, None, "not measured", f"{what}: not measured, because the runtime is missing")
    missed = found > limit
    reason = f"{what}: {found}, {'above' if missed else 'within'} the allowed {limit}"
    return GateCheck(gate, limit, found, "fail" if missed else "pass", reason)


def _drop_check(build: BuildBench, bench: TargetBench, limit: float, noun: str) -> GateCheck:
    gate = "max_drop_points"
    if build.accuracy is None:
        return GateCheck(gate, limit, None, "not measured", "accuracy was not measured")
    drop = build.accuracy.drop_points
    least = build.host.least_drop_points if build.host else drop.low
    verdict = _accuracy_verdict(drop.value > limit, least > limit, bench.emulated)
    metric = build.accuracy.score.metric
    of = "" if metric == "top-1" else f"{metric} "
    reason = f"{of}drop {_within(drop, limit, build.accuracy.images, noun)}"
    return GateCheck(gate, limit, drop.value, verdict, reason)


def _score_check(build: BuildBench, bench: TargetBench, gate: str, limit: float, noun: str) -> GateCheck:
    if build.accuracy is None:
        return GateCheck(gate, limit, None, "not measured", "accuracy was not measured")
    score, found = build.accuracy.score, build.accuracy.score.value
    most = build.host.most_top1 if build.host else found.high
    verdict = _accuracy_verdict(found.value < limit, most < limit, bench.emulated)
    of_float = found.value + build.accuracy.drop_points.value / 100
    reason = f"{score.metric} {at_least(found, limit, build.accuracy.images, noun)}{_float_too(of_float, limit)}"
    return GateCheck(gate, limit, found.value, verdict, reason)


def _recall_check(build: BuildBench, bench: TargetBench, label: str, limit: float, noun: str) -> GateCheck:
    gate = "min_recall"
    found = bench.recalls(build).get(label)
    if found is None or found.recall is None or found.float_recall is None:
        return GateCheck(gate, limit, None, "not measured", _no_recall(found, label, noun), label)
    recall = found.recall
    most = _of_class(build.host.most_recall, bench, label) if build.host else recall.high
    verdict = _accuracy_verdict(recall.value < limit, most is None or most < limit, bench.emulated)
    of_float = _float_too(found.float_recall.value, limit)
    reason = f"recall of `{label}` {at_least(recall, limit, found.images, noun)}{of_float}"
    return GateCheck(gate, limit, recall.value, verdict, reason, label)


def _recall_drop_check(build: BuildBench, bench: TargetBench, limit: float, noun: str) -> GateCheck:
    """The gate on the class that lost most."""
    gate = "max_recall_drop_points"
    found = worst(bench.recalls(build))
    if found is None or found[1].drop_points is None:
        return GateCheck(gate, limit, None, "not measured", "recall per class was not measured")
    label, recall = found
    drop = found[1].drop_points
    # the smallest possible loss of every class: one class that certainly lost too much is enough
    known = [each for each in build.host.least_recall_drop_points if each is not None] if build.host else []
    least = max(known, default=drop.low)
    verdict = _accuracy_verdict(drop.value > limit, least > limit, bench.emulated)
    reason = f"recall of `{label}` drops by {_within(drop, limit, recall.images, noun)}"
    return GateCheck(gate, limit, drop.value, verdict, reason, label)


def _no_recall(found: ClassRecall | None, label: str, noun: str) -> str:
    if found is None:
        return f"recall of `{label}` was not measured"
    return f"recall of `{label}` was not measured: that class has no validation {noun}"


def _of_class(values: tuple[float | None, ...], bench: TargetBench, label: str) -> float | None:
    return dict(zip(bench.labels, values, strict=False)).get(label)


def _within(drop: Interval, limit: float, images: int, noun: str) -> str:
    """A loss in points, compared with the largest allowed."""
    text = f"{decimal(drop.value, 2)} points ({decimal(drop.low, 2)} to {decimal(drop.high, 2)})"
    relation = "above" if drop.value > limit else "within"
    return f"{text}, {relation} the allowed {limit:g}{_too_few(drop.low <= limit < drop.high, images, noun)}"


def at_least(share: Interval, limit: float, images: int, noun: str) -> str:
    """A share in percent, compared with the smallest required."""
    text = f"{100 * share.value:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"
    relation = "below" if share.value < limit else "at or above"
    few = _too_few(share.low < limit <= share.high, images, noun)
    return f"{text}, {relation} the required {100 * limit:g} %{few}"


def _too_few(unsure: bool, images: int, noun: str) -> str:
    if not unsure:
        return ""
    return f"; {images} {noun}{' is' if images == 1 else 's are'} too few to be sure"


def _float_too(value: float, limit: float) -> str:
    # half an image in a million: rounding of a share plus a difference of shares
    return f"; the float network itself has {100 * value:.1f} %" if value < limit - 5e-7 else ""


def _accuracy_verdict(missed: bool, surely_missed: bool, emulated: bool) -> Verdict:
    if not missed:
        return "pass"
    return "fail" if surely_missed or not emulated else "not measured"


def _p99_check(build: BuildBench, bench: TargetBench, limit: float) -> GateCheck:
    gate = "max_p99_ms"
    if build.latency is not None and build.latency.p99_ms is not None and bench.other_cpu:
        reason = f"p99 latency was measured on another CPU: {one_line(bench.other_cpu)}"
        return GateCheck(gate, limit, None, "not measured", reason)
    return p99_check(build.latency, bench.machine, bench.conditions, limit)


def p99_check(latency: Latency | None, machine: Machine, met: Conditions | None, limit: float) -> GateCheck:
    """`max_p99_ms` on times from the target's own CPU; reports a busy machine, whether the gate is met or missed."""
    gate = "max_p99_ms"
    if latency is None or latency.p99_ms is None:
        return GateCheck(gate, limit, None, "not measured", "p99 latency was not measured")
    p99 = latency.p99_ms
    missed = p99.value > limit
    sentences = [f"{_p99(p99, latency.runs)}, {'above' if missed else 'within'} the allowed {limit:g} ms"]
    if p99.low is not None and p99.high is not None and p99.low <= limit < p99.high:
        sentences.append(f"{latency.runs} runs are too few to be sure")
    sentences.append(too_many_threads(machine, latency.threads))
    sentences.append(busy(machine, met, [latency.round_spread], latency.threads))
    reason = "; ".join(part for part in sentences if part)
    return GateCheck(gate, limit, p99.value, "fail" if missed else "pass", reason)


def _p99(p99: Estimate, runs: int) -> str:
    if p99.low is None or p99.high is None:
        return f"p99 {_digits(p99.value)} ms (an indication: {runs} runs)"
    return f"p99 {_digits(p99.value)} ms ({_digits(p99.low)} to {_digits(p99.high)})"


def _digits(value: float) -> str:
    """Three significant digits without an exponent: `0.412`, `1221`."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def size_check(size_bytes: int, limit: int) -> GateCheck:
    """`max_size_bytes` on the files of a model."""
    missed = size_bytes > limit
    reason = f"{size_bytes} bytes, {'above' if missed else 'within'} the allowed {limit}"
    return GateCheck("max_size_bytes", limit, size_bytes, "fail" if missed else "pass", reason)
