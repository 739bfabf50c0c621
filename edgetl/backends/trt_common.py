"""Shared by TensorRT and TensorRT for RTX. Functions take the vendor's module as `trt`.

Only calls that exist in 8.6, 10, 11 and RTX are made unconditionally (docs/guide/backends/tensorrt.md): the precision
comes from the graph (Q/DQ pairs), and builder flags are set only if this version has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.cuda_driver import Gpu
from edgetl.backends.failures import joined
from edgetl.backends.tensors import arrays_of
from edgetl.backends.toolchain import integer
from edgetl.backends.trt_inspect import operators
from edgetl.errors import BackendError
from edgetl.types import PRECISIONS, ElementType, Placement, Port, Precision, Signature, Target, TextPreprocessing

if TYPE_CHECKING:
    from edgetl.types import Tensors

DEFAULT_MAX_BATCH = 8
MAX_BATCH_LIMIT = 1024
DEFAULT_WORKSPACE_BYTES = 1 << 30


@dataclass(frozen=True)
class BuildSettings:
    """max_batch: the optimization profile is 1..max_batch images, tuned for one. workspace_bytes: scratch memory."""

    max_batch: int = DEFAULT_MAX_BATCH
    workspace_bytes: int = DEFAULT_WORKSPACE_BYTES


def build_settings(target: Target) -> BuildSettings:
    """What the target's options say. Raises UsageError for numbers out of range."""
    return BuildSettings(
        max_batch=integer(target, "max_batch", DEFAULT_MAX_BATCH, low=1, high=MAX_BATCH_LIMIT),
        workspace_bytes=integer(target, "workspace_bytes", DEFAULT_WORKSPACE_BYTES, low=1 << 20, high=1 << 40),
    )


def make_logger(trt: Any) -> Any:
    """A logger that keeps warnings and errors in `.lines` instead of printing them."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.lines.append(message)

    return Log()


def build(
    trt: Any,
    pivot: Path,
    precision: Precision,
    settings: BuildSettings,
    configure: Callable[[Any], None],
    log: Any,
) -> bytes:
    """Serialized engine of a pivot that passed `onnx_rules.check_tensorrt`. Raises BackendError.

    configure  called with the builder configuration, for settings of only one of the two toolchains
    """
    builder = trt.Builder(log)
    network, typed = _network(trt, builder)
    _parse(trt, network, log, pivot)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_bytes)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # placement is read from it
    _set_flags(trt, config, precision, typed)
    _add_profile(builder, config, network, settings.max_batch, pivot)
    configure(config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f"{pivot}: {trt.__name__} cannot build it: {joined(log.lines, 'no reason given')}")
    return bytes(plan)


def _network(trt: Any, builder: Any) -> tuple[Any, bool]:
    """An empty network, and whether its types are the graph's own (always from TensorRT 11 on)."""
    flags = trt.NetworkDefinitionCreationFlag
    if hasattr(flags, "STRONGLY_TYPED"):
        return builder.create_network(1 << int(flags.STRONGLY_TYPED)), True
    return builder.create_network(1 << int(flags.EXPLICIT_BATCH)), False


def _parse(trt: Any, network: Any, log: Any, pivot: Path) -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse(_with_wide_inputs(pivot.read_bytes())):
        return
    errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
    raise BackendError(f"{pivot}: {trt.__name__} cannot read it: {joined(errors, 'no reason given')}")


def _with_wide_inputs(model: bytes) -> bytes:
    """The model with int32 inputs in place of int16 ones, which TensorRT has not; they go into a Cast alone."""
    import onnx
    from onnx import TensorProto

    read = onnx.load_from_string(model)
    narrow = [
        value.type.tensor_type for value in read.graph.input if value.type.tensor_type.elem_type == TensorProto.INT16
    ]
    for kind in narrow:
        kind.elem_type = TensorProto.INT32
    data: bytes = read.SerializeToString() if narrow else model
    return data


def _set_flags(trt: Any, config: Any, precision: Precision, typed: bool) -> None:
    flags = trt.BuilderFlag
    if hasattr(flags, "TF32"):
        config.clear_flag(flags.TF32)  # on by default: rounds float32 operands to 10 bits of mantissa
    number_format = PRECISIONS[precision].format
    if number_format == "int8" and not typed:
        config.set_flag(flags.INT8)  # TensorRT 8: Q/DQ pairs alone do not enable INT8 kernels
    if number_format == "float16" and not typed:
        config.set_flag(flags.FP16)  # nor do float16 tensors


def _add_profile(builder: Any, config: Any, network: Any, max_batch: int, pivot: Path) -> None:
    """Smallest, usual and largest input: batches from one; tokens from one to as many as the pivot's longest text."""
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        source = network.get_input(index)
        others = tuple(source.shape)[1:]
        usual, longest = _lengths(pivot) if -1 in others else (1, 1)
        shapes = (
            (batch, *(length if size == -1 else size for size in others))
            for batch, length in ((1, 1), (1, usual), (max_batch, longest))
        )
        profile.set_shape(source.name, *shapes)
    if config.add_optimization_profile(profile) < 0:
        raise BackendError(f"{pivot}: batches of 1 to {max_batch} were refused")


def _lengths(pivot: Path) -> tuple[int, int]:
    """The usual and the largest number of tokens. Raises BackendError if the pivot does not state them."""
    from edgetl.pivot.facts import read_facts

    p = read_facts(pivot).preprocessing
    if not isinstance(p, TextPreprocessing):
        raise BackendError(f"{pivot}: expected lengths of texts in its metadata; export it with `edgetl export`")
    return p.lengths[len(p.lengths) // 2], p.lengths[-1]


def _widened(inputs: Tensors) -> Tensors:
    """int16 arrays as the int32 that the plan was built for."""
    return {
        name: array.astype(np.int32) if isinstance(array, np.ndarray) and array.dtype == np.int16 else array
        for name, array in inputs.items()
    }


@dataclass(frozen=True)
class _Interface:
    """The engine's ports, the largest batch that it takes, and the most tokens of a text."""

    signature: Signature
    max_batch: int
    longest: int

    def ports(self) -> tuple[Port, ...]:
        return (*self.signature.inputs, *self.signature.outputs)


@dataclass(frozen=True)
class _Buffer:
    """Page-locked and device memory of a port, for the largest batch."""

    host: NDArray[np.uint8]
    device: int


def _row_bytes(port: Port, longest: int) -> int:
    return math.prod(size or longest for size in port.shape[1:]) * np.dtype(port.dtype).itemsize


class TensorRTEngine:
    """A plan on the GPU: one execution context, one stream, page-locked buffers for the largest batch.

    plan     bytes of a serialized engine. Native code reads it, so open only bundles whose digests were checked.
    context  makes the execution context of an engine; the two toolchains differ here
    """

    def __init__(self, trt: Any, plan: bytes, where: str, context: Callable[[Any], Any], log: Any) -> None:
        self._trt, self._where, self._log = trt, where, log
        self._gpu = Gpu()
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._shapes: dict[str, tuple[int, ...]] = {}  # that the context is set to
        try:
            self._engine = self._deserialize(plan)
            self._io = self._interface()
            self._context = self._checked(context(self._engine), "no execution context")
            self._buffers = {port.name: self._buffer(port) for port in self._io.ports()}
        except BaseException:
            self.close()
            raise

    def infer(self, inputs: Tensors) -> Tensors:
        self._opened()
        arrays = arrays_of(_widened(inputs), self._io.signature.inputs)
        count = len(next(iter(arrays.values())))
        outputs = {
            port.name: np.empty((count, *(size or 1 for size in port.shape[1:])), np.float32)
            for port in self._io.signature.outputs
        }
        self._gpu.make_current()
        for start in range(0, count, self._io.max_batch):
            part = slice(start, min(start + self._io.max_batch, count))
            self._run(
                {name: array[part] for name, array in arrays.items()},
                {name: array[part] for name, array in outputs.items()},
            )
        return outputs

    def placement(self) -> Placement:
        """Read from the engine inspector, for the input shape that ran last."""
        inspector = self._opened().create_engine_inspector()
        inspector.execution_context = self._context
        text = inspector.get_engine_information(self._trt.LayerInformationFormat.JSON)
        return Placement(operators(text, self._gpu.facts().name))

    def close(self) -> None:
        # in this order: a context must not outlive its engine, nor a buffer the work that uses it
        self._context = None
        self._engine = None
        self._runtime = None
        self._gpu.close()

    def _opened(self) -> Any:
        if self._engine is None:
            raise BackendError(f"{self._where}: the engine is closed")
        return self._engine

    def _deserialize(self, plan: bytes) -> Any:
        self._runtime = self._trt.Runtime(self._log)
        return self._checked(self._runtime.deserialize_cuda_engine(plan), "this GPU rejects the engine")

    def _buffer(self, port: Port) -> _Buffer:
        size_bytes = self._io.max_batch * _row_bytes(port, self._io.longest)
        buffer = _Buffer(self._gpu.host_buffer(size_bytes), self._gpu.device_buffer(size_bytes))
        self._checked(self._context.set_tensor_address(port.name, buffer.device), f"buffer of {port.name} refused")
        return buffer

    def _interface(self) -> _Interface:
        engine, mode = self._engine, self._trt.TensorIOMode
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == mode.INPUT]
        ports = {name: self._port(name) for name in names}
        outputs = tuple(ports[name] for name in names if name not in inputs)
        if not inputs or not outputs or any(port.dtype != "float32" for port in outputs):
            raise BackendError(f"{self._where}: expected inputs and float32 outputs; found {', '.join(names)}")
        largest = {name: tuple(engine.get_tensor_profile_shape(name, 0)[2]) for name in inputs}
        lengths = [largest[name][1] for name in inputs if None in ports[name].shape[1:]]
        return _Interface(
            Signature(tuple(ports[name] for name in inputs), outputs),
            min(int(shape[0]) for shape in largest.values()),
            int(max(lengths, default=1)),
        )

    def _port(self, name: str) -> Port:
        types = self._trt.DataType
        elements: dict[Any, ElementType] = {types.UINT8: "uint8", types.INT32: "int32", types.FLOAT: "float32"}
        found, sizes = self._engine.get_tensor_dtype(name), tuple(self._engine.get_tensor_shape(name))
        tokens = found == types.INT32 and len(sizes) == 2  # of any length
        if found not in elements or len(sizes) < 2 or (min(sizes[1:]) < 1 and not tokens):
            raise BackendError(f"{self._where}: `{name}`: expected fixed sizes behind the batch; found {found} {sizes}")
        return Port(name, elements[found], (None, *(size if size > 0 else None for size in sizes[1:])))

    def _run(self, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[np.float32]]) -> None:
        """Fill the outputs of one batch, whose size is within the profile."""
        for name, array in inputs.items():
            if array.shape != self._shapes.get(name):
                set_so = self._context.set_input_shape(name, array.shape)
                self._checked(set_so, f"{name}: shape {array.shape} refused")
                self._shapes[name] = array.shape
            buffer = self._buffers[name]
            buffer.host[: array.nbytes] = array.reshape(-1).view(np.uint8)
            self._gpu.to_device(buffer.device, buffer.host, array.nbytes)
        self._checked(self._context.execute_async_v3(self._gpu.stream), "inference failed")
        for name, values in outputs.items():
            self._gpu.to_host(self._buffers[name].host, self._buffers[name].device, values.nbytes)
        self._gpu.synchronize()
        for name, values in outputs.items():
            host = self._buffers[name].host[: values.nbytes]
            values[...] = host.view(np.float32).reshape(values.shape)

    def _checked(self, result: Any, problem: str) -> Any:
        """`result`, unless it is None or False, which is how the API reports failure; the log says why."""
        if result is None or result is False:
            raise BackendError(f"{self._where}: {problem}: {joined(self._log.lines, 'no reason given')}")
        return result
