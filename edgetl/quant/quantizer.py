"""A target's scheme as a torchao quantizer: which edges of the captured graph get Q/DQ, and which share a scale.

Every quantizable operator reads INT8. Additions, products and concatenations do so only if something after them reads
INT8: runtimes have no INT8 kernel for them that writes float, so before a layer norm Q/DQ would only cost time and
accuracy. Operators that only move values (max pooling, concatenation, reshaping) share one scale between inputs and
outputs, so that runtimes pass the INT8 values through. Q/DQ comes after a fused activation, never between it and its
convolution. Biases and logits stay in float.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)

from edgetl.pivot.macs import is_depthwise
from edgetl.quant.fakequant import (
    ActivationQuantizer,
    PairedPerChannelWeightQuantizer,
    PairedWeightQuantizer,
    PerChannelWeightQuantizer,
    WeightQuantizer,
)
from edgetl.types import CalibrationProfile, OperatorName, Scheme

_aten = torch.ops.aten
_ANNOTATION = "quantization_annotation"
_LARGEST_WEIGHT = 127

_KINDS: dict[Any, OperatorName] = {
    _aten.conv1d.default: "conv",
    _aten.conv2d.default: "conv",
    _aten.conv2d.padding: "conv",
    _aten.linear.default: "linear",
    _aten.add.Tensor: "add",
    _aten.mul.Tensor: "mul",
    _aten.max_pool2d.default: "pool",
    _aten.avg_pool2d.default: "pool",
    _aten.adaptive_avg_pool2d.default: "pool",
    _aten.mean.dim: "mean",
    _aten.cat.default: "concat",
}
_JOINS: frozenset[OperatorName] = frozenset({"add", "mul", "concat"})
_FUSED_ACTIVATIONS = frozenset({_aten.relu.default, _aten.hardtanh.default, _aten.relu6.default})
# what comes out is made of values that went in (and zeros)
_CARRIERS = frozenset(
    {
        _aten.max_pool2d.default,
        _aten.cat.default,
        _aten.view.default,
        _aten.reshape.default,
        _aten.flatten.using_ints,
        _aten.permute.default,
        _aten.transpose.int,
        _aten.squeeze.dim,
        _aten.squeeze.dims,
        _aten.unsqueeze.default,
        _aten.clone.default,
        _aten.contiguous.default,
        _aten.alias.default,
        _aten.split.Tensor,
        _aten.split_with_sizes.default,
        _aten.chunk.default,
        _aten.slice.Tensor,
        operator.getitem,
    }
)
# padding with zeros: joined with its input, but without Q/DQ of its own, so that it can go into the convolution
_PADS = frozenset({_aten.pad.default, _aten.constant_pad_nd.default})
_KEEPS_ZERO = _CARRIERS | _PADS

Edge = tuple[Node, Node]


class SchemeQuantizer(Quantizer):  # type: ignore[misc]
    """Annotates a graph as `scheme` says; ranges are observed as `profile` says.

    unrounded  names of nodes whose results stay float, and so do the layers that read them
    """

    def __init__(self, scheme: Scheme, profile: CalibrationProfile, unrounded: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.scheme = scheme
        self._unrounded = unrounded
        self._activation = activation_spec(scheme, profile)
        self._weight = weight_spec(scheme, in_pairs=scheme.weight_pairs_in_int16)
        self._depthwise_weight = weight_spec(scheme, in_pairs=False)
        self.annotated: dict[str, int] = {}
        self.in_float = 0
        """Layers that stay float because they read an unrounded result."""

    def annotate(self, model: GraphModule) -> GraphModule:
        nodes = list(model.graph.nodes)
        edges = self._edges(nodes)
        outputs = self._outputs(nodes, edges)
        groups = _Groups([node for node in nodes if node in edges or node.target is not _aten.cat.default])
        roots: dict[Node, Edge | Node] = {}

        def spec(tensor: Node, place: Edge | Node) -> QuantizationSpec | SharedQuantizationSpec:
            root = roots.setdefault(groups.of(tensor), place)
            return self._activation if root is place else SharedQuantizationSpec(root)

        self.in_float = sum(_is_layer(node) and self._reads_unrounded(node) for node in nodes)
        for node in nodes:
            inputs: dict[Node, Any] = {source: spec(source, (source, node)) for source in edges.get(node, ())}
            if self._kind(node) in ("conv", "linear"):
                inputs[node.args[1]] = self._depthwise_weight if _is_depthwise(node) else self._weight
            output = spec(node, node) if node in outputs else None
            if inputs or output is not None:
                node.meta[_ANNOTATION] = QuantizationAnnotation(
                    input_qspec_map=inputs, output_qspec=output, allow_implicit_sharing=False, _annotated=True
                )
        return model

    def validate(self, model: GraphModule) -> None:
        return None

    def _kind(self, node: Node) -> OperatorName | Literal[""]:
        """The scheme's name of a node's operator, "" if it stays float."""
        kind = _KINDS.get(node.target)
        if kind not in self.scheme.operators:
            return ""
        if kind in ("conv", "linear") and not _is_layer(node):
            return ""
        if self._reads_unrounded(node):
            return ""
        if kind in ("add", "mul") and not all(_is_activation(argument) for argument in node.args[:2]):
            return ""
        return kind

    def _reads_unrounded(self, node: Node) -> bool:
        """Of the layers that the scheme would quantize."""
        kind = _KINDS.get(node.target)
        return kind in self.scheme.operators and any(source.name in self._unrounded for source in _sources(node))

    def _edges(self, nodes: list[Node]) -> dict[Node, tuple[Node, ...]]:
        """The activations that each node reads as integers."""
        edges: dict[Node, tuple[Node, ...]] = {}
        for node in reversed(nodes):
            kind = self._kind(node)
            if kind in _JOINS and not _read_as_integers(_tail(node), edges):
                continue
            if kind:
                self.annotated[kind] = self.annotated.get(kind, 0) + 1
                edges[node] = tuple(_activations(node))
            elif node.target in _CARRIERS and _single_source(node) and _read_as_integers(node, edges):
                edges[node] = tuple(_activations(node))
        return edges

    def _outputs(self, nodes: list[Node], edges: dict[Node, tuple[Node, ...]]) -> set[Node]:
        """Results of convolutions that something reads as floats, other than the network's own output.

        Without Q/DQ there, runtimes have no integer kernel for the convolution and it falls back to float.
        """
        found: set[Node] = set()
        for node in nodes:
            if self._kind(node) != "conv":
                continue
            tail = _tail(node)
            if all(user.name in self._unrounded for user in tail.users):
                continue
            if any(tail not in edges.get(user, ()) and not _ends_in_output(user) for user in tail.users):
                found.add(tail)
        return found


def activation_spec(scheme: Scheme, profile: CalibrationProfile) -> QuantizationSpec:
    """One scale per tensor, over the whole range of the type: that is where runtimes saturate."""
    dtype = {"uint8": torch.uint8, "int8": torch.int8}[scheme.activation_dtype]
    limits = torch.iinfo(dtype)
    return QuantizationSpec(
        dtype=dtype,
        observer_or_fake_quant_ctr=ActivationQuantizer.with_args(
            observer=profile.observer, percentile=profile.percentile
        ),
        quant_min=limits.min,
        quant_max=limits.max,
        qscheme=torch.per_tensor_symmetric if scheme.activation_symmetric else torch.per_tensor_affine,
    )


def weight_spec(scheme: Scheme, *, in_pairs: bool) -> QuantizationSpec:
    """int8, zero point 0; -128 is never used, so that negating a weight is exact."""
    per_channel = scheme.weight_granularity == "channel"
    constructors: dict[tuple[bool, bool], Callable[..., Any]] = {
        (False, False): WeightQuantizer,
        (True, False): PerChannelWeightQuantizer,
        (False, True): PairedWeightQuantizer,
        (True, True): PairedPerChannelWeightQuantizer,
    }
    return QuantizationSpec(
        dtype=torch.int8,
        observer_or_fake_quant_ctr=constructors[per_channel, in_pairs],
        quant_min=-_LARGEST_WEIGHT,
        quant_max=_LARGEST_WEIGHT,
        qscheme=torch.per_channel_symmetric if per_channel else torch.per_tensor_symmetric,
        ch_axis=0 if per_channel else None,
    )


class _Groups:
    """Which tensors share a scale: union-find over what the carriers join."""

    def __init__(self, nodes: list[Node]) -> None:
        self._parent: dict[Node, Node] = {}
        for node in nodes:
            if node.target in _CARRIERS or (node.target in _PADS and _pads_zeros(node)):
                for source in _sources(node):
                    self._parent[self.of(node)] = self.of(source)

    def of(self, node: Node) -> Node:
        while (parent := self._parent.get(node, node)) is not node:
            node = parent
        return node


def _sources(node: Node) -> list[Node]:
    """The nodes that a node computes from, without weights unless they are the first argument; each once."""
    first = node.args[0]
    listed = list(first) if isinstance(first, list | tuple) else [first]
    if node.target in (_aten.add.Tensor, _aten.mul.Tensor):
        listed.append(node.args[1])
    return list(dict.fromkeys(source for source in listed if isinstance(source, Node)))


def _activations(node: Node) -> Iterator[Node]:
    return (source for source in _sources(node) if _is_activation(source))


def _single_source(node: Node) -> bool:
    # a list of tensors (split's result) has no edge of its own to put Q/DQ on
    return node.target is not operator.getitem and _is_activation(node.args[0])


def _tail(node: Node) -> Node:
    """The activation that is computed with `node`, or `node` itself."""
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target in _FUSED_ACTIVATIONS else node


def _read_as_integers(node: Node, edges: dict[Node, tuple[Node, ...]]) -> bool:
    for user in node.users:
        if node in edges.get(user, ()):
            return True
        if user.target is operator.getitem and _read_as_integers(user, edges):
            return True
    return False


def _ends_in_output(node: Node) -> bool:
    if node.op == "output":
        return True
    return node.target in _CARRIERS and all(_ends_in_output(user) for user in node.users)


def _pads_zeros(node: Node) -> bool:
    rest = node.args[2:]
    mode = rest[0] if rest and isinstance(rest[0], str) else "constant"
    value = rest[-1] if rest and not isinstance(rest[-1], str) else node.kwargs.get("value")
    return mode == "constant" and value in (None, 0, 0.0)


def _is_layer(node: Node) -> bool:
    return _KINDS.get(node.target) in ("conv", "linear") and _is_constant(node.args[1])


def _is_depthwise(node: Node) -> bool:
    """Whether runtimes widen its products to 32 bits before adding."""
    if _KINDS.get(node.target) != "conv":
        return False
    weight: Any = node.args[1]
    groups: Any = node.args[6] if len(node.args) > 6 else 1
    value = weight.meta.get("val") if isinstance(weight, Node) else None
    return isinstance(value, torch.Tensor) and is_depthwise(value.shape, groups)


def _is_constant(argument: Any) -> bool:
    return isinstance(argument, Node) and argument.op == "get_attr"


def _is_activation(argument: Any) -> bool:
    if not isinstance(argument, Node) or argument.op == "get_attr":
        return False
    value = argument.meta.get("val")
    return isinstance(value, torch.Tensor) and value.dtype == torch.float32


def has_silu(graph: GraphModule) -> bool:
    return any(node.target is _aten.silu.default for node in graph.graph.nodes)


def before_silu(prepared: GraphModule) -> list[ActivationQuantizer]:
    """The modules whose rounded values only SiLU reads."""
    return [
        part
        for node in prepared.graph.nodes
        if node.op == "call_module"
        and isinstance(part := prepared.get_submodule(str(node.target)), ActivationQuantizer)
        if node.users and all(user.target is _aten.silu.default for user in node.users)
    ]


def input_quantizer(prepared: GraphModule) -> ActivationQuantizer | None:
    """The module that rounds the network's own input in a prepared graph; None if nothing reads it as integers."""
    for node in prepared.graph.nodes:
        if node.op != "call_module":
            continue
        part = prepared.get_submodule(str(node.target))
        source: Any = node.args[0]
        while isinstance(source, Node) and source.target in _KEEPS_ZERO:
            source = source.args[0]
        if isinstance(part, ActivationQuantizer) and isinstance(source, Node) and source.op == "placeholder":
            return part
    return None


@dataclass(frozen=True)
class BiasedLayer:
    """A quantized convolution or linear layer that has a bias, in a prepared graph.

    node           its operator, whose output has the channels in `channel_axis`
    source, weight the modules that round what goes in
    bias           (channels,), the parameter itself
    passes         open interval of the outputs that a fused activation lets through unchanged; all without one
    """

    node: Node
    source: ActivationQuantizer
    weight: WeightQuantizer
    bias: torch.Tensor
    channel_axis: int
    passes: tuple[float, float]


def biased_layers(prepared: GraphModule) -> Iterator[BiasedLayer]:
    """Every quantized convolution and linear layer that has a bias, in the order of the graph."""
    for node in prepared.graph.nodes:
        kind = _KINDS.get(node.target)
        if kind not in ("conv", "linear") or len(node.args) < 3 or not _is_constant(node.args[2]):
            continue
        parts = [prepared.get_submodule(str(a.target)) for a in node.args[:2] if a.op == "call_module"]
        if len(parts) == 2 and isinstance(parts[0], ActivationQuantizer) and isinstance(parts[1], WeightQuantizer):
            owner, _, name = str(node.args[2].target).rpartition(".")
            bias = getattr(prepared.get_submodule(owner), name)
            yield BiasedLayer(node, parts[0], parts[1], bias, 1 if kind == "conv" else -1, _passing(node))


def _passing(node: Node) -> tuple[float, float]:
    activation = next(iter(node.users)) if len(node.users) == 1 else node
    if activation.target is _aten.relu.default:
        return 0.0, math.inf
    if activation.target is _aten.relu6.default:
        return 0.0, 6.0
    if activation.target is _aten.hardtanh.default:
        limits: Any = activation.args[1:3]
        return (float(limits[0]), float(limits[1])) if len(limits) == 2 else (-1.0, 1.0)
    return -math.inf, math.inf
