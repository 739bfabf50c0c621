"""What the stages that make networks found, in a few lines and as JSON: for the commands that end with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgetl.adapt.record import Adaptation, read_adapt
from edgetl.pivot.pivot import read_pivot
from edgetl.quant.record import QuantizeRecord, read_quantize
from edgetl.store.documents import as_json
from edgetl.store.results import StageResult


def found(results: Sequence[StageResult]) -> dict[str, Any]:
    """By stage, of those of adapt, quantize, export that ran or were kept; see the functions below."""
    told: dict[str, Any] = {}
    for result in results:
        if result.stage == "adapt":
            told["adapt"] = _adapt(read_adapt(result.folder))
        elif result.stage == "quantize":
            told.setdefault("quantize", []).append(_quantize(read_quantize(result.folder)))
        elif result.stage == "export":
            models = read_pivot(result.folder).models
            told["export"] = [model.model_dump(include={"file", "precision", "parity"}) for model in models]
    return told


def lines(told: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    said = []
    if "adapt" in told:
        said += _adapt_lines(told["adapt"])
    for one in told.get("quantize", ()):
        said.append(f"{one['scheme']}: {one['sentence']}")
    for model in told.get("export", ()):
        parity = model["parity"]
        said.append(
            f"{model['file']}: as the torch network on {parity['images']} images: largest difference of two logits "
            f"{parity['max_abs_diff']:.2g} of {parity['tolerance']:.2g} allowed, "
            f"{100 * parity['top1_agreement']:.1f} % the same class"
        )
    return said


def _adapt(record: Adaptation) -> dict[str, Any]:
    """top1 is a fraction on held-out shots, with its 95 % interval; None where nothing could be held out."""
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


def _adapt_lines(one: Mapping[str, Any]) -> list[str]:
    tuned = one["strategy"] == "finetune"
    made = f"fine-tuning, {one['setting']}, from a new head ({one['head']})" if tuned else f"a new head ({one['head']})"
    said = [f"chosen:   {made}"]
    if one["top1"] is not None:
        low, high = 100 * one["top1_low"], 100 * one["top1_high"]
        said.append(
            f"held-out: {100 * one['top1']:.1f} % top-1 ({low:.1f}–{high:.1f}), "
            f"each of {one['held_out_images']} shots judged by networks that had not seen it"
        )
    else:
        said.append("held-out: not measured, because nothing could be held out")
    said += [f"{guard['verdict']}: {guard['sentence']}" for guard in one["guards"] if guard["verdict"] in _LOUD]
    curve = one["learning_curve"]
    return [*said, f"more shots: {curve['sentence']}"] if curve else said


_LOUD = ("warn", "failed")


def _quantize(record: QuantizeRecord) -> dict[str, Any]:
    """drop_points of the method that was kept, against the float network; None where none was judged."""
    kept = record.decision.kept if record.decision else None
    made = "calibrated" if record.method == "ptq" else "trained"
    asked = f"{made}, as the recipe asks; the drop is measured by `edgetl bench`"
    return {
        "scheme": record.scheme,
        "method": record.method,
        "drop_points": asdict(kept.drop_points) if kept else None,
        "images": kept.images if kept else 0,
        "sentence": record.decision.sentence if record.decision else asked,
    }
