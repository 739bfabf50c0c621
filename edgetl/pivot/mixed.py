"""Mixed precision: which layers of a Q/DQ model compute in INT8, and edits of that. Torch-free.

A *layer* is a convolution or a matrix product with constant weights whose input and weights come from
DequantizeLinear. A Q/DQ *pair* is a QuantizeLinear and the DequantizeLinears that read it. Every pair belongs to:

- the layers that read it, directly or through operators with one source (pooling, mean, resizing, reshaping,
  concatenation);
- otherwise the layer that makes it: a branch that feeds only an addition, or a result read as float.

A layer that is moved to float loses its pairs unless a layer that stays in INT8 reads them. It then reads and writes
float values. If the previous layer is a convolution, its result is no longer rounded to INT8: OpenVINO and TensorRT
have kernels for that, but ONNX Runtime has none and also computes that convolution in float. If the bytes of the image
are directly the first layer's quantized input, they are converted to float by plain arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from edgetl.errors import BackendError
from edgetl.pivot.layer_view import Array, View
from edgetl.pivot.macs import COMPUTE, Kind, macs_by_output
from edgetl.pivot.rewrite import drop_unused_constants

ONE_STEP = 1.0 + 1e-3
"""Largest distance, in steps, between a float weight and the integer made from it; the rest is float32's rounding."""


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
    view = View(model)
    macs = macs_by_output(model)
    found: list[Layer] = []
    for name, node in view.layers.items():
        weight = view.weight(node)
        assert weight is not None
        output, rounded = view.result(node), view.rounded_result(node)
        kind = COMPUTE[node.op_type]
        found.append(Layer(name, kind, tuple(weight.shape), macs.get(node.output[0]), output, rounded))
    return tuple(found)


def weight_steps(model: onnx.ModelProto, reference: onnx.ModelProto) -> dict[str, float]:
    """How far each layer's int8 weights are from the float network's, by layer name: the largest |difference| in steps.

    reference  the float model of the same network (`float32.onnx`); layers are matched by their place in the graph
    Weights beyond the integers' range count as lying at its end: clipping is a choice of the scale, not a difference.
    Rounding to nearest gives at most 0.5, other roundings at most 1, training any number.
    raises     BackendError if the reference is another network.
    """

    view = View(model)
    originals = _matched(view, View(reference))
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
    returns    None when the integers are not the float network's weights, rounded: less than half are within one step
               of it. They were trained on and moved away, and the layers around them have followed. Layers are then
               floated with their own weights, dequantized, and their own bias.
    raises     BackendError when the reference is another network.

    Half of them, not all: one layer far from the float network among others that are close is a fault, and floating
    it must undo the fault.
    """
    view = View(model)
    found = _matched(view, View(reference))
    close = sum(view.steps(node, found[name].weight) <= ONE_STEP for name, node in view.layers.items())
    return found if found and 2 * close >= len(found) else None


def float_layers(model: onnx.ModelProto, names: Collection[str], originals: Originals | None = None) -> onnx.ModelProto:
    """A copy in which the named layers compute in float and the Q/DQ pairs that served only them are gone.

    originals  weights and biases of floated layers (`originals_of`): nothing of the rounding is left. A layer without
               keeps its own integers, dequantized, and its own bias: only activations are not rounded.
    raises     BackendError for a name that is not a quantized layer.
    """
    copied = _copy(model)
    view = View(copied)
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
    view = View(copied)
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
    view = View(model)
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


class _Copier:
    """Copies what makes a tensor, under names of its own."""

    def __init__(self, view: View, prefix: str) -> None:
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


def _matched(view: View, reference: View) -> dict[str, Original]:
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


def _set_weights(view: View, chosen: Mapping[str, onnx.NodeProto], originals: Originals | None) -> None:
    for name, node in chosen.items():
        original = originals.get(name) if originals else None
        weight = original.weight if original else view.weight(node)
        assert weight is not None
        view.set_constant(node, 1, f"{name}/float_weight", weight)
        place = view.bias(node)
        if original is not None and original.bias is not None and place is not None:
            view.set_constant(place[0], place[1], f"{name}.bias/float", original.bias)


def _chosen(view: View, names: Collection[str]) -> dict[str, onnx.NodeProto]:
    for name in names:
        if name not in view.layers:
            known = ", ".join(list(view.layers)[:5])
            raise BackendError(f"`{name}` is not a quantized layer of this model; its layers are {known}, ...")
    return {name: node for name, node in view.layers.items() if name in set(names)}


def _finished(model: onnx.ModelProto) -> onnx.ModelProto:
    drop_dead_nodes(model.graph)
    drop_unused_constants(model.graph)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise BackendError(
            f"a mixed variant of the network is not valid ONNX: {' '.join(str(error).split())}"
        ) from error
    return model


def drop_dead_nodes(graph: onnx.GraphProto) -> None:
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
