"""Builds the Report from the results of all stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgetl.adapt.detection.record import DetectorAdaptation
from edgetl.adapt.record import Adaptation
from edgetl.bench.gates import BuildVerdict, Decision
from edgetl.bench.repair_record import Repair
from edgetl.bench.result import BuildBench, HostCheck, Latency, TargetBench
from edgetl.checks.model import Checks
from edgetl.checks.subject import whole
from edgetl.recipes.recipe import Recipe
from edgetl.report import cautions
from edgetl.report.detection.model import object_scores
from edgetl.report.heads import HeadScore
from edgetl.report.intervals import interval
from edgetl.report.model import (
    Build,
    Bundle,
    Data,
    Gate,
    Quantized,
    Recall,
    Reference,
    Report,
    SkippedFile,
    Stage,
    Surgery,
)
from edgetl.report.summary import summarize
from edgetl.tasks.classification.accuracy import Accuracy
from edgetl.tasks.detection.scores import DetectionScores
from edgetl.tasks.heads.scores import HeadScores
from edgetl.tasks.quality import QualityRecord
from edgetl.types import ClassRecall, Clips, ColdStart, Sample, Split, Verdict, Windows

_NAMED = 8
"""Channels that the page names."""


@dataclass(frozen=True)
class TargetResult:
    """One target: its bench, the decision on it, and the folder of the shipped bundle (relative or absolute).

    bundle_sha256  SHA-256 of that bundle's manifest.json
    """

    bench: TargetBench
    decision: Decision
    bundle: str | None
    bundle_sha256: str | None = None
    repair: Repair | None = None
    surgery: Surgery | None = None


@dataclass(frozen=True)
class ReportInputs:
    """The inputs of a report.

    reference  the float torch network on all validation images: `compare(reference, labels, reference)`
    checks     check.json
    parity     per pivot model, from pivot.json
    created    ISO 8601 date and time, or empty
    """

    recipe: Recipe
    split: Split
    reference: QualityRecord
    targets: tuple[TargetResult, ...]
    checks: Checks | None = None
    adapt: Adaptation | DetectorAdaptation | None = None
    quantized: tuple[Quantized, ...] = ()
    float16: str = ""
    parity: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""


def build_report(inputs: ReportInputs) -> Report:
    """Assemble the report. Pure."""
    machines = [target.bench.machine for target in inputs.targets]
    benches = [target.bench for target in inputs.targets]
    bundles = tuple(_bundle(target) for target in inputs.targets)
    return Report(
        name=inputs.recipe.name,
        task=inputs.recipe.task,
        front=inputs.recipe.front,
        metric=inputs.reference.score.metric,
        created=inputs.created,
        summary=summarize(bundles, inputs.reference.score.metric).headline,
        cautions=cautions.of_report(benches, inputs.reference, inputs.split.classes, inputs.recipe.gates),
        verdict=overall([target.decision.verdict for target in inputs.targets]),
        recipe=inputs.recipe.model_dump(mode="json"),
        classes=inputs.split.classes,
        reference=_reference(inputs.reference, inputs.split.classes),
        bundles=bundles,
        data=_data(inputs.split, inputs.adapt),
        checks=inputs.checks,
        adapt=inputs.adapt,
        quantized=inputs.quantized,
        float16=inputs.float16,
        parity=dict(inputs.parity),
        stages=inputs.stages,
        versions=dict(inputs.versions),
        # all ran on one machine; a target that ran on its GPU names the GPU
        machine=next((machine for machine in machines if machine.gpu), machines[0] if machines else None),
    )


def overall(verdicts: list[Verdict]) -> Verdict:
    """fail if any fails, else not measured if any is, else pass."""
    if "fail" in verdicts:
        return "fail"
    return "not measured" if "not measured" in verdicts else "pass"


def _reference(accuracy: QualityRecord, classes: tuple[str, ...]) -> Reference:
    return Reference(
        **_scored(accuracy, classes),
        images=accuracy.images,
        recalls=_recalls(dict(zip(classes, accuracy.recalls, strict=False))),
    )


def _bundle(target: TargetResult) -> Bundle:
    bench, decision = target.bench, target.decision
    verdicts = {verdict.precision: verdict for verdict in decision.builds}
    shipped = bench.build(decision.shipped) if decision.shipped else None
    floating = bench.build("float32")
    float_p50 = floating.latency.p50_ms if floating and floating.latency else None
    return Bundle(
        target=bench.target,
        backend=bench.backend,
        backend_version=bench.backend_version,
        precision=decision.shipped,
        path=target.bundle,
        bundle_sha256=target.bundle_sha256,
        measured=bench.measured,
        emulated=bench.emulated,
        not_measured_reason=bench.reason,
        other_cpu=bench.other_cpu,
        cautions=cautions.of_target(bench),
        waited=bench.conditions.waited if bench.conditions else None,
        stolen=bench.conditions.stolen if bench.conditions else None,
        float_p50_ms=float_p50.value if float_p50 else None,
        verdict=decision.verdict,
        reason=decision.reason,
        why=decision.why,
        repair=target.repair,
        surgery=target.surgery,
        builds=tuple(_build(build, bench, verdicts[build.precision]) for build in bench.builds),
        **(_figures(shipped, bench) if shipped else {}),
    )


def _build(build: BuildBench, bench: TargetBench, verdict: BuildVerdict) -> Build:
    return Build(
        precision=build.precision,
        verdict=verdict.verdict,
        reason=verdict.reason,
        gates=tuple(
            Gate(
                gate=check.gate,
                label=check.label,
                limit=check.limit,
                value=check.value,
                verdict=check.verdict,
                reason=check.reason,
            )
            for check in verdict.checks
        ),
        **_figures(build, bench),
    )


def _figures(build: BuildBench, bench: TargetBench) -> dict[str, Any]:
    return {
        "size_bytes": build.size_bytes,
        "placement": build.placement,
        "not_integer": build.not_integer,
        "conversions": build.conversions,
        "error": build.error,
        "unmeasured": build.unmeasured or build.lacking,
        **_accuracy(build.accuracy, bench.labels),
        "recalls": _recalls(bench.recalls(build)),
        **_host(build.host),
        **_latency(build.latency),
        **interval("speedup", build.speedup),
        **_cold_start(build.cold_start),
    }


def _accuracy(accuracy: QualityRecord | None, classes: Sequence[str]) -> dict[str, Any]:
    if accuracy is None:
        return {}
    figures = {
        "images": accuracy.images,
        **_scored(accuracy, classes),
        **interval("drop_points", accuracy.drop_points),
    }
    if not isinstance(accuracy, Accuracy):
        return figures
    return {
        **figures,
        "agreement": accuracy.agreement.value,
        "max_abs_diff": accuracy.max_abs_diff,
        "mean_cosine": accuracy.mean_cosine,
    }


def _scored(accuracy: QualityRecord, classes: Sequence[str]) -> dict[str, Any]:
    score = interval("score", accuracy.score.value)
    if isinstance(accuracy, DetectionScores):
        return {**score, "detection": object_scores(accuracy, classes)}
    if isinstance(accuracy, HeadScores):
        return {**score, "heads": tuple(_head(name, found) for name, found in accuracy.measured)}
    return {**score, **interval("top1", accuracy.top1), **interval("macro_f1", accuracy.macro_f1)}


def _head(name: str, found: Accuracy) -> HeadScore:
    return HeadScore(
        head=name,
        images=found.images,
        **interval("score", found.top1),
        **interval("macro_f1", found.macro_f1),
        **interval("drop_points", found.drop_points),
        agreement=found.agreement.value,
    )


def _recalls(recalls: Mapping[str, ClassRecall]) -> tuple[Recall, ...]:
    return tuple(
        Recall(
            label=label,
            images=found.images,
            **interval("recall", found.recall),
            **interval("float_recall", found.float_recall),
            **interval("drop_points", found.drop_points),
        )
        for label, found in recalls.items()
    )


def _host(host: HostCheck | None) -> dict[str, Any]:
    if host is None:
        return {}
    return {
        "emulated_images": host.emulated_images,
        "emulated_same": host.same,
        "undecided_images": host.undecided,
    }


def _latency(latency: Latency | None) -> dict[str, Any]:
    if latency is None:
        return {}
    return {
        "runs": latency.runs,
        "threads": latency.threads,
        "round_spread": latency.round_spread,
        "p90_ms": latency.p90_ms.value if latency.p90_ms else None,
        **interval("p50_ms", latency.p50_ms),
        **interval("p99_ms", latency.p99_ms),
    }


def _cold_start(cold: ColdStart | None) -> dict[str, Any]:
    if cold is None:
        return {}
    return {
        "cold_start_ms": cold.cold_start_ms,
        "peak_rss_bytes": cold.peak_rss_bytes,
        "baseline_rss_bytes": cold.baseline_rss_bytes,
    }


def _data(split: Split, adapt: Adaptation | DetectorAdaptation | None) -> Data:
    short = whole(split).short
    policy, reason = ("", "") if split.front != "image" else (split.resize, split.resize_reason)
    if isinstance(adapt, Adaptation) and adapt.resize:  # the shots may have decided otherwise than the shapes
        policy, reason = adapt.resize.policy, adapt.resize.reason
    elif isinstance(adapt, DetectorAdaptation) and adapt.resize != policy:
        policy, reason = adapt.resize, "as the pretrained detector expects"
    return Data(
        shots=len(split.shots),
        val=len(split.val),
        shots_per_class=_per_class(split.shots, len(split.classes)),
        val_per_class=_per_class(split.val, len(split.classes)),
        resize=policy,
        resize_reason=reason,
        clips=_clips(split.clips) if split.clips else _windows(split.windows) if split.windows else "",
        digest=split.digest,
        skipped=tuple(SkippedFile(path=short(item.path), reason=item.reason) for item in split.skipped),
    )


def _clips(clips: Clips) -> str:
    seconds = sorted(length / clips.rate_hz for length in clips.lengths)
    shortest, median, longest = seconds[0], seconds[len(seconds) // 2], seconds[-1]
    return f"{len(seconds)} clips of {shortest:.2f} to {longest:.2f} s (median {median:.2f} s), {clips.rate_hz} Hz"


def _windows(windows: Windows) -> str:
    lengths = sorted(windows.lengths)
    names = ", ".join(f"channel {name}" if name.isdecimal() else name for name in windows.channels[:_NAMED])
    more = f" and {len(windows.channels) - _NAMED} more" if len(windows.channels) > _NAMED else ""
    span = f"{lengths[0]} to {lengths[-1]}" if lengths[0] != lengths[-1] else f"{lengths[0]}"
    return f"{len(lengths)} windows of {span} steps, {len(windows.channels)} channels: {names}{more}"


def _per_class(samples: Sequence[Sample], classes: int) -> tuple[int, ...]:
    """Images, or labeled objects that count."""
    counts = [0] * classes
    for sample in samples:
        truth = sample.truth
        for each in (truth,) if isinstance(truth, int) else truth:
            if isinstance(each, int):
                counts[each] += 1
            elif not each.ignore:
                counts[each.label] += 1
    return tuple(counts)
