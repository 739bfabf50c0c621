"""INT8 without calibration: the runtime takes the range of what a layer reads from the values themselves.

For texts on ONNX Runtime, whose kernels for it are faster than those between Q/DQ pairs
(docs/decisions/0031-text-in-int8.md). Torch-free.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import onnx

from edgetl.errors import BackendError
from edgetl.files.temporary import temporary_folder
from edgetl.pivot.layer_view import View
from edgetl.pivot.serialize import clean
from edgetl.quant.embeddings import round_embeddings
from edgetl.types import Scheme

_LAYERS = ("MatMul", "LSTM")
_ADDED = re.compile(r"(_MatMul)?_quant$")  # to the names of layers


def to_dynamic(
    model: onnx.ModelProto, scheme: Scheme, in_float: Collection[str] = ()
) -> tuple[onnx.ModelProto, dict[str, int]]:
    """A copy whose matrix products with constant weights and LSTMs compute in INT8, and how many of each kind.

    model     a float network as `to_onnx` gives it
    in_float  names of layers that stay float
    Weights are int8 around zero; those of a scheme for CPUs without VNNI have 7 bits, because neighbors are multiplied
    with uint8 values and added in int16. Tables of embeddings are int8 too.
    raises    BackendError if there is nothing to quantize or onnxruntime's quantizer refuses the network.
    """
    names = _layer_names(model)
    excluded = [name for name in in_float for name in (name, f"{name}_MatMul")]  # what the quantizer makes of a Gemm
    quantized = _quantized(model, scheme, excluded)
    for node in quantized.graph.node:
        node.name = _ADDED.sub("", node.name)
    embeddings = round_embeddings(quantized)
    counts = {"linear": _count(quantized, "MatMulInteger"), "lstm": _count(quantized, "DynamicQuantizeLSTM")}
    found = {kind: count for kind, count in (counts | {"embedding": embeddings}).items() if count}
    if not {"linear", "lstm"} & set(found):
        raise BackendError(
            f"none of the {len(names)} layers of the network can be quantized; use quantize.method: none or choose "
            "another backbone"
        )
    return clean(quantized), found


def _layer_names(model: onnx.ModelProto) -> list[str]:
    view = View(model)
    return [view.name_of(node) for node in view.compute]


def _quantized(model: onnx.ModelProto, scheme: Scheme, excluded: list[str]) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with temporary_folder() as scratch, _without_advice():
        try:
            quantize_dynamic(
                clean(model),  # without the shapes that the exporter leaves, which contradict those it infers
                scratch / "dynamic.onnx",
                op_types_to_quantize=list(_LAYERS),
                per_channel=scheme.weight_granularity == "channel",
                reduce_range=scheme.weight_pairs_in_int16,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
            )
        except Exception as error:  # it has no errors of its own
            reason = " ".join(str(error).split())[:200]
            raise BackendError(
                f"onnxruntime cannot quantize the network: {reason}; use quantize.method: none"
            ) from error
        return onnx.load_model(scratch / "dynamic.onnx")


def _count(model: onnx.ModelProto, kind: str) -> int:
    return sum(node.op_type == kind for node in model.graph.node)


@contextmanager
def _without_advice() -> Iterator[None]:
    # it recommends its own preparation, which would fuse operators that other runtimes do not know
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
