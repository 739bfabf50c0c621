"""Forecasts the INT8 models of a pivot folder on an x86 CPU without VNNI, on the images of a split."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgetl.backends.onnx_rules import load_pivot
from edgetl.backends.onnx_stem import widen_stem
from edgetl.diagnose.forecast.forecast import Cost, Forecast, Labeled, forecast
from edgetl.diagnose.forecast.network import Network
from edgetl.errors import DataError
from edgetl.fronts.base import load_front
from edgetl.fronts.batches import batches, frames_of
from edgetl.pivot.pivot import Pivot, read_pivot
from edgetl.tasks.base import TaskName, load_task
from edgetl.types import FrontName, Progress, Split

_BATCH = 4  # all values of all layers are held
# In standard deviations of the logits, or of what scores and boxes range over. Two CPUs whose kernels round a few ties
# differently already differ by 1.3 to 3.3 % of the logits' range (docs/decisions/0004-golden-tolerances.md): more.
_TOLERANCE = 0.05
# of an image's many objects some are at the edge of two classes
_LEAST_AGREEMENT: dict[TaskName, float] = {"classification": 1.0, "detection": 0.95}
_JSON_NAMES: dict[TaskName, dict[str, str]] = {"classification": {"error": "logits_error", "score": "top1"}}
_ONLY_OF_OBJECTS = "predictions"


@dataclass(frozen=True)
class Examined:
    """One INT8 model.

    metric       of the task: top-1, AP
    calibration  forecast on calibration images: behavior of the layers
    validation   forecast on validation images: cost in accuracy
    verdict      one sentence
    """

    file: str
    scheme_id: str
    task: TaskName
    metric: str
    calibration: Forecast
    validation: Forecast
    verdict: str
    front: FrontName = "image"

    @property
    def noun(self) -> str:
        """One example, in sentences."""
        return load_front(self.front).noun

    def to_json(self) -> dict[str, Any]:
        """With the task's own names: of classification `logits_error` and `top1`."""
        values = asdict(self)
        for part in ("calibration", "validation"):
            values[part]["cost"] = _renamed(values[part]["cost"], self.task)
        return values


def examine(
    folder: Path, split: Split, schemes: Collection[str], count: int, progress: Progress
) -> tuple[Examined, ...]:
    """Forecast the INT8 models of these schemes, each in the form in which the x86 backend compiles it.

    folder   of the pivot
    schemes  scheme ids with uint8 activations
    count    limit of calibration and of validation images; one is enough, more take longer
    raises   BundleError, BackendError, DataError.
    """
    pivot = read_pivot(folder)
    noun = load_front(pivot.preprocessing.front).noun
    if not split.shots or not split.val:
        raise DataError(f"expected shots and validation {noun}s; found {len(split.shots)} and {len(split.val)}")
    return tuple(
        _examine(folder / model.file, model.scheme_id, pivot, split, count, progress)
        for model in pivot.models
        if model.scheme_id is not None and model.scheme_id in schemes
    )


def _examine(path: Path, scheme: str, pivot: Pivot, split: Split, count: int, progress: Progress) -> Examined:
    p = pivot.preprocessing
    model, _ = load_pivot(path)
    widen_stem(model)
    network = Network(model)
    # both take classes in turn, so every prefix is balanced
    shots, val = split.shots[:count], split.val[:count]
    task = load_task(pivot.task, pivot.heads)
    frames = frames_of(val, p) if task.in_image else ()
    labeled = Labeled([sample.truth for sample in val], frames, len(split.classes))
    size = None if p.port.has_open_length else _BATCH
    with progress.task(f"forecast: {path.stem}", len(shots) + len(val)) as advance:
        calibration = forecast(network, task, batches(shots, p, size), advance=advance)
        validation = forecast(network, task, batches(val, p, size), labeled, advance)
    noun = load_front(p.front).noun
    said = verdict(task.name, calibration, validation, noun)
    return Examined(path.name, scheme, task.name, task.metric, calibration, validation, said, p.front)


def verdict(task: TaskName, calibration: Forecast, validation: Forecast, noun: str = "image") -> str:
    """What to do, in one sentence."""
    both = (*calibration.layers, *validation.layers)
    if not any(layer.possible for layer in both):
        return "cannot saturate: no pair of weights exceeds 16 bits, whatever the activations"
    if not any(layer.saturated for layer in both):
        return f"does not saturate on these {noun}s"
    if not (_matters(task, calibration.cost) or _matters(task, validation.cost)):
        return "saturates, but predictions stay the same"
    moved = f"{100 * validation.cost.error:.1f} %"
    moved = f"the logits by {moved} of their spread" if task == "classification" else f"scores and boxes by {moved}"
    return f"saturation moves {moved}: build for the target x86-avx2"


def _matters(task: TaskName, cost: Cost) -> bool:
    """Whether the predictions change by more than two runtimes differ."""
    return cost.error > _TOLERANCE or cost.agreement.value < _LEAST_AGREEMENT[task]


def _renamed(cost: dict[str, Any], task: TaskName) -> dict[str, Any]:
    names = _JSON_NAMES.get(task, {})
    kept = {key: value for key, value in cost.items() if task != "classification" or key != _ONLY_OF_OBJECTS}
    return {names.get(key, key): value for key, value in kept.items()}
