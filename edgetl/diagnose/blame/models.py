"""The two models of a pivot that are compared, in all variants for evaluating single layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.backends.sdk import import_onnxruntime
from edgetl.bench.machine import describe
from edgetl.data.pixels import Pixels
from edgetl.diagnose.blame.variants import digest_of, logits
from edgetl.errors import BackendError
from edgetl.pivot import mixed
from edgetl.pivot.pivot import Pivot, model_for
from edgetl.store.cache import Cache
from edgetl.types import Progress, Target

_VERSION = 2  # of the cached results

Form = Literal["float network", "all in float", "all in INT8", "one in float", "one in INT8"]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Networks:
    """The two models of a pivot that are compared, the weights of float layers, and the folder for results."""

    quantized: onnx.ModelProto
    reference: onnx.ModelProto
    originals: mixed.Originals | None
    cache: Cache

    def logits(self, form: Form, layer: str, images: Pixels) -> Logits:
        """Logits of one variant of the network, cached; `layer` names the layer that differs, "" for none."""
        key = {"what": "logits", "form": form, "layer": layer, "images": digest_of(images)}
        return self.cache.array(key, lambda: logits(self.form(form, layer), images))

    def form(self, form: Form, layer: str) -> onnx.ModelProto:
        if form == "float network":
            return self.reference
        if form == "all in INT8":
            return self.quantized
        if form == "one in float":
            return mixed.float_layers(self.quantized, (layer,), self.originals)
        return mixed.quantize_only(self.quantized, (layer,) if layer else (), self.originals)


def make_networks(quantized: onnx.ModelProto, reference: onnx.ModelProto, cache: Cache) -> Networks:
    """Raises BackendError if nothing is quantized, or the two are not the same network."""
    if not mixed.layers(quantized):
        raise BackendError("the INT8 model has no quantized layer; there is nothing to blame")
    return Networks(quantized, reference, mixed.originals_of(quantized, reference), cache)


def open_networks(folder: Path, pivot: Pivot, target: Target, cache: Path, progress: Progress) -> Networks:
    """The networks of the pivot in `folder` for `target`; their measurements are cached in the folder `cache`.

    The cache is per kind of CPU: without VNNI sums are clipped, so INT8 predictions differ.
    Raises the errors of `make_networks`.
    """
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
    return make_networks(quantized, reference, Cache(cache, progress.note, shared))
