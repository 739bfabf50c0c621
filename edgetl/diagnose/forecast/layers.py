"""The layers of an ONNX Runtime graph that multiply uint8 by int8, and their computation.

They are read from the graph fused by the runtime, so a layer that it leaves in float is not a candidate. Depthwise
convolutions are excluded too: their kernels widen every product to 32 bits before adding
(docs/decisions/0010-saturation.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.onnx_placement import element_types
from edgetl.diagnose.forecast.fused import PRODUCT
from edgetl.diagnose.forecast.pairs import Sums, Weights, accumulate, bound, weights_of
from edgetl.diagnose.forecast.windows import Window, unfold, weight_rows
from edgetl.pivot.macs import Kind, is_depthwise

Array = NDArray[np.generic]
T = TypeVar("T", np.uint8, np.float32, np.int32)
Answer = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.int32]

# positions of: data, its scale and zero point, weights, their scale and zero point, output scale and zero point, bias
_INPUTS: dict[str, tuple[int, ...]] = {
    "QLinearConv": (0, 1, 2, 3, 4, 5, 6, 7, 8),
    "QLinearMatMul": (0, 1, 2, 3, 4, 5, 6, 7),
    "QGemm": (0, 1, 2, 3, 4, 5, 7, 8, 6),
    "MatMulIntegerToFloat": (0, 2, 4, 1, 3, 5, -1, -1, 6),
}
_OTHERS = ("ConvInteger", "DynamicQuantizeMatMul", PRODUCT)


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer on uint8 activations and int8 weights.

    weights     int8: (O, C / groups, rows, columns) of a convolution, (O, K) of a linear layer; zero point 0. One along
                a sequence has one row.
    scale       (O,) or (1,) float32: data scale x weight scale, which an accumulator is multiplied by
    bias        (O,) int32 in accumulator units, or None
    real_bias   (O,) float32, added to a result that stays float, or None
    out_scale   None where the result stays float
    integers    whether the result is the accumulators themselves
    """

    name: str
    kind: Kind
    source: str
    output: str
    weights: NDArray[np.int8]
    zero_point: int
    scale: NDArray[np.float32]
    bias: NDArray[np.int32] | None
    real_bias: NDArray[np.float32] | None
    out_scale: np.float32 | None
    out_zero_point: int
    window: Window | None
    integers: bool = False

    @cached_property
    def parts(self) -> tuple[Weights, ...]:
        """The weight matrix of each group, with the pairs that can saturate."""
        return tuple(weights_of(matrix) for matrix in self._matrices())

    def bound(self, highest: NDArray[np.uint8] | None = None) -> int:
        """The largest |pair sum| with activations up to `highest`, as in `sums`, or up to 255."""
        matrices = self._matrices()
        most = [None] * len(matrices) if highest is None else list(highest.reshape(len(matrices), -1))
        return max(bound(matrix, limits) for matrix, limits in zip(matrices, most, strict=True))

    @property
    def can_saturate(self) -> bool:
        return any(len(part.column) for part in self.parts)

    def sums(self, data: NDArray[np.uint8]) -> Sums:
        """Accumulators for one example: data (1, C, H, W), (1, C, L) or (M, K) uint8 -> (O, positions), zero point
        subtracted."""
        if self.window is None:
            columns = data.reshape(1, -1, data.shape[-1]).transpose(0, 2, 1)
        else:
            image = data[0] if data.ndim == 4 else data[0][:, None]
            columns = unfold(image, self.window, self.zero_point)
        each = [accumulate(part, group) for part, group in zip(self.parts, columns, strict=True)]
        offset = [self.zero_point * part.matrix.sum(axis=1, dtype=np.float64) for part in self.parts]
        exact = np.concatenate([sums.exact for sums in each]) - np.concatenate(offset).astype(np.int32)[:, None]
        change = np.concatenate([sums.change for sums in each])
        highest = np.concatenate([sums.highest for sums in each])
        return Sums(exact, change, sum(s.saturated for s in each), max(s.peak for s in each), highest)

    def answer(self, accumulators: NDArray[np.int32], data_shape: tuple[int, ...]) -> Answer:
        """(O, positions) int32 -> the layer's output, uint8, float32 or int32, in its own shape.

        Scale and round half to even in float32, as the runtime does.
        """
        if self.integers:
            return self._shaped(accumulators, data_shape)
        scale = self.scale if self.out_scale is None else self.scale / self.out_scale
        if self.bias is not None:
            accumulators = accumulators + self.bias[:, None]
        scaled = accumulators.astype(np.float32) * scale.astype(np.float32)[:, None]
        if self.real_bias is not None:
            scaled += self.real_bias[:, None]
        return self._quantized(scaled, data_shape) if self.out_scale is not None else self._shaped(scaled, data_shape)

    def _quantized(self, scaled: NDArray[np.float32], data_shape: tuple[int, ...]) -> NDArray[np.uint8]:
        low, high = np.float32(-self.out_zero_point), np.float32(255 - self.out_zero_point)
        rounded = np.rint(np.clip(scaled, low, high)) + self.out_zero_point
        return self._shaped(rounded.astype(np.uint8), data_shape)

    def _shaped(self, found: NDArray[T], data_shape: tuple[int, ...]) -> NDArray[T]:
        if self.window is None:
            return np.ascontiguousarray(found.T).reshape(*data_shape[:-1], -1)
        along = len(data_shape) == 3  # one axis
        height, width = (1, data_shape[2]) if along else data_shape[2:4]
        rows, columns = self.window.output_size(height, width)
        return found.reshape(1, -1, columns) if along else found.reshape(1, -1, rows, columns)

    def _matrices(self) -> NDArray[np.int8]:
        return self.weights[None] if self.window is None else weight_rows(self.weights, self.window.groups)


def layers_of(model: onnx.ModelProto) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """The layers of a fused graph in its order, and the names of those that are not modeled here."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    types = element_types(model)
    layers: list[Layer] = []
    unknown: list[str] = []
    for node in model.graph.node:
        if not _multiplies_u8_by_s8(node, types) or _is_depthwise(node, constants):
            continue
        layer = _product(node, constants) if node.op_type == PRODUCT else _layer(node, constants)
        if layer is None:
            unknown.append(node.name or node.output[0])
        else:
            layers.append(layer)
    return tuple(layers), tuple(unknown)


def _multiplies_u8_by_s8(node: onnx.NodeProto, types: Mapping[str, int]) -> bool:
    if node.op_type in _OTHERS:
        return types.get(node.input[1]) == TensorProto.INT8
    if node.op_type not in _INPUTS:
        return False
    data, weight = (node.input[_INPUTS[node.op_type][index]] for index in (0, 3))
    return (types.get(data), types.get(weight)) == (TensorProto.UINT8, TensorProto.INT8)


def _is_depthwise(node: onnx.NodeProto, constants: Mapping[str, Array]) -> bool:
    if node.op_type != "QLinearConv" or node.input[3] not in constants:
        return False
    groups = _settings(node).get("group", 1)
    return isinstance(groups, int) and is_depthwise(constants[node.input[3]].shape, groups)


def _product(node: onnx.NodeProto, constants: Mapping[str, Array]) -> Layer | None:
    """A product of values that were rounded when the network ran; `fused.py` has taken its zero point out."""
    weights = constants.get(node.input[1])
    zero_points = [constants.get(name, np.ones(1)) for name in node.input[2:] if name]
    if weights is None or weights.ndim != 2 or any(each.any() for each in zero_points):
        return None
    return Layer(
        name=node.name or node.output[0],
        kind="linear",
        source=node.input[0],
        output=node.output[0],
        weights=np.asarray(weights.T, dtype=np.int8),
        zero_point=0,
        scale=np.ones(1, np.float32),
        bias=None,
        real_bias=None,
        out_scale=None,
        out_zero_point=0,
        window=None,
        integers=True,
    )


def _layer(node: onnx.NodeProto, constants: Mapping[str, Array]) -> Layer | None:
    named = [node.input[i] if 0 <= i < len(node.input) else "" for i in _INPUTS.get(node.op_type, ())]
    if len(named) < 8 or any(name and name not in constants for name in named[1:]):
        return None
    _, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = (constants.get(name) for name in named[:8])
    bias = constants.get(named[8]) if len(named) > 8 else None
    if x_scale is None or w is None or w_scale is None or (w_zero is not None and w_zero.any()) or x_scale.size > 1:
        return None
    settings = _settings(node)
    window = _window(w, settings) if node.op_type == "QLinearConv" else None
    matrix = _planes(w) if node.op_type == "QLinearConv" else _rows(w, settings)
    if matrix is None or (node.op_type == "QLinearConv") != (window is not None):
        return None
    if bias is not None and bias.size != matrix.shape[0]:
        return None
    scale = np.atleast_1d(x_scale.astype(np.float32).reshape(()) * w_scale.astype(np.float32).reshape(-1))
    return Layer(
        name=node.name or node.output[0],
        kind="linear" if window is None else "convolution",
        source=named[0],
        output=node.output[0],
        weights=np.asarray(matrix, dtype=np.int8),
        zero_point=0 if x_zero is None else int(x_zero.reshape(())),
        scale=np.float32(alpha if isinstance(alpha := settings.get("alpha"), float) else 1.0) * scale,
        bias=np.asarray(bias.reshape(-1), np.int32) if bias is not None and bias.dtype == np.int32 else None,
        real_bias=np.asarray(bias.reshape(-1), np.float32) if bias is not None and bias.dtype != np.int32 else None,
        out_scale=None if y_scale is None else np.float32(y_scale.reshape(())),
        out_zero_point=0 if y_zero is None else int(y_zero.reshape(())),
        window=window,
    )


def _planes(weights: Array) -> Array:
    """(O, C / groups, rows, columns); a convolution along a sequence, (O, C / groups, columns), gets one row."""
    return weights[:, :, None] if weights.ndim == 3 else weights


def _window(weights: Array, settings: Mapping[str, object]) -> Window | None:
    planes = _planes(weights)
    if planes.ndim != 4 or settings.get("auto_pad", b"NOTSET") not in (b"NOTSET", b""):
        return None
    found: dict[str, tuple[int, ...]] = {}
    for name, one_row in (("strides", (1,)), ("pads", (0,)), ("dilations", (1,))):
        values = settings.get(name)
        if isinstance(values, list):
            along = [tuple(values[at : at + weights.ndim - 2]) for at in range(0, len(values), weights.ndim - 2)]
            found[name] = sum((one_row + each if weights.ndim == 3 else each for each in along), ())
    groups = settings.get("group", 1)
    return Window(kernel=planes.shape[2:], groups=groups if isinstance(groups, int) else 1, **found)  # type: ignore[arg-type]


def _rows(weights: Array, settings: Mapping[str, object]) -> Array | None:
    """(O, K) of a linear layer; None for anything but a plain matrix."""
    if weights.ndim != 2 or settings.get("transA", 0):
        return None
    return weights if settings.get("transB", 0) else weights.T


def _settings(node: onnx.NodeProto) -> dict[str, object]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
