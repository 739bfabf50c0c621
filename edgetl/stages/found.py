"""Summarizes the results of the stages that make networks, in a few lines and as JSON, at the end of a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgetl.adapt.detection.record import DetectorAdaptation
from edgetl.adapt.record import Adaptation
from edgetl.adapt.records import read_adaptation
from edgetl.files.documents import as_json
from edgetl.fronts.base import load_front
from edgetl.pivot.pivot import PivotModel, read_pivot
from edgetl.quant.record import QuantizeRecord, read_quantize
from edgetl.store.results import StageResult

_LOUD = ("warn", "failed")


@dataclass(frozen=True)
class Found:
    """The records of adapt, quantize and export, of those that ran or were kept."""

    adapted: Adaptation | DetectorAdaptation | None
    quantized: tuple[QuantizeRecord, ...]
    exported: tuple[PivotModel, ...]
    noun: str

    def to_json(self) -> dict[str, Any]:
        """By stage; see the functions below."""
        summary: dict[str, Any] = {}
        if self.adapted:
            summary["adapt"] = _adapt(self.adapted)
        if self.quantized:
            summary["quantize"] = [_quantize(record) for record in self.quantized]
        if self.exported:
            summary["export"] = [model.model_dump(include={"file", "precision", "parity"}) for model in self.exported]
        return summary

    def lines(self) -> list[str]:
        """The same as text."""
        said = _adapt_lines(self.adapted) if self.adapted else []
        said += [f"{record.scheme}: {_sentence(record)}" for record in self.quantized]
        for model in self.exported:
            if (parity := model.parity) is not None:
                of_objects = model.postprocess is not None
                said.append(
                    f"{model.file}: compared with the torch network on {parity.images} {self.noun}s: largest "
                    f"{'' if of_objects else 'logit '}difference {parity.max_abs_diff:.2g} of {parity.tolerance:.2g} "
                    f"allowed, {100 * parity.top1_agreement:.1f} % {'of the objects with the ' * of_objects}same class"
                )
        return said


def found(results: Sequence[StageResult]) -> Found:
    """Of the stages of a run. Raises EdgetlError."""

    def of(stage: str) -> list[StageResult]:
        return [result for result in results if result.stage == stage]

    pivots = [read_pivot(result.folder) for result in of("export")]
    return Found(
        adapted=next((read_adaptation(result.folder) for result in of("adapt")), None),
        quantized=tuple(read_quantize(result.folder) for result in of("quantize")),
        exported=tuple(model for pivot in pivots for model in pivot.models),
        noun=load_front(pivots[0].preprocessing.front).noun if pivots else "",
    )


def _adapt(record: Adaptation | DetectorAdaptation) -> dict[str, Any]:
    """top1, of a classifier, is a fraction on held-out shots, with its 95 % interval; None if nothing could be held
    out."""
    if isinstance(record, DetectorAdaptation):
        return _detector(record)
    chosen = record.chosen
    return {
        "strategy": record.strategy,
        "head": record.head,
        "setting": chosen.setting if chosen else "",
        "held_out_images": chosen.images if chosen else 0,
        **{name: getattr(chosen, name, None) for name in ("top1", "top1_low", "top1_high")},
        "reason": record.reason,
        "guards": [as_json(guard) for guard in record.guards],
        "learning_curve": as_json(record.learning_curve) if record.learning_curve else None,
    }


def _adapt_lines(record: Adaptation | DetectorAdaptation) -> list[str]:
    warnings = [f"{guard.verdict}: {guard.sentence}" for guard in record.guards if guard.verdict in _LOUD]
    if isinstance(record, DetectorAdaptation):
        return _detector_lines(record) + warnings
    chosen = record.chosen
    made = f"a new head ({record.head})"
    if record.strategy == "finetune":
        made = f"fine-tuning, {chosen.setting if chosen else ''}, from a new head ({record.head})"
    said = [f"chosen:   {made}", "held-out: not measured, because nothing could be held out"]
    if chosen and chosen.top1 is not None and chosen.top1_low is not None and chosen.top1_high is not None:
        said[1] = (
            f"held-out: {100 * chosen.top1:.1f} % top-1 ({100 * chosen.top1_low:.1f}–{100 * chosen.top1_high:.1f}), "
            f"each of {chosen.images} {record.judged} classified by networks not trained on it"
        )
    said += warnings
    return [*said, f"more shots: {record.learning_curve.sentence}"] if record.learning_curve else said


def _detector(record: DetectorAdaptation) -> dict[str, Any]:
    """utility and score_threshold are of held-out shots; None if nothing could be held out."""
    chosen = record.chosen
    return {
        "task": record.task,
        "family": record.family,
        "chosen": chosen.name,
        "setting": chosen.setting,
        "held_out_images": chosen.images,
        "utility": as_json(chosen.utility) if chosen.utility else None,
        "score_threshold": record.score_threshold,
        "reason": record.reason,
        "guards": [as_json(guard) for guard in record.guards],
    }


def _detector_lines(record: DetectorAdaptation) -> list[str]:
    chosen, found = record.chosen, record.chosen.utility
    held_out = "not measured, because nothing could be held out"
    if found is not None:
        held_out = (
            f"utility {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) on {chosen.images} shots, each with "
            "networks not trained on it: F1 of an image, mean over overlaps from 0.5 to 0.95"
        )
    elif chosen.state != "judged" and record.folds:
        held_out = f"not measured: {chosen.state}"
    return [f"chosen:   {record.family}, {chosen.name}: {chosen.setting}", f"held-out: {held_out}"]


def _quantize(record: QuantizeRecord) -> dict[str, Any]:
    """drop_points of the method that was kept, against the float network; None if none was evaluated."""
    kept = record.decision.kept if record.decision else None
    return {
        "scheme": record.scheme,
        "method": record.method,
        "drop_points": asdict(kept.drop_points) if kept else None,
        "images": kept.images if kept else 0,
        "sentence": _sentence(record),
    }


def _sentence(record: QuantizeRecord) -> str:
    if record.decision:
        return record.decision.sentence
    made = "calibrated" if record.method == "ptq" else "trained"
    return f"{made}, as set in the recipe; `edgetl bench` measures the drop"
