"""Forecasts the INT8 models of a pivot folder on an x86 CPU without VNNI, on the images of a split."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edgetl.backends.onnx_rules import load_pivot
from edgetl.backends.onnx_stem import widen_stem
from edgetl.data.batches import batches
from edgetl.diagnose.forecast.forecast import Cost, Forecast, forecast
from edgetl.diagnose.forecast.network import Network
from edgetl.errors import DataError
from edgetl.pivot.pivot import Pivot, read_pivot
from edgetl.types import Progress, Split

_BATCH = 4
# In standard deviations of the logits. Two CPUs whose kernels round a few ties differently already differ by 1.3 to
# 3.3 % of the logits' range (docs/decisions/0004-golden-tolerances.md), which is more.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Examined:
    """One INT8 model.

    calibration  forecast on calibration images: behavior of the layers
    validation   forecast on validation images: cost in accuracy
    verdict      one sentence
    """

    file: str
    scheme_id: str
    calibration: Forecast
    validation: Forecast
    verdict: str


def examine(
    folder: Path, split: Split, schemes: Collection[str], count: int, progress: Progress
) -> tuple[Examined, ...]:
    """Forecast the INT8 models of these schemes, each in the form in which the x86 backend compiles it.

    folder   of the pivot
    schemes  scheme ids with uint8 activations
    count    limit of calibration and of validation images; one is enough, more take longer
    raises   BundleError, BackendError, DataError.
    """
    if not split.shots or not split.val:
        raise DataError(f"expected calibration and validation images; found {len(split.shots)} and {len(split.val)}")
    pivot = read_pivot(folder)
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
    labels = [sample.label for sample in val]
    with progress.task(f"forecast: {path.stem}", len(shots) + len(val)) as advance:
        calibration = forecast(network, batches(shots, p, _BATCH), advance=advance)
        validation = forecast(network, batches(val, p, _BATCH), labels, advance)
    return Examined(path.name, scheme, calibration, validation, verdict(calibration, validation))


def verdict(calibration: Forecast, validation: Forecast) -> str:
    """What to do, in one sentence."""
    both = (*calibration.layers, *validation.layers)
    if not any(layer.possible for layer in both):
        return "cannot saturate: no pair of weights exceeds 16 bits, whatever the activations"
    if not any(layer.saturated for layer in both):
        return "does not saturate on these images"
    if not (_matters(calibration.cost) or _matters(validation.cost)):
        return "saturates, but predictions stay the same"
    moved = f"saturation moves the logits by {100 * validation.cost.logits_error:.1f} % of their spread"
    return f"{moved}: build for the target x86-avx2"


def _matters(cost: Cost) -> bool:
    """Whether the predictions change by more than two runtimes differ."""
    return cost.logits_error > _TOLERANCE or cost.agreement.value < 1
