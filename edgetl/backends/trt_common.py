"""Shared by TensorRT and TensorRT for RTX. Functions take the vendor's module as `trt`.

Only calls that exist in 8.6, 10, 11 and RTX are made unconditionally (docs/guide/backends/tensorrt.md): the precision
comes from the graph (Q/DQ pairs), and builder flags are set only if this version has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.cuda_driver import Gpu
from edgetl.backends.failures import joined
from edgetl.backends.target_options import integer
from edgetl.backends.tensors import images_of
from edgetl.backends.trt_inspect import operators
from edgetl.errors import BackendError
from edgetl.types import INPUT_NAME, OUTPUT_NAME, PRECISIONS, Placement, Precision, Target

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
    if parser.parse(pivot.read_bytes()):
        return
    errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
    raise BackendError(f"{pivot}: {trt.__name__} cannot read it: {joined(errors, 'no reason given')}")


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
    source = network.get_input(0)
    height_width_channels = tuple(source.shape)[1:]
    profile = builder.create_optimization_profile()
    shapes = [(batch, *height_width_channels) for batch in (1, 1, max_batch)]
    profile.set_shape(source.name, *shapes)
    if config.add_optimization_profile(profile) < 0:
        raise BackendError(f"{pivot}: batches of 1 to {max_batch} images were refused")


@dataclass(frozen=True)
class _Interface:
    """The engine's interface: 1..max_batch images of (height, width, 3) in; logits of `classes` out."""

    height: int
    width: int
    classes: int
    max_batch: int

    @property
    def image_bytes(self) -> int:
        return self.height * self.width * 3

    @property
    def logits_bytes(self) -> int:
        return self.classes * 4


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
        self._batch = 0  # the batch size that the context is set to
        try:
            self._engine = self._deserialize(plan)
            self._io = self._interface()
            self._context = self._checked(context(self._engine), "no execution context")
            self._images = self._gpu.host_buffer(self._io.max_batch * self._io.image_bytes)
            self._logits = self._gpu.host_buffer(self._io.max_batch * self._io.logits_bytes)
            self._device_images = self._gpu.device_buffer(len(self._images))
            self._device_logits = self._gpu.device_buffer(len(self._logits))
            for name, pointer in ((INPUT_NAME, self._device_images), (OUTPUT_NAME, self._device_logits)):
                self._checked(self._context.set_tensor_address(name, pointer), f"buffer of {name} refused")
        except BaseException:
            self.close()
            raise

    def infer(self, inputs: Tensors) -> Tensors:
        self._opened()
        images = images_of(inputs, self._io.height, self._io.width)
        logits = np.empty((len(images), self._io.classes), np.float32)
        self._gpu.make_current()
        for start in range(0, len(images), self._io.max_batch):
            chunk = images[start : start + self._io.max_batch]
            self._run(chunk, logits[start : start + len(chunk)])
        return {OUTPUT_NAME: logits}

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

    def _interface(self) -> _Interface:
        engine, types = self._engine, self._trt.DataType
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        if sorted(names) != sorted((INPUT_NAME, OUTPUT_NAME)):
            raise BackendError(f"{self._where}: expected {INPUT_NAME} and {OUTPUT_NAME}; found {', '.join(names)}")
        found = engine.get_tensor_dtype(INPUT_NAME), engine.get_tensor_dtype(OUTPUT_NAME)
        if found != (types.UINT8, types.FLOAT):
            raise BackendError(f"{self._where}: expected uint8 in and float32 out; found {found[0]} and {found[1]}")
        _, _, largest = engine.get_tensor_profile_shape(INPUT_NAME, 0)
        max_batch, height, width, _ = tuple(largest)
        _, classes = tuple(engine.get_tensor_shape(OUTPUT_NAME))
        return _Interface(height, width, classes, max_batch)

    def _run(self, images: NDArray[np.uint8], logits: NDArray[np.float32]) -> None:
        """Fill logits (batch, classes) from images (batch, H, W, 3); batch is within the profile."""
        if len(images) != self._batch:
            self._checked(self._context.set_input_shape(INPUT_NAME, images.shape), f"batch of {len(images)} refused")
            self._batch = len(images)
        self._images[: images.nbytes] = images.reshape(-1)
        self._gpu.to_device(self._device_images, self._images, images.nbytes)
        self._checked(self._context.execute_async_v3(self._gpu.stream), "inference failed")
        self._gpu.to_host(self._logits, self._device_logits, logits.nbytes)
        self._gpu.synchronize()
        logits[...] = self._logits[: logits.nbytes].view(np.float32).reshape(logits.shape)

    def _checked(self, result: Any, problem: str) -> Any:
        """`result`, unless it is None or False, which is how the API reports failure; the log says why."""
        if result is None or result is False:
            raise BackendError(f"{self._where}: {problem}: {joined(self._log.lines, 'no reason given')}")
        return result
