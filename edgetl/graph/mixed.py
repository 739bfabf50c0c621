"""Networks of mixed precision: which layers of a Q/DQ model compute in integers, and edits of that. Torch-free.

A *layer* is a convolution or a matrix product with constant weights whose input and weights come out of
DequantizeLinear. A Q/DQ *pair* is a QuantizeLinear and the DequantizeLinears that read it. Every pair belongs to:

- the layers that read it, directly or through operators with one source (pooling, mean, reshaping, concatenation);
- else to the layer that made it: a branch that only goes into an addition, or a result read as float.

A layer that is floated loses its pairs, in so far as no layer that stays integer reads them. What it then reads and
writes are float values. Where the layer before is a convolution, its result is not rounded to integers any more:
OpenVINO and TensorRT have kernels for that, ONNX Runtime has none and computes that convolution in float as well.
Bytes of the image that are the first layer's quantized input as they come are turned into floats by plain arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.errors import BackendError
from edgetl.graph.clean import DEQUANTIZE, QUANTIZE
from edgetl.graph.macs import macs_by_output
from edgetl.graph.rewrite import drop_unused_constants

Kind = Literal["convolution", "linear"]
Array = NDArray[Any]

ONE_STEP = 1.0 + 1e-3
"""Largest distance, in steps, between a float weight and the integer made from it; the rest is float32's rounding."""

_COMPUTE: Mapping[str, Kind] = {"Conv": "convolution", "Gemm": "linear", "MatMul": "linear"}
_FUSED = ("Relu", "Clip")
_MOVES = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity")
_PASSES = (
    *(*_MOVES, "Concat", "Slice", "Split", "Pad"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean"),
)
_ARITHMETIC = ("Add", "Mul")


@dataclass(frozen=True)
class Layer:
    """A quantized layer.

    name     the torch module's path where the exporter kept it, else the name of the layer's result
    macs     multiply-accumulates of one image; None where shapes cannot be inferred
    output   its float result, after the bias and a fused activation, before any rounding
    rounded  the same after the pair that belongs to the layer as its maker; `output` where there is none
    """

    name: str
    kind: Kind
    weight_shape: tuple[int, ...]
    macs: int | None
    output: str
    rounded: str


def layers(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The quantized layers in graph order. Names are unique; those of one training's models are the same."""
    view = _View(model)
    macs = macs_by_output(model)
    found: list[Layer] = []
    for name, node in view.layers.items():
        weight = view.weight(node)
        assert weight is not None
        output, rounded = view.result(node), view.rounded_result(node)
        kind = _COMPUTE[node.op_type]
        found.append(Layer(name, kind, tuple(weight.shape), macs.get(node.output[0]), output, rounded))
    return tuple(found)


def weight_steps(model: onnx.ModelProto, reference: onnx.ModelProto) -> dict[str, float]:
    """How far each layer's int8 weights are from the float network's, by layer name: the largest |difference| in steps.

    reference  the float model of the same network (`float32.onnx`); layers are matched by their place in the graph
    Weights beyond the integers' range count as lying at its end: clipping is a choice of the scale, not a difference.
    Rounding to nearest gives at most 0.5, other roundings at most 1, training any number.
    raises     BackendError when the reference is another network.
    """
    view = _View(model)
    originals = _matched(view, _View(reference))
    return {name: view.steps(node, originals[name].weight) for name, node in view.layers.items()}


@dataclass(frozen=True)
class Original:
    """A layer in the float network. weight  float32, as the layer reads it; bias  None where it has none"""

    weight: Array
    bias: Array | None


Originals = Mapping[str, Original]


def originals_of(model: onnx.ModelProto, reference: onnx.ModelProto) -> Originals | None:
    """What the layers of a Q/DQ model get back when they are floated, by layer name: the float network's weights.

    reference  the float model of the same network (`float32.onnx`)
    returns    None when the integers are not that network's weights, rounded: less than half of the layers are within
               one step of it. They were trained on and moved away, or ranges were moved between layers, and the layers
               around them have followed; a layer then is floated with its own weights, dequantized.
    raises     BackendError when the reference is another network.

    Half of them, not all: one layer far from the float network among others that are close is a fault, and floating
    it must undo the fault.
    """
    view = _View(model)
    found = _matched(view, _View(reference))
    close = sum(view.steps(node, found[name].weight) <= ONE_STEP for name, node in view.layers.items())
    return found if 2 * close >= len(view.layers) else None


def float_layers(model: onnx.ModelProto, names: Collection[str], originals: Originals | None = None) -> onnx.ModelProto:
    """A copy in which the named layers compute in float and the Q/DQ pairs that served only them are gone.

    originals  weights and biases of the floated layers (`originals_of`): nothing of the rounding is left. Without
               them a layer keeps its own integers, dequantized, and its own bias: only activations are not rounded.
    raises     BackendError for a name that is no quantized layer.
    """
    copied = _copy(model)
    view = _View(copied)
    chosen = _chosen(view, names)
    useless = {pair.output[0] for pair in view.pairs() if not view.is_useful(pair)}
    _set_weights(view, chosen, originals)
    for node in chosen.values():
        del view.layers[view.name_of(node)]
    for node in chosen.values():
        view.float_inputs(node)
    for node in chosen.values():
        view.float_output(node)
    view.drop_useless_pairs(useless)
    return _finished(copied)


def quantize_only(
    model: onnx.ModelProto, names: Collection[str], originals: Originals | None = None
) -> onnx.ModelProto:
    """A copy in which the named layers compute in integers and all else in float; without a name, all in float.

    originals, raises  as in `float_layers`.
    The pairs of the named layers stay, those that belong to them as their makers too.
    """
    copied = _copy(model)
    view = _View(copied)
    kept = _chosen(view, names)
    made = {view.pair_of(node) for node in kept.values() if view.rounded_result(node) != view.result(node)}
    _set_weights(view, {name: node for name, node in view.layers.items() if name not in kept}, originals)
    readers = {node.output[0] for node in kept.values()} | {
        move.output[0] for node in kept.values() for move in view.moves_before(node)
    }
    for pair in view.pairs():
        if pair.output[0] in made:
            continue
        for dequantize in view.readers(pair.output[0]):
            view.redirect(dequantize.output[0], pair.input[0], keep=readers)
    for node in list(copied.graph.node):
        view.float_bytes(node.output[0], keep=readers)
    return _finished(copied)


def with_probes(
    model: onnx.ModelProto, originals: Originals | None = None
) -> tuple[onnx.ModelProto, dict[str, tuple[str, str]]]:
    """The network in float with each layer a second time beside it, in integers on the same float input.

    returns  a model whose outputs are, per layer name, (float result, result of the integer layer); and those names.
    One inference gives the own error of every layer. originals  as in `float_layers`.
    """
    probed = quantize_only(model, (), originals)
    view = _View(model)
    names: dict[str, tuple[str, str]] = {}
    for index, (name, node) in enumerate(view.layers.items()):
        copier = _Copier(view, f"probe_{index}/")
        branch = copier.copy(view.rounded_result(node), until=view.pair_before(node))
        probed.graph.node.extend(copier.nodes)
        probed.graph.initializer.extend(copier.constants)
        names[name] = (view.result(node), branch)
    del probed.graph.output[:]
    return expose(probed, [tensor for pair in names.values() for tensor in pair]), names


def expose(model: onnx.ModelProto, tensors: Collection[str]) -> onnx.ModelProto:
    """A copy that also has these float tensors as outputs."""
    copied = _copy(model)
    present = {value.name for value in copied.graph.output}
    wanted = [name for name in dict.fromkeys(tensors) if name not in present]
    copied.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    return copied


class _View:
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
        return node.op_type in _COMPUTE and len(node.input) > 1 and self._weight_root(node) in self.constants

    def _is_integer(self, node: onnx.NodeProto) -> bool:
        source = self.made_by.get(self._source(node))
        return source is not None and source.op_type == DEQUANTIZE and self._weight_dequantizer(node) is not None

    def _source(self, node: onnx.NodeProto) -> str:
        """What a layer reads, before operators that only move values and have no pair of their own."""
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
        """The float weights as the layer reads them; None where an operator before them is not known here."""
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
        """The node and the input where a layer's constant bias comes in: its own third one, or an addition behind."""
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
        """Let `node` read a constant of its own."""
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
        """The last value before a layer's input rounding: a float tensor, or bytes where nothing rounds them."""
        source = self._source(node)
        if self.pair_at(source) is None:
            return str(self.made_by[source].input[0])
        while (pair := self.pair_at(source)) is not None:
            source = pair.input[0]
        return str(source)

    def pair_of(self, node: onnx.NodeProto) -> str:
        """The quantized name of the only pair that reads a layer's result, "" when there is not exactly one."""
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
        """Let everything that reads `name` read `source`, but for the nodes that make what is in `keep`."""
        for node in self.readers(name):
            if node.output[0] not in keep:
                for index, read in enumerate(node.input):
                    if read == name:
                        self.read(node, index, source)

    def float_inputs(self, node: onnx.NodeProto) -> None:
        """Let `node` read values from before their rounding; so do the operators before it that serve it alone."""
        for index in range(len(node.input)):
            while (pair := self.pair_at(node.input[index])) is not None:
                self.read(node, index, pair.input[0])
            self.float_bytes(node.input[index], only=node)
            maker = self.made_by.get(node.input[index])
            if maker is not None and maker.op_type in _PASSES and not any(map(self._is_rounded, maker.output)):
                self.float_inputs(maker)

    def float_bytes(self, name: str, only: onnx.NodeProto | None = None, keep: Collection[str] = ()) -> None:
        """Where `name` is made of the network's quantized input, let its readers, or `only` one of them, read the same
        numbers as they come out of plain arithmetic.

        Behind DequantizeLinear, ONNX Runtime would round the float weights of a convolution again by itself.
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
        """Drop the pairs behind a layer that no integer layer reads."""
        result = self.result(node)
        for pair in self.readers(result):
            for dequantize in self.readers(pair.output[0]) if pair.op_type == QUANTIZE else ():
                if not self._serves_a_layer(dequantize.output[0]):
                    self.redirect(dequantize.output[0], result)

    def is_useful(self, pair: onnx.NodeProto) -> bool:
        """Whether an integer operator reads a pair, or an integer layer needs it to write integers."""
        if pair.input[0] in {self.result(layer) for layer in self.layers.values()}:
            return True
        integer = {layer.output[0] for layer in self.layers.values()}
        for dequantize in self.readers(pair.output[0]):
            for reader in self.readers(dequantize.output[0]):
                if reader.output[0] in integer or self._is_integer_operator(reader):
                    return True
        return False

    def _is_integer_operator(self, node: onnx.NodeProto) -> bool:
        """An operator that is no layer, between pairs on all sides."""
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


class _Copier:
    """Copies what makes a tensor, under names of its own."""

    def __init__(self, view: _View, prefix: str) -> None:
        self._view = view
        self._prefix = prefix
        self._copied: dict[str, str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def copy(self, name: str, until: str) -> str:
        """The copy of `name`; `until` is where the copied part begins and is shared."""
        if not name or name == until:
            return name
        if name not in self._copied:
            self._copied[name] = self._prefix + name
            self._make(name, until)
        return self._copied[name]

    def _make(self, name: str, until: str) -> None:
        tensor = self._view.constants.get(name)
        if tensor is not None:
            constant = onnx.TensorProto()
            constant.CopyFrom(tensor)
            constant.name = self._prefix + name
            self.constants.append(constant)
            return
        node = onnx.NodeProto()
        node.CopyFrom(self._view.made_by[name])
        node.name = self._prefix + node.name
        node.input[:] = [self.copy(source, until) for source in node.input]
        node.output[:] = [self._prefix + output for output in node.output]
        self.nodes.append(node)


def _matched(view: _View, reference: _View) -> dict[str, Original]:
    """Weights and bias of every layer in the float network, by the layers' names in `view`."""
    if len(view.compute) != len(reference.compute):
        raise _other_network(f"{len(view.compute)} layers", f"{len(reference.compute)}")
    found: dict[str, Original] = {}
    for node, other in zip(view.compute, reference.compute, strict=True):
        weight, original = view.weight(node), reference.weight(other)
        if weight is None or original is None or (node.op_type, weight.shape) != (other.op_type, original.shape):
            shapes = [None if each is None else each.shape for each in (weight, original)]
            raise _other_network(f"{view.name_of(node)} {node.op_type} {shapes[0]}", f"{other.op_type} {shapes[1]}")
        found[view.name_of(node)] = Original(original, reference.bias_value(other))
    return found


def _other_network(expected: str, found: str) -> BackendError:
    return BackendError(
        f"float model: not the network of the Q/DQ model: expected {expected}, found {found}; export both again"
    )


def _set_weights(view: _View, chosen: Mapping[str, onnx.NodeProto], originals: Originals | None) -> None:
    for name, node in chosen.items():
        original = originals[name] if originals else None
        weight = original.weight if original else view.weight(node)
        assert weight is not None
        view.set_constant(node, 1, f"{name}/float_weight", weight)
        place = view.bias(node)
        if original is not None and original.bias is not None and place is not None:
            view.set_constant(place[0], place[1], f"{name}.bias/float", original.bias)


def _chosen(view: _View, names: Collection[str]) -> dict[str, onnx.NodeProto]:
    for name in names:
        if name not in view.layers:
            known = ", ".join(list(view.layers)[:5])
            raise BackendError(f"`{name}` is no quantized layer of this model; its layers are {known}, ...")
    return {name: node for name, node in view.layers.items() if name in set(names)}


def _finished(model: onnx.ModelProto) -> onnx.ModelProto:
    _drop_dead_nodes(model.graph)
    drop_unused_constants(model.graph)
    onnx.checker.check_model(model)
    return model


def _drop_dead_nodes(graph: onnx.GraphProto) -> None:
    needed = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            needed.update(node.input)
            kept.append(node)
    kept.reverse()
    del graph.node[:]
    graph.node.extend(kept)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


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
