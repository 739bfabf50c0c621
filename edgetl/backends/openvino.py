"""OpenVINO on the CPU. The model is OpenVINO IR: model.xml (graph) and model.bin (weights, not rounded to 16 bits).

A CPU with bfloat16 instructions runs "float32" networks in bfloat16 unless configured otherwise, so the precision of
float layers is always set and recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.failures import one_line
from edgetl.backends.sdk import import_openvino
from edgetl.backends.tensors import arrays_of, check_threads, model_file
from edgetl.backends.toolchain import Needs, Toolchain
from edgetl.errors import BackendError
from edgetl.types import (
    PRECISIONS,
    Compiled,
    ElementType,
    Engine,
    NumberFormat,
    Operator,
    Placement,
    Port,
    Precision,
    Signature,
    Target,
)

if TYPE_CHECKING:
    from edgetl.types import Tensors

GRAPH_FILE, WEIGHTS_FILE = "model.xml", "model.bin"
DEVICE = "CPU"
_HINTS: dict[NumberFormat, str] = {"int8": "f32", "bfloat16": "bf16", "float32": "f32"}
_CAPABILITIES: dict[NumberFormat, str] = {"int8": "INT8", "bfloat16": "BF16", "float32": "FP32"}
_TYPES = {"u8": "uint8", "i8": "int8", "f32": "float32", "bf16": "bfloat16", "f16": "float16", "i32": "int32"}
_KINDS = {
    "Convolution": "convolution",
    "GroupConvolution": "convolution",
    "Deconvolution": "convolution",
    "FullyConnected": "linear",
    "MatMul": "linear",
    "Pooling": "pooling",
    "AdaptivePooling": "pooling",
    "Reduce": "pooling",
    "Eltwise": "elementwise",
    "Subgraph": "elementwise",
    "Concatenation": "concat",
    "FakeQuantize": "quantize",
    "Reorder": "layout",
    "Reshape": "layout",
    "Transpose": "layout",
}
_NOT_EXECUTED = ("Const", "Input", "Output")


class OpenVinoBackend(Toolchain):
    """Reads the pivot with the runtime's own ONNX reader; the Python converter reports its use and is not used."""

    name = "openvino"
    needs = Needs(
        formats=("int8", "bfloat16", "float32"),
        module="openvino",
        remedy="pip install openvino",
        distributions=("openvino",),
    )

    def compile(self, pivot: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        from edgetl.backends.onnx_rules import check_precision, load_pivot

        self.require_to_compile(target, precision)
        _, facts = load_pivot(pivot)
        check_precision(facts, precision, pivot)
        _write_ir(pivot, out / GRAPH_FILE)
        settings = {
            "inference_precision_hint": _HINTS[PRECISIONS[precision].format],
            "device": DEVICE,
            "opset": str(facts.opset),
        }
        files = (GRAPH_FILE, WEIGHTS_FILE)
        return Compiled(self.name, self.version(), precision, GRAPH_FILE, files, facts=settings)

    @contextmanager
    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> Iterator[Engine]:
        check_threads(threads)
        self.require_to_run(folder, compiled, target)
        model_file(folder, WEIGHTS_FILE)
        engine = OpenVinoEngine(model_file(folder, compiled.model), compiled.precision, threads)
        try:
            yield engine
        finally:
            engine.close()


class OpenVinoEngine:
    """One compiled model and one inference request. Two threads must not use it at the same time.

    The graph is compiled for one image, and a batch is a loop: with MobileNetV2 and ResNet-18 on one thread a dynamic
    batch ran one image 3 to 14 % slower, and a true batch of eight between 19 % slower and 12 % faster than the loop.

    Texts of any length share one graph. A graph for each length ran MiniLM 5 to 18 % faster, but each takes a second
    to compile and 150 MB (docs/decisions/0031-text-in-int8.md).
    """

    def __init__(self, model: Path, precision: Precision, threads: int) -> None:
        self._model = model
        self._compiled, self._signature = _compile(model, precision, threads)
        self._request: Any = self._compiled.create_infer_request()
        # the request's own memory, written and read in place: dictionaries of arrays cost a twentieth of MobileNetV2
        ports = enumerate(self._signature.inputs) if _is_fixed(self._signature) else ()
        self._inputs = {port.name: self._request.get_input_tensor(place).data for place, port in ports}
        self._outputs = {
            port.name: self._request.get_output_tensor(place).data for place, port in enumerate(self._signature.outputs)
        }

    def infer(self, inputs: Tensors) -> Tensors:
        request = self._opened()
        arrays = arrays_of(inputs, self._signature.inputs)
        count = len(next(iter(arrays.values())))
        try:
            rows = [self._one(request, arrays, index) for index in range(count)]
        except RuntimeError as error:
            raise BackendError(f"{self._model}: openvino failed: {one_line(error)}") from error
        return {name: np.concatenate([row[name] for row in rows]) for name in self._outputs}

    def placement(self) -> Placement:
        """Read from the graph that the CPU plugin executes."""
        self._opened()
        nodes = (
            (node.get_friendly_name(), _info(node)) for node in self._compiled.get_runtime_model().get_ordered_ops()
        )
        return Placement(
            tuple(
                Operator(
                    name,
                    _KINDS.get(info["layerType"], info["layerType"].lower()),
                    DEVICE,
                    _TYPES.get(info["runtimePrecision"], info["runtimePrecision"]),
                )
                for name, info in nodes
                if info["layerType"] not in _NOT_EXECUTED
            )
        )

    def close(self) -> None:
        self._inputs, self._outputs = {}, {}
        self._request = self._compiled = None

    def _one(self, request: Any, arrays: Mapping[str, NDArray[Any]], index: int) -> dict[str, NDArray[np.float32]]:
        if not self._inputs:  # of another length each time, for which the runtime takes other memory
            request.infer({name: array[index : index + 1] for name, array in arrays.items()})
            return {name: np.array(request.get_tensor(name).data, dtype=np.float32) for name in self._outputs}
        for name, memory in self._inputs.items():
            np.copyto(memory, arrays[name][index : index + 1])
        request.infer()
        return {name: np.array(memory, dtype=np.float32, copy=True) for name, memory in self._outputs.items()}

    def _opened(self) -> Any:
        if self._request is None:
            raise BackendError(f"{self._model}: the engine is closed")
        return self._request


def _is_fixed(signature: Signature) -> bool:
    """Whether only the batch is open."""
    return all(None not in port.shape[1:] for port in signature.inputs)


def _write_ir(pivot: Path, graph: Path) -> None:
    import onnx

    from edgetl.backends.onnx_for_openvino import drop_weight_zero_points, join_smooth_activations, spell_out_rounding

    openvino = import_openvino()
    source = onnx.load_model(pivot)
    spell_out_rounding(source)
    drop_weight_zero_points(source)
    join_smooth_activations(source)
    try:
        model = openvino.Core().read_model(source.SerializeToString())
        _number_afresh(model)
        openvino.save_model(model, str(graph), compress_to_fp16=False)
    except RuntimeError as error:
        raise BackendError(f"{pivot}: openvino cannot compile it: {one_line(error)}") from error


def _number_afresh(model: Any) -> None:
    # unnamed nodes are numbered by a process-wide counter, but the same pivot must give the same bytes
    for index, node in enumerate(model.get_ordered_ops()):
        if re.fullmatch(rf"{node.get_type_name()}_\d+", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{index}")


def _compile(model: Path, precision: Precision, threads: int) -> tuple[Any, Signature]:
    _refuse_other_formats(model)
    core = import_openvino().Core()
    _check_capability(core, precision, model)
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[PRECISIONS[precision].format],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    try:
        network = core.read_model(str(model))
        signature = _signature(network, model)
        network.reshape({port.name: [1, *(size or -1 for size in port.shape[1:])] for port in signature.inputs})
        return core.compile_model(network, DEVICE, settings), signature
    except RuntimeError as error:
        raise BackendError(f"{model}: openvino cannot open it: {one_line(error)}") from error


def _refuse_other_formats(model: Path) -> None:
    # the runtime would try its readers of five other formats on an unknown file
    with model.open("rb") as file:
        start = file.read(64).lstrip()
    if not start.startswith((b"<?xml", b"<net")):
        raise BackendError(f"{model}: not OpenVINO IR, or truncated; copy the whole bundle again")


def _check_capability(core: Any, precision: Precision, model: Path) -> None:
    offered = core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    needed = _CAPABILITIES[PRECISIONS[precision].format]
    if needed not in offered:
        raise BackendError(
            f"{model}: openvino offers {', '.join(offered)} on this CPU, not {needed}; open another precision's build"
        )


_ELEMENTS: dict[str, ElementType] = {"u8": "uint8", "i16": "int16", "i32": "int32", "i64": "int64", "f32": "float32"}


def _signature(network: Any, model: Path) -> Signature:
    return Signature(
        tuple(_port(value, model) for value in network.inputs), tuple(_port(value, model) for value in network.outputs)
    )


def _port(value: Any, model: Path) -> Port:
    name, element, shape = value.get_any_name(), value.get_element_type().get_type_name(), value.partial_shape
    sized = shape.rank.is_static and len(shape) > 1
    tokens = sized and element == "i32" and len(shape) == 2  # of any length
    fixed = sized and all(size.is_static for size in list(shape)[1:])
    if element not in _ELEMENTS or not (fixed or tokens):
        raise BackendError(f"{model}: `{name}`: expected fixed sizes behind the batch; found {element} {shape}")
    sizes = (size.get_length() if size.is_static else None for size in list(shape)[1:])
    return Port(name, _ELEMENTS[element], (None, *sizes))


def _info(node: Any) -> dict[str, str]:
    info = node.get_rt_info()
    return {key: str(info[key].astype(str)) for key in ("layerType", "runtimePrecision")}
