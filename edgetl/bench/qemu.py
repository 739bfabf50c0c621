"""Runs ARM bundles of onnxruntime under QEMU's user-mode emulation. Logits are real, times are meaningless.

Needs `qemu-aarch64-static` (or `qemu-aarch64`) and the folder that `scripts/arm-sysroot` builds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.base import about
from edgetl.errors import BackendError
from edgetl.files.arrays import UnreadableArray, read_array
from edgetl.files.temporary import temporary_folder
from edgetl.recipes.resources import resource_dir
from edgetl.types import OUTPUT_NAME, Missing, Target

SYSROOT_VARIABLE = "EDGETL_ARM_SYSROOT"
_CPU = "max,sme=off"  # QEMU 7.2 computes wrong products with SME: dynamic INT8 of texts came out as noise
_EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")
_PYTHON = "usr/bin/python3.11"
_STAMP = "edgetl-sysroot.txt"  # written last by scripts/arm-sysroot
_REFUSED = 3  # exit status of onnx_outputs.py if the runtime rejects the model


class EmulationError(BackendError):
    """The emulator is missing, failed or was too slow. This says nothing about the model."""


def sysroot() -> Path:
    """The folder of the aarch64 files: EDGETL_ARM_SYSROOT in the environment, or the user's cache."""
    named = os.environ.get(SYSROOT_VARIABLE)
    return Path(named).expanduser().resolve() if named else Path.home() / ".cache/edgetl/arm-sysroot"


def takes(target: Target) -> bool:
    """Whether builds of `target` can be emulated."""
    return (target.machine, target.accelerator) == ("aarch64", "none") and about(target.backend).runs_onnx


def missing() -> Missing | None:
    """None if ARM models can run here under emulation. Fast: checks for two files."""
    if _emulator() is None:
        return Missing("no qemu for aarch64 on the PATH", "apt-get install qemu-user-static")
    folder = sysroot()
    if not (folder / _PYTHON).is_file() or not (folder / _STAMP).is_file():
        script = resource_dir("scripts") / "arm-sysroot"
        return Missing("no aarch64 Python with onnxruntime is installed", f"bash {script} {folder}")
    return None


def version() -> str:
    """Version of the aarch64 onnxruntime; "" if there is none. Reads one file."""
    found = metadata.distributions(name="onnxruntime", path=[str(sysroot() / "site")])
    return next((each.version for each in found), "")


def identity() -> list[str]:
    """What determines emulated logits besides model and images: the emulator's file and the contents of the sysroot."""
    try:
        stamp = (sysroot() / _STAMP).read_text(encoding="utf-8", errors="replace")
    except OSError:
        stamp = ""
    return [_emulator() or "", version(), stamp]


def outputs(
    model: Path,
    images: NDArray[np.generic],
    names: Sequence[str] = (OUTPUT_NAME,),
    *,
    threads: int = 1,
    timeout_s: float = 3600.0,
) -> dict[str, NDArray[np.float32]]:
    """Outputs of the ONNX file `model` on an ARM CPU.

    images   (N, H, W, 3) uint8, N >= 1.
    returns  (N, ...) float32 for each of `names`. About 100 to 300 times slower than native.
    raises   EmulationError if the emulator is missing, fails, or takes longer than `timeout_s`; BackendError if the
             aarch64 onnxruntime rejects the model.
    """
    obstacle = missing()
    emulator = _emulator()
    if obstacle is not None or emulator is None:
        why = obstacle or Missing("qemu vanished", "install it again")
        raise EmulationError(f"{model}: cannot emulate ARM: {why.reason}; {why.remedy}")
    with temporary_folder() as folder:
        np.save(folder / "images.npy", images, allow_pickle=False)
        script = Path(__file__).with_name("onnx_outputs.py")
        arguments = [script, model.resolve(), folder / "images.npy", folder, threads, *names]
        _run([*_guest_python(emulator, sysroot()), *map(str, arguments)], model, timeout_s)
        return {name: _read(folder / f"{name}.npy", name, len(images), model) for name in names}


def _emulator() -> str | None:
    return next((path for name in _EMULATORS if (path := shutil.which(name))), None)


def _guest_python(emulator: str, root: Path) -> list[str]:
    libraries = f"{root}/lib/aarch64-linux-gnu:{root}/usr/lib/aarch64-linux-gnu"
    variables = {
        "PYTHONHOME": f"{root}/usr",
        "PYTHONPATH": f"{root}/site",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": libraries,
        "ORT_DISABLE_TELEMETRY": "1",
    }
    settings = [part for name, value in variables.items() for part in ("-E", f"{name}={value}")]
    return [emulator, "-cpu", _CPU, "-L", str(root), *settings, f"{root}/{_PYTHON}", "-P", "-s"]


def _run(command: list[str], model: Path, timeout_s: float) -> None:
    # the host's PYTHON* and LD_* settings mean nothing to the guest, and can break it
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_", "QEMU_"))}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, env=kept, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EmulationError(
            f"{model}: emulation did not finish within {timeout_s:g} s; lower bench.emulated_images"
        ) from error
    except OSError as error:
        raise EmulationError(f"{model}: cannot start {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        tail = " ".join(done.stderr.split()[-40:])
        if done.returncode == _REFUSED:
            raise BackendError(f"{model}: onnxruntime for ARM rejects it: {tail or 'no message'}")
        raise EmulationError(f"{model}: emulation ended with status {done.returncode}: {tail or 'no message'}")


def _read(path: Path, name: str, images: int, model: Path) -> NDArray[np.float32]:
    try:
        found = read_array(path)
    except UnreadableArray as error:
        raise EmulationError(f"{model}: emulation ended without {name}: {error}") from error
    if found.dtype != np.float32 or found.ndim < 2 or found.shape[0] != images:
        raise EmulationError(f"{model}: expected float32 {name} ({images}, ...); found {found.dtype} {found.shape}")
    return np.asarray(found, dtype=np.float32)
