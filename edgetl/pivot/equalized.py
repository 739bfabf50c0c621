"""The layers of a Q/DQ model with scaled channels (`quantize.equalize`), recorded in its metadata. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Collection

import onnx
from pydantic import TypeAdapter, ValidationError

from edgetl.errors import BackendError
from edgetl.pivot.layer_view import View

EQUALIZED_KEY = "edgetl.equalized"


def mark_equalized(model: onnx.ModelProto, places: Collection[int], count: int) -> None:
    """Write down the convolutions at these places among the `count` of the network, in the order of its graph; all
    layers where the model has another number of them."""
    view = View(model)
    convolutions = [node for node in view.compute if node.op_type == "Conv"]
    chosen = [convolutions[place] for place in sorted(places)] if len(convolutions) == count else view.compute
    if places:
        _write(model, [view.name_of(node) for node in chosen])


def keep_mark(source: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Write into `model`, made from `source`, what `source` says."""
    names = equalized_layers(source)
    if names:
        _write(model, sorted(names))


def equalized_layers(model: onnx.ModelProto) -> frozenset[str]:
    """Names of layers as in `graph/mixed.py`. Raises BackendError for metadata that is not ours."""
    found = next((entry.value for entry in model.metadata_props if entry.key == EQUALIZED_KEY), "[]")
    try:
        return frozenset(TypeAdapter(tuple[str, ...]).validate_json(found))
    except ValidationError as error:
        raise BackendError(f"metadata `{EQUALIZED_KEY}`: expected names of layers, found `{found[:80]}`") from error


def _write(model: onnx.ModelProto, names: Collection[str]) -> None:
    model.metadata_props.add(key=EQUALIZED_KEY, value=json.dumps(list(names), ensure_ascii=False))
