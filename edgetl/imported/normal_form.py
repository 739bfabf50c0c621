"""Brings the user's graph to the form that exported networks of edgetl have: float32 `input` (batch, 3, H, W),
normalized RGB, to `logits` (batch, classes); constants folded, batch norms in the convolutions before them.

Every step is a rewrite that keeps the function; `edgetl.imported.network` proves the whole against the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.failures import one_line
from edgetl.errors import WeightsError
from edgetl.files.temporary import temporary_folder
from edgetl.imported.absorb import Affine, absorb, from_colors, reverse_colors
from edgetl.imported.gates import join_gates
from edgetl.imported.read import Opened, refuse_control_flow
from edgetl.pivot.layer_view import View
from edgetl.pivot.mixed import drop_dead_nodes
from edgetl.pivot.rewrite import drop_unused_constants, merge_pads
from edgetl.pivot.serialize import clean
from edgetl.recipes.network import Normalization
from edgetl.types import OUTPUT_NAME

NETWORK_INPUT = "input"
_BATCH = "batch"
_SOFTMAX = ("Softmax", "LogSoftmax")
_KEEP_ORDER = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
_RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast")


@dataclass(frozen=True)
class NormalForm:
    """The network, and what was found in the file.

    classes     how many scores it gives
    softmax     whether one at its end was taken off
    arithmetic  of the graph's own on the pixels, in the order of its channels; merged into the preprocessing
    norms       batch norms that were merged, and those that stayed
    """

    model: onnx.ModelProto
    classes: int
    softmax: bool
    arithmetic: Affine
    norms: tuple[int, int]


def to_normal_form(opened: Opened, how: Normalization) -> NormalForm:
    """Rewrite a copy. Raises WeightsError for what cannot be."""
    model, softmax, classes = _simple(opened)
    before = _count(opened.model, "BatchNormalization")
    arithmetic = absorb(model)
    if how.color == "bgr":
        reverse_colors(model)
    merge_pads(model)
    if opened.channels == 1:
        from_colors(model)
    join_gates(model.graph)
    _rename(model)
    model = _simplified(model, opened) if how.color == "bgr" else model
    _own_biases(model.graph)
    result = clean(model)
    _name_nodes(result)
    left = _count(result, "BatchNormalization")
    return NormalForm(result, classes, softmax, arithmetic, (before - left, left))


def _simple(opened: Opened) -> tuple[onnx.ModelProto, bool, int]:
    """Simplified, with an open batch; whether a softmax was taken off; how many scores.

    With a fixed batch all sizes are known, and what a graph computes from them is folded. Where the fixed batch then
    cannot be opened, as in networks with a class token, the graph is simplified with an open one.
    """
    model = _copy(opened.model)
    softmax = without_softmax(model, opened)
    batch = opened.batch or 1
    fixed = _copy(model)
    _planes_of_float(fixed, opened)
    _set_input(fixed, opened, batch)
    if opened.channels == 1 and opened.layout == "nhwc":
        _turn_gray(fixed, opened.height, opened.width)
    try:
        fixed = _simplified(fixed, opened)
        refuse_control_flow(fixed, opened.path)
        _drop_idle_reshapes(fixed)
        _open_reshapes(fixed.graph, batch)
        _set_input(fixed, opened, _BATCH)
        fixed = _simplified(fixed, opened)
        return fixed, softmax, _flat_scores(fixed, opened)
    except WeightsError:
        if opened.batch is not None:
            raise
    _planes_of_float(model, opened)
    _set_input(model, opened, _BATCH)
    model = _simplified(model, opened)
    refuse_control_flow(model, opened.path)
    return model, softmax, _flat_scores(model, opened)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def _count(model: onnx.ModelProto, kind: str) -> int:
    return sum(node.op_type == kind for node in model.graph.node)


def _set_input(model: onnx.ModelProto, opened: Opened, batch: int | str) -> None:
    """Planes of a batch, open or fixed, as the only input; other sizes are inferred again."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    for value in [value for value in graph.input if value.name in constants]:
        graph.input.remove(value)
    _set_sizes(graph.input[0], [batch, opened.channels, opened.height, opened.width])
    del graph.value_info[:]
    for dim in list(graph.output[0].type.tensor_type.shape.dim)[:1]:
        dim.Clear()


def _set_sizes(value: onnx.ValueInfoProto, sizes: list[int | str]) -> None:
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for size in sizes:
        dim = shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size


def _turn_gray(model: onnx.ModelProto, height: int, width: int) -> None:
    """Write reshapes of gray images from (batch, H, W, 1) to planes, as tf2onnx has them, as the transposes that they
    are: those cancel across the arithmetic on pixels."""
    shapes = _shapes(model)
    for node in model.graph.node:
        if node.op_type != "Reshape":
            continue
        before, after = shapes.get(node.input[0], []), shapes.get(node.output[0], [])
        if before[1:] == [height, width, 1] and after[1:] == [1, height, width]:
            turned = helper.make_node("Transpose", [node.input[0]], list(node.output), node.name, perm=[0, 3, 1, 2])
            node.CopyFrom(turned)


def _drop_idle_reshapes(model: onnx.ModelProto) -> None:
    """Take out reshapes to the shape that a value has, or had before others: what tf2onnx leaves of 1 x 1 maps."""
    shapes = _shapes(model)
    made_by = {name: node for node in model.graph.node for name in node.output}
    outputs = {value.name for value in model.graph.output}
    for node in [node for node in model.graph.node if node.op_type == "Reshape"]:
        source, result = node.input[0], node.output[0]
        shape = shapes.get(result, [])
        while shapes.get(source) != shape and (maker := made_by.get(source)) and maker.op_type in _KEEP_ORDER:
            source = maker.input[0]
        if result not in outputs and shape and 0 not in shape and shape == shapes.get(source):
            for other in model.graph.node:
                other.input[:] = [source if name == result else name for name in other.input]
    drop_dead_nodes(model.graph)


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Of the values of a network with a fixed batch; 0 for a size that is not known."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    return {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}


def _open_reshapes(graph: onnx.GraphProto, batch: int) -> None:
    stored = {tensor.name: tensor for tensor in graph.initializer}
    made = {
        node.output[0]: node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    for number, node in enumerate(graph.node):
        shape = (stored | made).get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is None:
            continue
        sizes = numpy_helper.to_array(shape).copy()
        if sizes.ndim == 1 and sizes.size > 1 and sizes[0] == batch:
            sizes[0] = 0
            node.input[1] = f"edgetl_shape_{number}"
            graph.initializer.append(numpy_helper.from_array(sizes, node.input[1]))


def without_softmax(model: onnx.ModelProto, opened: Opened) -> bool:
    """Take a softmax off the end: the class stays the same, and INT8 is proven on logits."""
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    after: onnx.NodeProto | None = None
    while (node := made_by.get(name)) is not None and node.op_type in _RESHAPES:
        after, name = node, node.input[0]
    if node is not None and node.op_type == "Sigmoid":
        raise WeightsError(
            f"{opened.path}: node `{node.name or name}` (Sigmoid) gives every class a probability of its own; "
            "edgetl imports networks that choose one class"
        )
    if node is None or node.op_type not in _SOFTMAX:
        return False
    if after is None:
        graph.output[0].name = node.input[0]
    else:
        after.input[0] = node.input[0]
    graph.node.remove(node)
    return True


def _planes_of_float(model: onnx.ModelProto, opened: Opened) -> None:
    """Let the input be float planes: bytes are small whole numbers, and the graph's own casts have nothing to do."""
    graph = model.graph
    (value,) = [value for value in graph.input if value.name == opened.input_name]
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    if opened.layout == "nchw":
        return
    turned = f"{value.name}_turned"
    for node in graph.node:
        node.input[:] = [turned if name == value.name else name for name in node.input]
    graph.node.insert(0, helper.make_node("Transpose", [value.name], [turned], "edgetl_turn", perm=[0, 2, 3, 1]))


def _simplified(model: onnx.ModelProto, opened: Opened) -> onnx.ModelProto:
    """Constants folded, batch norms merged, transposes that cancel removed: onnxruntime's basic optimizations, which
    use only operators of ONNX."""
    options = _quiet()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with temporary_folder() as scratch:
        options.optimized_model_filepath = str(scratch / "simple.onnx")
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own classes have no common base
            raise WeightsError(f"{opened.path}: ONNX Runtime does not take the network: {one_line(error)}") from error
        simple = onnx.load_model(scratch / "simple.onnx")
    opset = [entry for entry in simple.opset_import if entry.domain in ("", "ai.onnx")]
    del simple.opset_import[:]
    simple.opset_import.extend(opset)
    simple.ir_version = min(simple.ir_version, 10)
    drop_dead_nodes(simple.graph)
    drop_unused_constants(simple.graph)
    return simple


def _quiet() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures arrive as exceptions
    return options


def _flat_scores(model: onnx.ModelProto, opened: Opened) -> int:
    """Let the output be (batch, classes); returns how many classes. Runs the network on two images of noise."""
    shape = _shape_of_scores(model, opened)
    if len(shape) < 2 or shape[0] != 2 or any(size != 1 for size in shape[2:]) or shape[1] < 2:
        raise WeightsError(
            f"{opened.path}: output `{model.graph.output[0].name}`: expected one row of two or more class scores for "
            f"each image; found the shape {shape} for 2 images"
        )
    (output,) = model.graph.output
    if len(shape) > 2:
        flat = helper.make_node("Flatten", [output.name], [f"{output.name}_flat"], "edgetl_flatten", axis=1)
        model.graph.node.append(flat)
        output.name = flat.output[0]
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, [_BATCH, shape[1]]))
    return shape[1]


def _shape_of_scores(model: onnx.ModelProto, opened: Opened) -> tuple[int, ...]:
    noise = np.random.default_rng(0).random((2, opened.channels, opened.height, opened.width), np.float32)
    shapeless = _copy(model)
    shapeless.graph.output[0].type.tensor_type.ClearField("shape")
    try:
        session = onnxruntime.InferenceSession(
            shapeless.SerializeToString(), _quiet(), providers=["CPUExecutionProvider"]
        )
        (found,) = session.run(None, {model.graph.input[0].name: noise})
    except Exception as error:  # the runtime's own classes have no common base
        advice = "; export it with a dynamic batch" if opened.batch is not None else ""
        raise WeightsError(f"{opened.path}: it does not run on two images: {one_line(error)}{advice}") from error
    return tuple(np.asarray(found).shape)


def _own_biases(graph: onnx.GraphProto) -> None:
    """Give every layer a bias of its own, which can be corrected: a copy of a shared one, zeros for a missing one."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken: set[str] = set()
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in constants:
            continue
        bias = node.input[2] if len(node.input) > 2 else ""
        if bias and (bias not in constants or bias not in taken):
            taken.add(bias)
            continue
        outputs = constants[node.input[1]].dims[output_axis(node)]
        values = numpy_helper.to_array(constants[bias]) if bias else np.zeros(outputs, np.float32)
        del node.input[2:]
        named = f"{node.input[1].removesuffix('.weight')}.bias"  # as a torch module names both
        node.input.append(f"{node.output[0]}.bias" if named in constants or named in taken else named)
        taken.add(node.input[2])
        graph.initializer.append(numpy_helper.from_array(values, node.input[2]))


def output_axis(node: onnx.NodeProto) -> int:
    """The axis of a layer's weights along which its outputs lie."""
    transposed = any(each.name == "transB" and each.i for each in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1


def _rename(model: onnx.ModelProto) -> None:
    """Name input and output as all networks of edgetl do."""
    graph = model.graph
    wanted = {graph.input[0].name: NETWORK_INPUT, graph.output[0].name: OUTPUT_NAME}
    taken = {NETWORK_INPUT, OUTPUT_NAME} - set(wanted)
    names = {**{name: f"{name}_inside" for name in taken}, **wanted}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    graph.input[0].name, graph.output[0].name = NETWORK_INPUT, OUTPUT_NAME


def _name_nodes(model: onnx.ModelProto) -> None:
    """A name of its own for every node; layers are named after their weights, as in exported networks."""
    view = View(model)
    layers = {node.output[0]: view.name_of(node) for node in view.compute}
    taken: set[str] = set(layers.values())
    for node in model.graph.node:
        name = layers.get(node.output[0]) or node.name or node.output[0]
        if node.output[0] not in layers and name in taken:
            name = node.output[0]
        taken.add(name)
        node.name = name
