"""What this machine has, detected without importing an SDK."""

from __future__ import annotations

import ctypes
import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from edgetl.errors import BackendError
from edgetl.types import Missing, Precision, Target

CUDA_DRIVER = "libcuda.so.1"
CPU_INFO = Path("/proc/cpuinfo")


def distribution_version(*names: str) -> str:
    """Version of the first of these distributions that is installed; "" if none is."""
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def missing_module(module: str, remedy: str) -> Missing | None:
    """None if the top-level `module` can be found; it is not imported."""
    if find_spec(module) is not None:
        return None
    return Missing(f"the Python package {module} is not installed", remedy)


def wrong_machine(target: Target) -> Missing | None:
    """None if this CPU has the target's instruction set."""
    here = platform.machine()
    if target.machine in ("any", here):
        return None
    return Missing(
        f"target {target.name} needs a CPU of type {target.machine}; this one is {here}",
        "copy the bundle to such a machine and run it there",
    )


def wrong_precision(precision: Precision | None, offered: tuple[Precision, ...], backend: str) -> Missing | None:
    """None if `backend` offers `precision`."""
    if precision is None or precision in offered:
        return None
    return Missing(f"{backend} does not run {precision}", f"build for {' or '.join(offered)}")


def no_cuda_driver() -> Missing | None:
    """None if the CUDA driver is installed and sees a GPU.

    Without a driver TensorRT's runtime ends the process with a segmentation fault, so this is checked first.
    """
    try:
        driver = ctypes.CDLL(CUDA_DRIVER)
    except OSError:
        return Missing(f"no NVIDIA driver: {CUDA_DRIVER} cannot be loaded", "install the NVIDIA driver; see nvidia-smi")
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value < 1:
        return Missing("the NVIDIA driver sees no GPU", "check nvidia-smi, and CUDA_VISIBLE_DEVICES if it is set")
    return None


def no_cpu_bfloat16() -> Missing | None:
    """None if this CPU has bfloat16 instructions (AVX512-BF16 or AMX); otherwise bfloat16 is emulated and slow."""
    if {"avx512_bf16", "amx_bf16"} & cpu_flags(CPU_INFO):
        return None
    return Missing(
        "this CPU has no bfloat16 instructions (avx512_bf16 or amx_bf16)",
        "use the float32 or the int8 build, or a CPU such as Cooper Lake, Sapphire Rapids or Zen 4",
    )


def cpu_flags(cpu_info: Path) -> frozenset[str]:
    """The feature flags of the first CPU in the kernel's list; empty if there is none."""
    try:
        text = cpu_info.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def require(what: str, *obstacles: Missing | None) -> None:
    """Raise BackendError with the first obstacle that is not None."""
    for obstacle in obstacles:
        if obstacle is not None:
            raise BackendError(f"{what}: {obstacle.reason}; {obstacle.remedy}")
