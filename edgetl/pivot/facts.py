"""The facts in a pivot model's graph and metadata. Torch-free."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from pydantic import TypeAdapter, ValidationError

from edgetl.errors import BundleError
from edgetl.pivot.preprocess import LABELS_KEY, PREPROCESSING_KEY
from edgetl.types import INPUT_NAMES, Preprocessing

MAX_MODEL_BYTES = 2_000_000_000


@dataclass(frozen=True)
class ModelFacts:
    """A pivot model with its preprocessing attached.

    input_shape  of `image`, uint8: (None, height, width, 3); `audio`, int16: (None, samples); `tokens`, int32:
                 (None, None); None is the batch or a length
    quantize     QuantizeLinear nodes; 0 for a float model
    dequantize   DequantizeLinear nodes
    operators    how often each other ONNX operator occurs
    """

    input_shape: tuple[int | None, ...]
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    opset: int
    quantize: int
    dequantize: int
    operators: dict[str, int]


def read_facts(path: Path) -> ModelFacts:
    """Read a pivot model's facts. Raises BundleError for a file that is not one of our pivots."""
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise BundleError(f"{path}: larger than {MAX_MODEL_BYTES} bytes; this is not a pivot")
        model = onnx.load_model(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise BundleError(f"{path}: not a readable ONNX model; export it again") from error
    return facts_of(model, str(path))


def facts_of(model: onnx.ModelProto, where: str) -> ModelFacts:
    """The same for a model in memory. `where` starts the error line."""
    inputs, outputs = list(model.graph.input), list(model.graph.output)
    if [i.name for i in inputs] not in ([name] for name in INPUT_NAMES.values()) or not outputs:
        raise BundleError(
            f"{where}: expected one input of {', '.join(INPUT_NAMES.values())}; found {[i.name for i in inputs]}; "
            "export it with `edgetl export`"
        )
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        labels = TypeAdapter(tuple[str, ...]).validate_json(metadata[LABELS_KEY])
        preprocessing = TypeAdapter(Preprocessing).validate_python(json.loads(metadata[PREPROCESSING_KEY]))
    except (KeyError, ValueError, ValidationError) as error:
        raise BundleError(
            f"{where}: expected labels and preprocessing in its metadata; export it with `edgetl export`"
        ) from error
    counts = Counter(node.op_type for node in model.graph.node)
    quantize, dequantize = counts.pop("QuantizeLinear", 0), counts.pop("DequantizeLinear", 0)
    shape = tuple(d.dim_value or None for d in inputs[0].type.tensor_type.shape.dim)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    return ModelFacts(shape, labels, preprocessing, opset, quantize, dequantize, dict(sorted(counts.items())))
