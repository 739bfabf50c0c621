"""A CUDA driver and a TensorRT made of Python, so that every call of the GPU path runs on a machine without a GPU.

Device memory is host memory; the "network" answers, per image, its mean and the batch size it ran in. The three
flavours of the module have and lack what TensorRT 8, 10 and 11 have and lack.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

SIZE, CLASSES = 32, 2
LAYERS = [
    {"Name": "wait", "LayerType": "wait"},
    {
        "Name": "conv1",
        "LayerType": "CaskConvolution",
        "ParameterType": "Convolution",
        "Inputs": [{"Format/Datatype": "Channel major Int8 format where channel % 4 == 0"}],
        "Weights": {"Type": "Int8", "Count": 432},
        "TacticName": "sm80_xmma_fprop_implicit_gemm_i8i8_i8i32_f32_nchw",
    },
]


class FakeDriver:
    """libcuda.so.1. `failing` names a function that answers CUDA_ERROR_OUT_OF_MEMORY."""

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.calls: list[str] = []
        self.failing = ""
        self.devices = 1
        self.cuda_version = 12040

    def __getattr__(self, name: str) -> Callable[..., int]:
        handler = getattr(FakeDriver, f"on_{name}", None)

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name == self.failing:
                return 2
            if handler is not None:
                handler(self, *arguments)
            return 0

        return call

    def on_cuGetErrorName(self, status: int, name: Any) -> None:
        name._obj.value = b"CUDA_ERROR_OUT_OF_MEMORY"

    def on_cuDeviceGetCount(self, count: Any) -> None:
        count._obj.value = self.devices

    def on_cuDriverGetVersion(self, version: Any) -> None:
        version._obj.value = self.cuda_version

    def on_cuDeviceGetName(self, name: Any, size: int, device: int) -> None:
        name.value = b"Fake GPU"

    def on_cuDeviceGetAttribute(self, value: Any, attribute: int, device: int) -> None:
        value._obj.value = {75: 8, 76: 7}[attribute]

    def on_cuDevicePrimaryCtxRetain(self, context: Any, device: int) -> None:
        context._obj.value = 1

    def on_cuStreamCreate(self, stream: Any, flags: int) -> None:
        stream._obj.value = 7

    def on_cuMemAlloc_v2(self, pointer: Any, size: int) -> None:
        block = ctypes.create_string_buffer(size)
        pointer._obj.value = ctypes.addressof(block)
        self.memory[ctypes.addressof(block)] = block

    on_cuMemAllocHost_v2 = on_cuMemAlloc_v2

    def on_cuMemFree_v2(self, pointer: int) -> None:
        del self.memory[pointer]

    on_cuMemFreeHost = on_cuMemFree_v2

    def on_cuMemcpyHtoDAsync_v2(self, target: int, source: int, size: int, stream: int) -> None:
        assert stream == 7
        ctypes.memmove(target, source, size)

    on_cuMemcpyDtoHAsync_v2 = on_cuMemcpyHtoDAsync_v2


class FakeContext:
    def __init__(self, input_type: np.dtype[Any]) -> None:
        self.input_type = input_type
        self.addresses: dict[str, int] = {}
        self.batch = 0
        self.shapes: list[int] = []

    def set_tensor_address(self, name: str, pointer: int) -> bool:
        self.addresses[name] = pointer
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "image"
        assert shape[1:] == (SIZE, SIZE, 3)
        self.batch = shape[0]
        self.shapes.append(shape[0])
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        size_bytes = self.batch * SIZE * SIZE * 3 * self.input_type.itemsize
        images = (ctypes.c_uint8 * size_bytes).from_address(self.addresses["image"])
        logits = (ctypes.c_float * (self.batch * CLASSES)).from_address(self.addresses["logits"])
        means = np.ctypeslib.as_array(images).view(self.input_type).reshape(self.batch, -1).mean(axis=1)
        np.frombuffer(memoryview(logits).cast("B"), np.float32).reshape(self.batch, CLASSES)[:] = [
            [m, self.batch] for m in means
        ]
        return True


class FakeEngine:
    num_io_tensors = 2

    def __init__(self, trt: Any, max_batch: int) -> None:
        self.trt, self.max_batch = trt, max_batch
        self.contexts: list[FakeContext] = []

    def get_tensor_name(self, index: int) -> str:
        return ("image", "logits")[index]

    def get_tensor_dtype(self, name: str) -> object:
        return self.trt.input_type if name == "image" else self.trt.DataType.FLOAT

    def get_tensor_mode(self, name: str) -> object:
        return self.trt.TensorIOMode.INPUT if name == "image" else self.trt.TensorIOMode.OUTPUT

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [(batch, SIZE, SIZE, 3) for batch in (1, 1, self.max_batch)]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, SIZE, SIZE, 3) if name == "image" else (-1, CLASSES)

    def create_runtime_config(self) -> Any:
        return SimpleNamespace()

    def create_execution_context(self, config: Any = None) -> FakeContext:
        self.contexts.append(FakeContext(np.dtype(self.trt.input_type)))
        return self.contexts[-1]

    def create_engine_inspector(self) -> Any:
        return SimpleNamespace(get_engine_information=lambda form: json.dumps({"Layers": LAYERS}))


class FakeConfig:
    def __init__(self) -> None:
        self.set_flags: list[str] = []
        self.cleared: list[str] = []
        self.pools: dict[str, int] = {}
        self.cache: bytes | None = None
        self.profile: Any = None

    def set_memory_pool_limit(self, pool: str, size: int) -> None:
        self.pools[pool] = size

    def set_flag(self, flag: Any) -> None:
        self.set_flags.append(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self.cleared.append(flag.name)

    def add_optimization_profile(self, profile: Any) -> int:
        self.profile = profile
        return 0

    def create_timing_cache(self, content: bytes) -> Any:
        return content

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        if cache.startswith(b"other GPU"):
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: (self.cache or b"") + b"+timings")


class FakeTensorRT:
    """`import tensorrt`. `created` has every builder configuration; `plan` is what the next build answers."""

    def __init__(self, major: int) -> None:
        self.__name__ = "tensorrt"
        self.__version__ = f"{major}.1.2"
        self.created: list[FakeConfig] = []
        self.engines: list[FakeEngine] = []
        self.network_flags: list[int] = []
        self.parse_errors: list[str] = []
        self.input_type = "uint8"
        self.refuses = False
        flags = ["TF32", "REFIT", *(["INT8", "FP16"] if major < 11 else [])]
        self.BuilderFlag = SimpleNamespace(**{name: SimpleNamespace(name=name) for name in flags})
        creation = ({"EXPLICIT_BATCH": 0} if major < 11 else {}) | ({"STRONGLY_TYPED": 1} if major > 8 else {})
        self.NetworkDefinitionCreationFlag = SimpleNamespace(**creation)
        self.DataType = SimpleNamespace(FLOAT="float", UINT8="uint8", INT32="int32")
        self.TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.ProfilingVerbosity = SimpleNamespace(DETAILED="detailed")
        self.LayerInformationFormat = SimpleNamespace(JSON="json")
        self.DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING = "internal error", "error", "warning"

    def Builder(self, log: Any) -> Any:
        def create_network(flags: int) -> Any:
            self.network_flags.append(flags)
            image = SimpleNamespace(name="image", shape=(-1, SIZE, SIZE, 3))
            return SimpleNamespace(num_inputs=1, get_input=lambda index: image)

        def create_builder_config() -> FakeConfig:
            self.created.append(FakeConfig())
            return self.created[-1]

        def create_optimization_profile() -> Any:
            profile = SimpleNamespace(shapes=())
            profile.set_shape = lambda name, *shapes: setattr(profile, "shapes", shapes)
            return profile

        def build_serialized_network(network: Any, config: FakeConfig) -> bytes | None:
            if self.refuses:
                log.log(self.ILogger.WARNING, "just a warning")
                log.log(self.ILogger.ERROR, "no kernel\nfits")
                return None
            return b"plan:" + str(config.profile.shapes[2][0]).encode()

        return SimpleNamespace(
            create_network=create_network,
            create_builder_config=create_builder_config,
            create_optimization_profile=create_optimization_profile,
            build_serialized_network=build_serialized_network,
        )

    def OnnxParser(self, network: Any, log: Any) -> Any:
        errors = [SimpleNamespace(desc=lambda text=text: text) for text in self.parse_errors]
        return SimpleNamespace(
            parse=lambda data: not errors, num_errors=len(errors), get_error=lambda index: errors[index]
        )

    def Runtime(self, log: Any) -> Any:
        def deserialize_cuda_engine(plan: bytes) -> FakeEngine | None:
            if not plan.startswith(b"plan:"):
                log.log(self.ILogger.ERROR, "magic tag does not match")
                return None
            self.engines.append(FakeEngine(self, int(plan.removeprefix(b"plan:"))))
            return self.engines[-1]

        return SimpleNamespace(deserialize_cuda_engine=deserialize_cuda_engine)
