"""Which values of a float ONNX graph get Q/DQ pairs for a scheme, and which of them share a scale.

The rules are those of `edgetl.quant.quantizer`, which works on torch graphs: every operator that the scheme lists reads
INT8; additions, products and concatenations only if something after them does; operators that only move values share
one scale between inputs and outputs; a pair comes after a fused activation; biases and logits stay in float. A smooth
activation, which torch has as one operator, is several nodes here: a product of a value with a function of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetl.pivot.macs import is_depthwise
from edgetl.types import OperatorName, Scheme

_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool")
_JOINS = ("Add", "Mul", "Concat")
_FUSED = ("Relu", "Clip")
_CARRIERS = frozenset(
    ("MaxPool", "Concat", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Split", "Slice")
)
_ELEMENTWISE = frozenset(
    ("Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Erf", "Exp", "Neg", "Clip", "Relu", "Add", "Sub", "Mul", "Div")
)
_SPATIAL = 2
_IMAGE_RANK = 4
_LONGEST_FUNCTION = 6  # nodes of a smooth activation


@dataclass(frozen=True)
class Placement:
    """By names of values and of nodes' first outputs.

    layers   (output, kind) of the layers with INT8 weights, in the order of the graph
    counts   operators of each kind that read INT8
    readers  value -> outputs of the nodes that read it as integers; None: all do
    groups   value -> the name that values of one scale have in common
    silus    values that only SiLU reads
    """

    layers: tuple[str, ...]
    counts: dict[str, int]
    readers: dict[str, frozenset[str] | None]
    groups: dict[str, str]
    silus: frozenset[str]


def place(model: onnx.ModelProto, scheme: Scheme, wide: frozenset[str] = frozenset()) -> Placement:
    """model  in the normal form of `edgetl.imported.normal_form`; wide  results of SiLU that stay float, and so do the
    operators that read them (`edgetl.imported.wide`)"""
    return _Places(model, scheme, wide).placement()


def results_of_silu(model: onnx.ModelProto, scheme: Scheme) -> tuple[str, ...]:
    """The products x * sigmoid(x), in the order of the graph."""
    places = _Places(model, scheme, frozenset())
    smooth = [node for node in places.nodes if node.output[0] in places.smooth]
    return tuple(n.output[0] for n in smooth if any(places.has_sigmoid(n, name) for name in n.input))


class _Places:
    def __init__(self, model: onnx.ModelProto, scheme: Scheme, wide: frozenset[str]) -> None:
        self.scheme = scheme
        self.wide = wide
        self.nodes = list(model.graph.node)
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.made_by = {name: node for node in self.nodes for name in node.output}
        self.outputs = {value.name for value in model.graph.output}
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        values = (*inferred.input, *inferred.value_info, *inferred.output)
        self.kinds = {value.name: value.type.tensor_type.elem_type for value in values}
        self.ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in values}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.users.setdefault(name, []).append(node)
        self.smooth = {node.output[0] for node in self.nodes if self._is_smooth(node)}

    def placement(self) -> Placement:
        edges, counts = self._edges()
        readers: dict[str, set[str]] = {}
        for output, sources in edges.items():
            for source in sources:
                readers.setdefault(source, set()).add(output)
        everywhere = self._rounded_results(edges)
        found: dict[str, frozenset[str] | None] = {name: frozenset(outputs) for name, outputs in readers.items()}
        found |= dict.fromkeys(everywhere)
        return Placement(
            layers=tuple(n.output[0] for n in self.nodes if self._kind(n) in ("conv", "linear")),
            counts=dict(sorted(counts.items())),
            readers=found,
            groups=self._groups(found, edges),
            silus=frozenset(name for name in found if self._only_silu_reads(name)),
        )

    # --- operators ---

    def _kind(self, node: onnx.NodeProto) -> OperatorName | None:
        """The scheme's name of a node's operator; None if it stays float."""
        if not self.wide.isdisjoint(node.input):
            return None
        found = self._named(node)
        return found if found in self.scheme.operators else None

    def _named(self, node: onnx.NodeProto) -> OperatorName | None:
        if node.op_type == "Conv":
            return "conv" if self._is_float(node.input[0]) and node.input[1] in self.constants else None
        if node.op_type in ("Gemm", "MatMul"):
            return "linear" if self._is_plain_product(node) else None
        if node.op_type in ("Add", "Mul"):
            if node.output[0] in self.smooth or not all(map(self._is_float, node.input)):
                return None
            return "add" if node.op_type == "Add" else "mul"
        if node.op_type == "Concat":
            return "concat" if all(map(self._is_float, node.input)) else None
        if node.op_type in _POOLS:
            return "pool" if self._is_float(node.input[0]) else None
        return "mean" if self._is_spatial_mean(node) else None

    def _is_float(self, name: str) -> bool:
        return name not in self.constants and self.kinds.get(name) == TensorProto.FLOAT

    def _is_plain_product(self, node: onnx.NodeProto) -> bool:
        weight = self.constants.get(node.input[1])
        if weight is None or len(weight.dims) != _SPATIAL or not self._is_float(node.input[0]):
            return False
        given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        return not given.get("transA", 0) and given.get("alpha", 1.0) == given.get("beta", 1.0) == 1.0

    def _is_spatial_mean(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "ReduceMean" or self.ranks.get(node.input[0]) != _IMAGE_RANK:
            return False
        axes: Any = next((list(each.ints) for each in node.attribute if each.name == "axes"), None)
        if axes is None and len(node.input) > 1 and node.input[1] in self.constants:
            axes = numpy_helper.to_array(self.constants[node.input[1]]).tolist()
        return self._is_float(node.input[0]) and axes is not None and len(axes) == _SPATIAL

    def _is_smooth(self, node: onnx.NodeProto) -> bool:
        """Whether it multiplies a value by a function of that value: x * sigmoid(x), and its kin."""
        if node.op_type != "Mul" or any(name in self.constants for name in node.input):
            return False
        one, other = node.input
        return self._is_function(one, other, _LONGEST_FUNCTION) or self._is_function(other, one, _LONGEST_FUNCTION)

    def _is_function(self, name: str, of: str, steps: int) -> bool:
        """Whether `name` is computed from `of` and constants alone, element by element."""
        node = self.made_by.get(name)
        if node is None or node.op_type not in _ELEMENTWISE or steps == 0:
            return False
        sources = {source for source in node.input if source and source not in self.constants}
        return bool(sources) and all(source == of or self._is_function(source, of, steps - 1) for source in sources)

    def _only_silu_reads(self, name: str) -> bool:
        users = self.users.get(name, [])
        return bool(users) and all(
            user.op_type == "Sigmoid" or (user.output[0] in self.smooth and self.has_sigmoid(user, name))
            for user in users
        )

    def has_sigmoid(self, product: onnx.NodeProto, name: str) -> bool:
        makers = (self.made_by.get(source) for source in product.input)
        return any(maker is not None and maker.op_type == "Sigmoid" and maker.input[0] == name for maker in makers)

    # --- edges ---

    def _edges(self) -> tuple[dict[str, tuple[str, ...]], dict[str, int]]:
        """The values that each node reads as integers, by its first output; and how many of each kind do."""
        edges: dict[str, tuple[str, ...]] = {}
        counts: dict[str, int] = {}
        for node in reversed(self.nodes):
            kind = self._kind(node)
            if node.op_type in _JOINS and kind and not self._read_as_integers(self._tail(node), edges):
                continue
            if kind:
                counts[kind] = counts.get(kind, 0) + 1
                edges[node.output[0]] = tuple(self._sources(node))
            elif self._carries(node) and any(self._read_as_integers(name, edges) for name in node.output):
                edges[node.output[0]] = tuple(self._sources(node))
        return edges, counts

    def _carries(self, node: onnx.NodeProto) -> bool:
        return node.op_type in _CARRIERS and self._is_float(node.input[0])

    def _sources(self, node: onnx.NodeProto) -> Iterator[str]:
        many = node.op_type in _JOINS
        return (name for name in dict.fromkeys(node.input if many else node.input[:1]) if self._is_float(name))

    def _tail(self, node: onnx.NodeProto) -> str:
        """The value after the activation that is computed with `node`."""
        users = self.users.get(node.output[0], [])
        fused = len(users) == 1 and users[0].op_type in _FUSED and node.output[0] not in self.outputs
        constant = fused and all(not name or name in self.constants for name in users[0].input[1:])
        return str(users[0].output[0] if constant else node.output[0])

    def _read_as_integers(self, name: str, edges: dict[str, tuple[str, ...]]) -> bool:
        return any(name in edges.get(user.output[0], ()) for user in self.users.get(name, ()))

    def _rounded_results(self, edges: dict[str, tuple[str, ...]]) -> list[str]:
        """Results of convolutions that something reads as floats, other than the network's own output: without a pair
        there, runtimes have no integer kernel for the convolution."""
        found = []
        for node in self.nodes:
            if self._kind(node) != "conv":
                continue
            tail = self._tail(node)
            users = self.users.get(tail, [])
            if users and all(self._ends_in_wide(user) for user in users):
                continue
            if any(tail not in edges.get(user.output[0], ()) and not self._ends_in_output(user) for user in users):
                found.append(tail)
        return found

    def _ends_in_wide(self, node: onnx.NodeProto) -> bool:
        """Whether a node is a part of a SiLU whose result is not rounded: its product, or the sigmoid before that."""
        products = [node] if node.op_type != "Sigmoid" else self.users.get(node.output[0], [])
        return bool(products) and all(product.output[0] in self.wide for product in products)

    def _ends_in_output(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in _CARRIERS:
            return False
        users = [user for name in node.output for user in self.users.get(name, ())]
        ends = any(name in self.outputs for name in node.output)
        return all(map(self._ends_in_output, users)) and (ends or bool(users))

    # --- groups ---

    def _groups(self, read: dict[str, Any], edges: dict[str, tuple[str, ...]]) -> dict[str, str]:
        parent: dict[str, str] = {}

        def root(name: str) -> str:
            while (above := parent.get(name, name)) != name:
                name = above
            return name

        for node in self.nodes:
            # a concatenation of floats joins nothing
            joins = self._carries(node) and (node.op_type != "Concat" or node.output[0] in edges)
            if joins or self._pads_zeros(node):
                for source in self._sources(node) if node.op_type != "Pad" else node.input[:1]:
                    for output in node.output:
                        one, other = root(source), root(output)
                        if one != other:
                            parent[other] = one
        return {name: root(name) for name in read}

    def _pads_zeros(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "Pad":
            return False
        mode = next((helper.get_attribute_value(each) for each in node.attribute if each.name == "mode"), b"constant")
        value = node.input[2] if len(node.input) > 2 else ""
        zero = not value or (value in self.constants and not np.any(numpy_helper.to_array(self.constants[value])))
        return mode == b"constant" and zero


def reads_depthwise(node: onnx.NodeProto, weight: onnx.TensorProto) -> bool:
    """Whether a layer is a depthwise convolution, whose products no runtime adds in pairs."""
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    return node.op_type == "Conv" and is_depthwise(tuple(weight.dims), groups)
