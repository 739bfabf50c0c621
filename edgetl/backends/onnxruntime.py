"""ONNX Runtime on the CPU, x86-64 and ARM. The model is the pivot; the runtime fuses it on opening.

On x86-64 the first convolution of an INT8 network is rewritten for faster kernels (onnx_stem.py), and smooth
activations and means for INT8 kernels (onnx_gates.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetl.backends.failures import one_line
from edgetl.backends.sdk import import_onnxruntime
from edgetl.backends.tensors import arrays_of, check_threads, model_file
from edgetl.backends.toolchain import Needs, Toolchain
from edgetl.errors import BackendError
from edgetl.files.temporary import temporary_folder
from edgetl.types import PRECISIONS, Compiled, ElementType, Engine, Placement, Port, Precision, Signature, Target

if TYPE_CHECKING:
    import onnxruntime

    from edgetl.types import Tensors

MODEL_FILE = "model.onnx"
PROVIDER = "CPUExecutionProvider"
_FATAL_ONLY = 4  # the runtime's log level; errors also arrive as exceptions


class OnnxRuntimeBackend(Toolchain):
    """Checks the pivot and writes the model; the file runs on every CPU that has the runtime."""

    name = "onnxruntime"
    needs = Needs(
        formats=("int8", "float32"),
        module="onnxruntime",
        remedy="pip install onnxruntime",
        distributions=("onnxruntime", "onnxruntime-gpu"),
    )

    def compile(self, pivot: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        from edgetl.backends.onnx_gates import use_integer_gates
        from edgetl.backends.onnx_rules import check_precision, load_pivot
        from edgetl.backends.onnx_stem import widen_stem
        from edgetl.pivot.serialize import serialize

        self.require_to_compile(target, precision)
        model, facts = load_pivot(pivot)
        check_precision(facts, precision, pivot)
        # not on ARM: its kernels only ran under an emulator, where times are meaningless
        x86_integers = PRECISIONS[precision].integers and target.machine == "x86_64"
        if x86_integers and any([widen_stem(model), use_integer_gates(model)]):
            (out / MODEL_FILE).write_bytes(serialize(model))
        else:
            shutil.copyfile(pivot, out / MODEL_FILE)
        settings = {"graph_optimization_level": "all", "opset": str(facts.opset), "provider": PROVIDER}
        return Compiled(self.name, self.version(), precision, MODEL_FILE, (MODEL_FILE,), facts=settings)

    @contextmanager
    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> Iterator[Engine]:
        check_threads(threads)
        self.require_to_run(folder, compiled, target)
        engine = OnnxRuntimeEngine(model_file(folder, compiled.model), threads)
        try:
            yield engine
        finally:
            engine.close()


class OnnxRuntimeEngine:
    """One session. Two threads must not use it at the same time."""

    def __init__(self, model: Path, threads: int) -> None:
        self._model = model
        self._threads = threads
        self._session: onnxruntime.InferenceSession | None = open_session(model, threads)
        self._signature = _signature(self._session, model)
        self._outputs = [port.name for port in self._signature.outputs]

    def infer(self, inputs: Tensors) -> Tensors:
        session = self._opened()
        arrays = arrays_of(inputs, self._signature.inputs)
        try:
            found = session.run(self._outputs, arrays)
        except Exception as error:  # the bindings raise a dozen unrelated types
            raise BackendError(f"{self._model}: onnxruntime failed: {one_line(error)}") from error
        # copies: the runtime may use its buffers again
        return {name: np.array(values, np.float32) for name, values in zip(self._outputs, found, strict=True)}

    def placement(self) -> Placement:
        """Read from the graph that the runtime optimized for this CPU, which it writes on request."""
        import onnx

        from edgetl.backends.onnx_placement import operators

        device = ", ".join(name.removesuffix("ExecutionProvider") for name in self._opened().get_providers())
        with temporary_folder() as scratch:
            optimized = scratch / "optimized.onnx"
            open_session(self._model, self._threads, optimized)
            return Placement(operators(onnx.load_model(optimized), device))

    def close(self) -> None:
        self._session = None

    def _opened(self) -> Any:
        if self._session is None:
            raise BackendError(f"{self._model}: the engine is closed")
        return self._session


def open_session(model: Path, threads: int, optimized: Path | None = None) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _FATAL_ONLY
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=[PROVIDER])
    except Exception as error:  # the bindings raise a dozen unrelated types
        raise BackendError(f"{model}: onnxruntime cannot open it: {one_line(error)}") from error


_ELEMENTS: dict[str, ElementType] = {
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float)": "float32",
}


def _signature(session: Any, model: Path) -> Signature:
    return Signature(
        tuple(_port(value, model) for value in session.get_inputs()),
        tuple(_port(value, model) for value in session.get_outputs()),
    )


def _port(value: Any, model: Path) -> Port:
    sizes = tuple(size if isinstance(size, int) else None for size in value.shape)
    tokens = value.type == "tensor(int32)" and len(sizes) == 2  # of any length
    if value.type not in _ELEMENTS or not sizes or (None in sizes[1:] and not tokens):
        raise BackendError(
            f"{model}: `{value.name}`: expected fixed sizes behind the batch; found {value.type} {value.shape}"
        )
    return Port(value.name, _ELEMENTS[value.type], (None, *sizes[1:]))
