"""The two models of a pivot that are compared, in all variants for evaluating single layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.backends.sdk import import_onnxruntime
from edgetl.bench.machine import describe
from edgetl.diagnose.blame.variants import digest_of, outputs, outputs_by_batch
from edgetl.errors import BackendError
from edgetl.fronts.batches import frames_of
from edgetl.fronts.pixels import Pixels
from edgetl.pivot import mixed
from edgetl.pivot.pivot import Pivot, model_for
from edgetl.store.cache import Cache
from edgetl.tasks.base import Answers, Outputs, Task, load_task
from edgetl.types import Progress, Target

_VERSION = 3  # of the cached results

Form = Literal["float network", "all in float", "all in INT8", "one in float", "one in INT8"]
Distances = NDArray[np.float64]


@dataclass(frozen=True)
class Networks:
    """The two models of a pivot that are compared, the weights of float layers, the task, and the folder for results.

    A variant is named by its form and the layer that differs, "" for none.
    """

    quantized: onnx.ModelProto
    reference: onnx.ModelProto
    originals: mixed.Originals | None
    task: Task
    cache: Cache

    def outputs(self, form: Form, layer: str, images: Pixels) -> Outputs:
        """Outputs of a variant. Not cached: those of a detector are large."""
        return outputs(self.form(form, layer), self.task.outputs, images)

    def distances(self, form: Form, layer: str, images: Pixels, expected: Callable[[], Outputs]) -> Distances:
        """(N,) distances of a variant's outputs from the float network's, by `Task.distance`; cached.

        expected  gives the float network's outputs on these images; called only if there is something to compute
        """
        key = {"what": "distances", "form": form, "layer": layer, "images": digest_of(images)}
        return self.cache.array(key, lambda: self.task.distance(self.outputs(form, layer, images), expected()))

    def answers(self, form: Form, layer: str, images: Pixels) -> Answers:
        """Answers of a variant, cached."""
        key = {"what": "answers", "form": form, "layer": layer, "images": digest_of(images)}
        return self.cache.array(key, lambda: self._answers(form, layer, images))

    def _answers(self, form: Form, layer: str, images: Pixels) -> Answers:
        frames = frames_of(images.samples, images.preprocessing) if self.task.in_image else ()
        parts: list[Answers] = []
        done = 0
        for found in outputs_by_batch(self.form(form, layer), self.task.outputs, images):
            count = len(found[self.task.outputs[0]])
            parts.append(self.task.answer(found, frames[done : done + count]))
            done += count
        return np.concatenate(parts)

    def form(self, form: Form, layer: str) -> onnx.ModelProto:
        if form == "float network":
            return self.reference
        if form == "all in INT8":
            return self.quantized
        if form == "one in float":
            return mixed.float_layers(self.quantized, (layer,), self.originals)
        return mixed.quantize_only(self.quantized, (layer,) if layer else (), self.originals)


def make_networks(quantized: onnx.ModelProto, reference: onnx.ModelProto, task: Task, cache: Cache) -> Networks:
    """Raises BackendError if nothing is quantized, or the two are not the same network."""
    if not mixed.layers(quantized):
        raise BackendError("the INT8 model has no quantized layer; there is nothing to blame")
    return Networks(quantized, reference, mixed.originals_of(quantized, reference), task, cache)


def open_networks(folder: Path, pivot: Pivot, target: Target, cache: Path, progress: Progress) -> Networks:
    """The networks of the pivot in `folder` for `target`; their measurements are cached in the folder `cache`.

    The cache is per kind of CPU: without VNNI sums are clipped, so INT8 predictions differ.
    Raises the errors of `make_networks`.
    """
    if target.scheme.is_dynamic:
        raise BackendError(
            f"target {target.name}: its ranges are found when the network runs, and single layers cannot be compared; "
            "choose a target with observed ranges, for example --target intel-avx2"
        )
    chosen, plain = model_for(pivot, target, "int8"), model_for(pivot, target, "float32")
    machine = describe()
    shared = {
        "version": _VERSION,
        "model": chosen.sha256,
        "float": plain.sha256,
        "runtime": import_onnxruntime().__version__,
        "cpu": [machine.architecture, machine.cpu, *machine.instruction_sets],
    }
    quantized, reference = (onnx.load_model(folder / described.file) for described in (chosen, plain))
    return make_networks(quantized, reference, load_task(pivot.task, pivot.heads), Cache(cache, progress.note, shared))
