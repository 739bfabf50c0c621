"""Forecasts the INT8 models of a pivot folder on an x86 CPU without VNNI, on the images of a split."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.backends.onnx_rules import load_pivot
from edgetl.backends.onnx_stem import widen_stem
from edgetl.data.batches import batches
from edgetl.diagnose.forecast.forecast import Forecast, cost_of, observe
from edgetl.diagnose.forecast.needed import Remedy, candidates, matters, needed_layers, verify_remedy
from edgetl.diagnose.forecast.network import Network
from edgetl.errors import DataError
from edgetl.pivot.pivot import Pivot, read_pivot
from edgetl.types import Preprocessing, Progress, Sample, Split

_BATCH = 4
_CHOOSING = 8  # images for choosing layers: every candidate layer costs a run over them


@dataclass(frozen=True)
class Examined:
    """One INT8 model.

    calibration  forecast on calibration images: behavior of the layers
    validation   forecast on validation images: cost in accuracy
    remedy       reduced range in the layers that need it, verified on the validation images; None if saturation does
                 not matter
    verdict      one sentence
    """

    file: str
    scheme_id: str
    calibration: Forecast
    validation: Forecast
    remedy: Remedy | None
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
        seen = observe(network, batches(shots, p, _BATCH), advance)
        judged = observe(network, batches(val, p, _BATCH), advance)
    calibration = Forecast(seen.layers, cost_of(seen.right, seen.wrong), network.unknown)
    validation = Forecast(judged.layers, cost_of(judged.right, judged.wrong, labels), network.unknown)
    remedy = None
    if matters(calibration.cost) or matters(validation.cost):
        chosen = _choose(network, calibration, shots[:_CHOOSING], p, progress)
        if chosen:
            remedy = verify_remedy(model, chosen, batches(val, p, _BATCH), judged.right, labels)
    return Examined(path.name, scheme, calibration, validation, remedy, verdict(calibration, validation, remedy))


def _choose(
    network: Network, found: Forecast, samples: Sequence[Sample], p: Preprocessing, progress: Progress
) -> tuple[str, ...]:
    with progress.task("forecast: layers that need 7 bits", candidates(found.layers)) as advance:
        return needed_layers(network, found.layers, batches(samples, p, _BATCH), advance)


def verdict(calibration: Forecast, validation: Forecast, remedy: Remedy | None) -> str:
    """What to do, in one sentence."""
    both = (*calibration.layers, *validation.layers)
    if not any(layer.possible for layer in both):
        return "cannot saturate: no pair of weights exceeds 16 bits, whatever the activations"
    if not any(layer.saturated for layer in both):
        return "does not saturate on these images"
    if not (matters(calibration.cost) or matters(validation.cost)):
        return "saturates, but predictions stay the same: no layer needs reduced range"
    harm = f"saturation moves the logits by {_percent(validation.cost.logits_error)} of their spread"
    if remedy is None:
        return f"{harm}; reduced range helps in no layer: build for the target x86-avx2"
    left = f"reduced range in {len(remedy.layers)} of {len(calibration.layers)} layers leaves "
    left += _percent(remedy.cost.logits_error)
    if remedy.enough:
        return f"{harm}; {left}, which is enough"
    return f"{harm}; {left}: build for the target x86-avx2"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
