"""Exports a torch network as ONNX: dynamic batch, no traces of this machine in the file, reproducible bytes."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import onnx
import torch
from torch import nn
from torch.utils._pytree import tree_map

from edgetl.errors import BackendError
from edgetl.pivot.constants import fold_constants
from edgetl.pivot.layer_view import View
from edgetl.pivot.parts import Inputs, are_tokens, two_examples
from edgetl.pivot.rewrite import fix_recurrent_weights, merge_pads, split_float_biases
from edgetl.pivot.serialize import clean
from edgetl.types import OUTPUT_NAME

OPSET = 21  # the first with QuantizeLinear on every 8-bit type that the backends take
NETWORK_INPUT = "input"  # float32 (N, *Preprocessing.network_shape), normalized; of texts int64 tokens (N, length)
MAX_BATCH = 4096
SHORTEST = 2
"""Tokens of a text: torch.export would take one of 1 for a constant."""


def capture(module: nn.Module, shape: tuple[int, ...]) -> torch.fx.GraphModule:
    """The network as a functional ATen graph with a dynamic batch, and of texts a dynamic length, in eval mode.

    module  float32 (N, *shape), or int64 tokens (N, length), -> a tensor or several, on the CPU
    raises  BackendError when torch.export cannot follow the network.
    """
    return capture_part(module, (two_examples(shape),))


def capture_part(module: nn.Module, inputs: Inputs) -> torch.fx.GraphModule:
    """The same for a part of a network, with examples of its inputs, whose first sizes are the batch. They may be
    multiples of it, the same for all inputs."""
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    try:
        with quiet():
            program = torch.export.export(
                module.eval(), inputs, dynamic_shapes=tree_map(lambda value: _open_sizes(value, batch), inputs)
            )
            # an empty table decomposes nothing; it only replaces in-place operators by functional ones
            captured = program.run_decompositions({}).module(check_guards=False)
    except Exception as error:
        raise BackendError(refusal("torch.export", module, error)) from error
    assert isinstance(captured, torch.fx.GraphModule)
    _drop_device_assertions(captured)
    _take_any_layout(captured)
    fold_constants(captured)
    return captured


def to_onnx(module: nn.Module, shape: tuple[int, ...], outputs: Sequence[str] = (OUTPUT_NAME,)) -> onnx.ModelProto:
    """Export a network, float or converted to Q/DQ, as ONNX opset 21.

    module  float32 (N, *shape), or int64 tokens (N, length), -> a tensor for each of `outputs`, on the CPU, in eval
            mode
    returns a model with the input `input` float32 (batch, *shape), normalized, or int64 (batch, length), and the named
            outputs float32 (batch, ...); layers carry their torch names; no metadata, doc strings or paths; equal bytes
            for equal networks
    raises  BackendError when the exporter refuses an operator.
    """
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    sizes = {0: batch}
    if are_tokens(shape):
        sizes[1] = torch.export.Dim("length", min=SHORTEST, max=shape[0])
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (two_examples(shape),),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=(sizes,),
                input_names=[NETWORK_INPUT],
                output_names=list(outputs),
                verbose=False,
            )
    except Exception as error:
        raise BackendError(refusal("the ONNX exporter", module, error)) from error
    assert program is not None
    model = clean(program.model_proto)
    merge_pads(model)
    split_float_biases(model)
    fix_recurrent_weights(model)
    _name_layers(model)
    return model


def _open_sizes(value: Any, batch: Any) -> dict[int, Any]:
    tokens = isinstance(value, torch.Tensor) and value.dtype == torch.int64 and value.ndim == 2
    return {0: batch, 1: torch.export.Dim.DYNAMIC} if tokens else {0: batch}


def _name_layers(model: onnx.ModelProto) -> None:
    """Rename, in place, every node that computes a layer: `layer3.0.conv2` instead of the exporter's `node_conv2d_7`.

    Runtimes keep the name through their fusions, so `forecast`, `bench` and the report show what `blame` shows.
    """
    view = View(model)
    for node in view.compute:
        node.name = view.name_of(node)


def refusal(who: str, module: nn.Module, error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (
        f"{who} refused the network {type(module).__name__}: {lines[0] if lines else type(error).__name__}; "
        "choose another backbone"
    )


def _drop_device_assertions(graph_module: torch.fx.GraphModule) -> None:
    # they pin the device of capture, and the network may be trained on another
    for node in list(graph_module.graph.nodes):
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            graph_module.graph.erase_node(node)
    graph_module.recompile()


def _take_any_layout(graph_module: torch.fx.GraphModule) -> None:
    # a flatten is captured as a view of the layout it was captured in; calibration and training run channels-last
    for node in graph_module.graph.nodes:
        if node.target in (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default):
            node.target = torch.ops.aten.reshape.default
    graph_module.recompile()


@contextmanager
def quiet() -> Iterator[None]:
    # the exporter reports its steps on stdout and through loggers; failures arrive as exceptions
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
