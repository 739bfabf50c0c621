"""A graph of quantized layers with its makers and readers, and edits of which values are read. Torch-free.

`mixed.py` defines layers and pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.pivot.macs import COMPUTE
from edgetl.pivot.serialize import DEQUANTIZE, QUANTIZE

Array = NDArray[Any]

_FUSED = ("Relu", "Clip")
_MOVES = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity")
_PASSES = (
    *(*_MOVES, "Concat", "Slice", "Split", "Pad", "Resize"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean"),
)
_ARITHMETIC = ("Add", "Mul")


class View:
    """A graph with its makers and readers. `layers` are those that are integer at the moment, by name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.made_by = {name: node for node in model.graph.node for name in node.output}
        self._outputs = {value.name for value in model.graph.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in dict.fromkeys(node.input):
                self._readers.setdefault(name, []).append(node)
        self.compute = [node for node in model.graph.node if self._is_compute(node)]
        self._names: dict[str, str] = dict(
            zip((str(node.output[0]) for node in self.compute), _unique(map(self._name, self.compute)), strict=True)
        )
        self.layers = {self.name_of(node): node for node in self.compute if self._is_integer(node)}

    def name_of(self, node: onnx.NodeProto) -> str:
        return self._names[str(node.output[0])]

    def readers(self, name: str) -> list[onnx.NodeProto]:
        return list(self._readers.get(name, ()))

    def read(self, node: onnx.NodeProto, index: int, name: str) -> None:
        """Let input `index` of `node` be `name`."""
        before = node.input[index]
        node.input[index] = name
        if before and before not in node.input:
            self._readers[before] = [other for other in self._readers[before] if other.output[0] != node.output[0]]
        if not any(other.output[0] == node.output[0] for other in self._readers.setdefault(name, [])):
            self._readers[name].append(node)

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        found = self.readers(name)
        return found[0] if len(found) == 1 and name not in self._outputs else None

    # --- layers ---

    def _is_compute(self, node: onnx.NodeProto) -> bool:
        return node.op_type in COMPUTE and len(node.input) > 1 and self._weight_root(node) in self.constants

    def _is_integer(self, node: onnx.NodeProto) -> bool:
        source = self.made_by.get(self._source(node))
        return source is not None and source.op_type == DEQUANTIZE and self._weight_dequantizer(node) is not None

    def meant_for_float(self) -> frozenset[str]:
        """Names of layers, and of their nodes, that are not to run in INT8: not between pairs, as sound's front end,
        or a convolution whose result nobody rounds, which ONNX Runtime computes in float."""
        return frozenset(
            name
            for node in self.compute
            if self.name_of(node) not in self.layers
            or (node.op_type == "Conv" and not self._is_rounded(self.result(node)))
            for name in (self.name_of(node), node.name)
        )

    def products_of_values(self) -> frozenset[str]:
        """Names of matrix products without weights, as in attention, which no scheme lists."""
        return frozenset(
            node.name for node in self.graph.node if node.op_type == "MatMul" and not self._is_compute(node)
        )

    def _source(self, node: onnx.NodeProto) -> str:
        """The value that a layer reads, before operators that only move values and have no pair of their own."""
        moves = list(self.moves_before(node))
        return str((moves[-1] if moves else node).input[0])

    def moves_before(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        name = node.input[0]
        while (maker := self.made_by.get(name)) is not None and maker.op_type in _MOVES:
            if len(self.readers(name)) > 1:
                return
            yield maker
            name = maker.input[0]

    def _weight_path(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes between the stored weights and the layer, nearest first."""
        path: list[onnx.NodeProto] = []
        name = node.input[1]
        while (maker := self.made_by.get(name)) is not None and maker.op_type in (*_MOVES, DEQUANTIZE):
            path.append(maker)
            name = maker.input[0]
        return path

    def _weight_root(self, node: onnx.NodeProto) -> str:
        path = self._weight_path(node)
        return str(path[-1].input[0] if path else node.input[1])

    def _weight_dequantizer(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        path = self._weight_path(node)
        return path[-1] if path and path[-1].op_type == DEQUANTIZE else None

    def weight(self, node: onnx.NodeProto) -> Array | None:
        """The float weights as read by the layer; None if an operator before them is unknown."""
        return self._along_path(node, self._stored(node))

    def _stored(self, node: onnx.NodeProto) -> Array:
        stored = numpy_helper.to_array(self.constants[self._weight_root(node)])
        dequantizer = self._weight_dequantizer(node)
        if dequantizer is None:
            return stored
        zero_point = 0 if len(dequantizer.input) < 3 else self._constant(dequantizer.input[2])
        axis = _attribute(dequantizer, "axis", 1)
        offset = _along(zero_point, axis, stored.ndim)
        return np.asarray((stored.astype(np.float32) - offset) * self._scales(node), np.float32)

    def _scales(self, node: onnx.NodeProto) -> Array:
        dequantizer = self._weight_dequantizer(node)
        assert dequantizer is not None
        dims = len(self.constants[dequantizer.input[0]].dims)
        return _along(self._constant(dequantizer.input[1]), _attribute(dequantizer, "axis", 1), dims)

    def _along_path(self, node: onnx.NodeProto, values: Array) -> Array | None:
        for step in reversed(self._weight_path(node)):
            if step.op_type == "Transpose":
                values = values.transpose(_attribute(step, "perm", list(range(values.ndim))[::-1]))
            elif step.op_type == "Reshape" and step.input[1] in self.constants:
                values = values.reshape(self._constant(step.input[1]))
            elif step.op_type not in (DEQUANTIZE, "Identity"):
                return None
        return values

    def steps(self, node: onnx.NodeProto, original: Array) -> float:
        """See `weight_steps`."""
        whole = numpy_helper.to_array(self.constants[self._weight_root(node)]).astype(np.float64)
        scales = np.broadcast_to(self._scales(node), whole.shape).astype(np.float64)
        scale, integers = self._along_path(node, scales), self._along_path(node, whole)
        assert scale is not None
        assert integers is not None
        largest = float(np.abs(integers).max())
        return float(np.abs(np.clip(original / scale, -largest, largest) - integers).max())

    def bias(self, node: onnx.NodeProto) -> tuple[onnx.NodeProto, int] | None:
        """The node and input of a layer's constant bias: its own third one, or a following addition."""
        if len(node.input) > 2 and node.input[2]:
            return (node, 2) if node.input[2] in self.constants else None
        after = self.only_reader(node.output[0]) if node.op_type != "Conv" else None
        if after is None or after.op_type != "Add":
            return None
        index = 1 - list(after.input).index(node.output[0])
        return (after, index) if after.input[index] in self.constants else None

    def bias_value(self, node: onnx.NodeProto) -> Array | None:
        found = self.bias(node)
        return None if found is None else self._constant(found[0].input[found[1]])

    def result(self, node: onnx.NodeProto) -> str:
        """The name of a layer's result after bias and fused activation."""
        found = self.bias(node)
        name = str(node.output[0] if found is None else found[0].output[0])
        after = self.only_reader(name)
        return str(after.output[0]) if after is not None and after.op_type in _FUSED else name

    def _name(self, node: onnx.NodeProto) -> str:
        found = self.bias(node)
        bias = found[0].input[found[1]] if found else ""
        if bias.endswith(".bias"):
            return bias.removesuffix(".bias")
        path, dot, _ = self._weight_root(node).rpartition(".weight")
        return path if dot else str(node.output[0]).removesuffix("_without_bias")

    def _constant(self, name: str) -> Array:
        return numpy_helper.to_array(self.constants[name])

    def set_constant(self, node: onnx.NodeProto, index: int, name: str, values: Array) -> None:
        """Give `node` its own constant."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        self.read(node, index, name)

    # --- pairs ---

    def pairs(self) -> list[onnx.NodeProto]:
        """Every QuantizeLinear that something reads back."""
        return [node for node in self.graph.node if node.op_type == QUANTIZE and self._is_read(node)]

    def _is_read(self, pair: onnx.NodeProto) -> bool:
        readers = self.readers(pair.output[0])
        return any(
            reader.op_type != DEQUANTIZE or self.readers(reader.output[0]) or reader.output[0] in self._outputs
            for reader in readers
        )

    def pair_at(self, name: str) -> onnx.NodeProto | None:
        """The QuantizeLinear whose dequantized values are `name`."""
        dequantize = self.made_by.get(name)
        if dequantize is None or dequantize.op_type != DEQUANTIZE:
            return None
        quantize = self.made_by.get(dequantize.input[0])
        return quantize if quantize is not None and quantize.op_type == QUANTIZE else None

    def pair_before(self, node: onnx.NodeProto) -> str:
        """The last value before a layer's input rounding: a float tensor, or bytes if nothing rounds them."""
        source = self._source(node)
        if self.pair_at(source) is None:
            return str(self.made_by[source].input[0])
        while (pair := self.pair_at(source)) is not None:
            source = pair.input[0]
        return str(source)

    def pair_of(self, node: onnx.NodeProto) -> str:
        """The quantized name of the only pair that reads a layer's result, "" if there is not exactly one."""
        found = self.readers(self.result(node))
        return str(found[0].output[0]) if len(found) == 1 and found[0].op_type == QUANTIZE else ""

    def rounded_result(self, node: onnx.NodeProto) -> str:
        """See `Layer.rounded`."""
        quantized = self.pair_of(node)
        dequantizers = self.readers(quantized) if quantized else []
        if not dequantizers or any(self._serves_a_layer(each.output[0]) for each in dequantizers):
            return self.result(node)
        return str(dequantizers[0].output[0])

    def _serves_a_layer(self, name: str) -> bool:
        """Whether an integer layer reads `name`, directly or through operators with one source."""
        integer = {layer.output[0] for layer in self.layers.values()}
        for reader in self.readers(name):
            if reader.output[0] in integer:
                return True
            if reader.op_type in (*_PASSES, QUANTIZE, DEQUANTIZE) and any(map(self._serves_a_layer, reader.output)):
                return True
        return False

    def redirect(self, name: str, source: str, keep: Collection[str] = ()) -> None:
        """Make all readers of `name` read `source`, except the nodes that make the values in `keep`."""
        for node in self.readers(name):
            if node.output[0] not in keep:
                for index, read in enumerate(node.input):
                    if read == name:
                        self.read(node, index, source)

    def float_inputs(self, node: onnx.NodeProto) -> None:
        """Make `node` read values from before their rounding, and also the operators before it that feed only it."""
        for index in range(len(node.input)):
            while (pair := self.pair_at(node.input[index])) is not None:
                self.read(node, index, pair.input[0])
            self.float_bytes(node.input[index], only=node)
            maker = self.made_by.get(node.input[index])
            if maker is not None and maker.op_type in _PASSES and not any(map(self._is_rounded, maker.output)):
                self.float_inputs(maker)

    def float_bytes(self, name: str, only: onnx.NodeProto | None = None, keep: Collection[str] = ()) -> None:
        """If `name` comes from the network's quantized input, make its readers, or `only` one of them, read the same
        numbers from plain arithmetic.

        After DequantizeLinear, ONNX Runtime would round the float weights of a convolution again.
        """
        dequantize = self.made_by.get(name)
        if dequantize is None or dequantize.op_type != DEQUANTIZE or dequantize.input[0] in self.constants:
            return
        if self.pair_at(name) is not None:
            return
        plain = self._arithmetic(dequantize)
        if only is None:
            self.redirect(name, plain, keep=keep)
            return
        for index, source in enumerate(only.input):
            if source == name:
                self.read(only, index, plain)

    def _arithmetic(self, dequantize: onnx.NodeProto) -> str:
        """scale * (float(x) - zero point) beside a DequantizeLinear; the name of its result."""
        name = dequantize.output[0]
        result = f"{name}/float"
        if result in self.made_by:
            return result
        zero_point = self._constant(dequantize.input[2]).astype(np.float32) if len(dequantize.input) > 2 else 0.0
        scale = self._constant(dequantize.input[1])
        nodes = [
            helper.make_node("Cast", [dequantize.input[0]], [f"{name}/cast"], f"{name}/cast", to=TensorProto.FLOAT),
            helper.make_node("Sub", [f"{name}/cast", ""], [f"{name}/shifted"], f"{name}/shift"),
            helper.make_node("Mul", [f"{name}/shifted", ""], [result], f"{name}/scale"),
        ]
        place = next(index for index, node in enumerate(self.graph.node) if node.output[0] == name)
        for offset, node in enumerate(nodes):
            self.graph.node.insert(place + 1 + offset, node)
        for offset in range(len(nodes)):
            node = self.graph.node[place + 1 + offset]
            self.made_by[node.output[0]] = node
            self._readers.setdefault(node.input[0], []).append(node)
        self.set_constant(self.made_by[f"{name}/shifted"], 1, f"{name}/zero_point", np.asarray(zero_point))
        self.set_constant(self.made_by[result], 1, f"{name}/scale_value", scale)
        return result

    def _is_rounded(self, name: str) -> bool:
        return any(node.op_type == QUANTIZE and self._is_read(node) for node in self.readers(name))

    def float_output(self, node: onnx.NodeProto) -> None:
        """Drop the pairs after a layer that no INT8 layer reads."""
        result = self.result(node)
        for pair in self.readers(result):
            for dequantize in self.readers(pair.output[0]) if pair.op_type == QUANTIZE else ():
                if not self._serves_a_layer(dequantize.output[0]):
                    self.redirect(dequantize.output[0], result)

    def is_useful(self, pair: onnx.NodeProto) -> bool:
        """Whether an INT8 operator reads a pair, or an INT8 layer needs it to write INT8 values."""
        if pair.input[0] in {self.result(layer) for layer in self.layers.values()}:
            return True
        integer = {layer.output[0] for layer in self.layers.values()}
        for dequantize in self.readers(pair.output[0]):
            for reader in self.readers(dequantize.output[0]):
                if reader.output[0] in integer or self._is_integer_operator(reader):
                    return True
        return False

    def _is_integer_operator(self, node: onnx.NodeProto) -> bool:
        """An operator that is not a layer, between pairs on all sides."""
        if node.op_type not in (*_PASSES, *_ARITHMETIC):
            return False
        sources = [name for name in node.input if name and name not in self.constants]
        if node.op_type not in _ARITHMETIC and node.op_type != "Concat":
            sources = sources[:1]
        if any(self.pair_at(name) is None for name in sources):
            return False
        result = node.output[0]
        after = self.only_reader(result)
        return self._is_rounded(after.output[0] if after is not None and after.op_type in _FUSED else result)

    def drop_useless_pairs(self, known: Collection[str]) -> None:
        """Remove pairs between float operators, again and again; `known` were there before and stay."""
        while True:
            found = [pair for pair in self.pairs() if pair.output[0] not in known and not self.is_useful(pair)]
            if not found:
                return
            for pair in found:
                for dequantize in self.readers(pair.output[0]):
                    self.redirect(dequantize.output[0], pair.input[0])


def _unique(names: Iterator[str]) -> list[str]:
    seen: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return result


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _along(values: Array | int, axis: int, dims: int) -> Array:
    array = np.asarray(values, np.float32)
    if array.ndim != 1 or array.size == 1:
        return array.reshape(()) if array.size == 1 else array
    return array.reshape([-1 if index == axis % dims else 1 for index in range(dims)])
