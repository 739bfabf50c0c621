"""The few calls of the CUDA driver API needed to run an engine, through ctypes: no CUDA package is needed.

One `Gpu` holds the device's primary context, which TensorRT also uses. Sizes are in bytes, pointers are integers. Call
`requirements.no_cuda_driver` first. Source of names and argument types: CUDA Driver API, modules initialization,
device, context, memory, stream.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.requirements import CUDA_DRIVER
from edgetl.errors import BackendError

_STREAM_NON_BLOCKING = 1
_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR = 75, 76  # CUdevice_attribute
_int_p, _ptr_p = ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_void_p)
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (ctypes.c_uint,),
    "cuDriverGetVersion": (_int_p,),
    "cuGetErrorName": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
    "cuDeviceGet": (_int_p, ctypes.c_int),
    "cuDeviceGetName": (ctypes.c_char_p, ctypes.c_int, ctypes.c_int),
    "cuDeviceGetAttribute": (_int_p, ctypes.c_int, ctypes.c_int),
    "cuDevicePrimaryCtxRetain": (_ptr_p, ctypes.c_int),
    "cuDevicePrimaryCtxRelease_v2": (ctypes.c_int,),
    "cuCtxSetCurrent": (ctypes.c_void_p,),
    "cuMemAlloc_v2": (_ptr_p, ctypes.c_size_t),
    "cuMemFree_v2": (ctypes.c_void_p,),
    "cuMemAllocHost_v2": (_ptr_p, ctypes.c_size_t),
    "cuMemFreeHost": (ctypes.c_void_p,),
    "cuMemcpyHtoDAsync_v2": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p),
    "cuMemcpyDtoHAsync_v2": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p),
    "cuStreamCreate": (_ptr_p, ctypes.c_uint),
    "cuStreamSynchronize": (ctypes.c_void_p,),
    "cuStreamDestroy_v2": (ctypes.c_void_p,),
}


@dataclass(frozen=True)
class GpuFacts:
    """compute_capability as `8.6`; cuda_driver the newest CUDA version the driver supports, as `12.4`."""

    name: str
    compute_capability: str
    cuda_driver: str


class Gpu:
    """GPU `ordinal` with its primary context current in the calling thread, and one stream."""

    def __init__(self, ordinal: int = 0) -> None:
        self._driver = _load()
        self._call("cuInit", 0)
        device = ctypes.c_int(0)
        self._call("cuDeviceGet", ctypes.byref(device), ordinal)
        self._device = device.value
        self._context = self._pointer("cuDevicePrimaryCtxRetain", self._device)
        self._resources: list[tuple[str, int]] = []  # (what frees it, pointer) in the order of creation
        try:
            self.make_current()
            self.stream = self._resource("cuStreamDestroy_v2", "cuStreamCreate", _STREAM_NON_BLOCKING)
        except BackendError:
            self.close()
            raise

    def facts(self) -> GpuFacts:
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, len(name), self._device)
        version = ctypes.c_int(0)
        self._call("cuDriverGetVersion", ctypes.byref(version))
        major, minor = (self._attribute(n) for n in (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR))
        driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
        return GpuFacts(name.value.decode("utf-8", "replace"), f"{major}.{minor}", driver)

    def make_current(self) -> None:
        """Bind the context to the calling thread; needed once per thread, costs less than a microsecond."""
        self._call("cuCtxSetCurrent", self._context)

    def device_buffer(self, size_bytes: int) -> int:
        return self._resource("cuMemFree_v2", "cuMemAlloc_v2", size_bytes)

    def host_buffer(self, size_bytes: int) -> NDArray[np.uint8]:
        """Page-locked memory, which the GPU copies from and to directly; valid until `close`."""
        pointer = self._resource("cuMemFreeHost", "cuMemAllocHost_v2", size_bytes)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size_bytes).from_address(pointer))

    def to_device(self, target: int, source: NDArray[np.uint8], size_bytes: int) -> None:
        """Queue a copy of the first `size_bytes` of `source`."""
        self._call("cuMemcpyHtoDAsync_v2", target, source.ctypes.data, size_bytes, self.stream)

    def to_host(self, target: NDArray[np.uint8], source: int, size_bytes: int) -> None:
        """Queue a copy into the first `size_bytes` of `target`."""
        self._call("cuMemcpyDtoHAsync_v2", target.ctypes.data, source, size_bytes, self.stream)

    def synchronize(self) -> None:
        """Wait for everything that was queued. Raises BackendError with the first failure."""
        self._call("cuStreamSynchronize", self.stream)

    def close(self) -> None:
        """Free buffers and stream and release the context. Idempotent; errors here are ignored."""
        if not self._context:
            return
        self._driver.cuCtxSetCurrent(self._context)
        for free, pointer in reversed(self._resources):
            getattr(self._driver, free)(pointer)
        self._driver.cuDevicePrimaryCtxRelease_v2(self._device)
        self._resources, self._context = [], 0

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int(0)
        self._call("cuDeviceGetAttribute", ctypes.byref(value), number, self._device)
        return value.value

    def _resource(self, free: str, function: str, *arguments: Any) -> int:
        pointer = self._pointer(function, *arguments)
        self._resources.append((free, pointer))
        return pointer

    def _pointer(self, function: str, *arguments: Any) -> int:
        pointer = ctypes.c_void_p()
        self._call(function, ctypes.byref(pointer), *arguments)
        return pointer.value or 0

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._driver, function)(*arguments)
        if status != 0:
            name = ctypes.c_char_p()
            self._driver.cuGetErrorName(status, ctypes.byref(name))
            found = (name.value or b"").decode() or f"error {status}"
            raise BackendError(f"CUDA driver: {function} failed: {found}; see nvidia-smi and the kernel log")


def _load() -> ctypes.CDLL:
    driver = ctypes.CDLL(CUDA_DRIVER)
    for name, arguments in _SIGNATURES.items():
        function = getattr(driver, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
    return driver
