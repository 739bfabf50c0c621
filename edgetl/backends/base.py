"""The table of backends, and the capabilities of each on this machine. Imports no SDK."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from edgetl.errors import UsageError
from edgetl.files.text import nearest
from edgetl.types import Backend, Missing, Precision, Scheme, Target


@dataclass(frozen=True)
class About:
    """The properties of a backend that are known before its module is imported.

    where            "module:Class"; the module is imported when the backend is first used
    extra            the extra of edgetl that installs its Python package; "" if edgetl itself requires the package
    gives_zeros      it always predicts zeros, so that its measurements say nothing about a network
    parses_onnx      its toolchain parses the `.onnx` files of a bundle
    runs_onnx        its model is an ONNX file, whatever its name, and ONNX Runtime runs that file
    """

    where: str
    extra: str = ""
    gives_zeros: bool = False
    parses_onnx: bool = False
    runs_onnx: bool = False


BACKENDS: dict[str, About] = {
    "null": About("edgetl.backends.null:NullBackend", gives_zeros=True),
    "onnxruntime": About("edgetl.backends.onnxruntime:OnnxRuntimeBackend", parses_onnx=True, runs_onnx=True),
    "openvino": About("edgetl.backends.openvino:OpenVinoBackend"),
    "tensorrt": About("edgetl.backends.tensorrt:TensorRTBackend", extra="tensorrt", parses_onnx=True),
    "tensorrt_rtx": About("edgetl.backends.tensorrt_rtx:TensorRTRTXBackend", extra="rtx"),
}


@dataclass(frozen=True)
class Diagnosis:
    """The capabilities of one backend on this machine.

    version     of the installed toolchain; "" if it is missing
    missing     None if it compiles here
    cannot_run  None if it runs models here that were compiled for this kind of machine
    """

    backend: str
    version: str
    missing: Missing | None
    cannot_run: Missing | None


def about(name: str) -> About:
    """The row of the backend named `name`. Raises UsageError naming the nearest."""
    if name not in BACKENDS:
        raise UsageError(f"unknown backend `{name}`; {nearest(name, BACKENDS)}")
    return BACKENDS[name]


def load(name: str) -> Backend:
    """The backend named `name`; imports its module. Raises UsageError naming the nearest."""
    module, _, class_name = about(name).where.partition(":")
    backend: Backend = getattr(importlib.import_module(module), class_name)()
    return backend


def cannot_use(target: Target, precision: Precision | None = None) -> Missing | None:
    """None if builds of `target` can be compiled and run here; else the reason. Imports no SDK.

    If a build exists already, the backend's own `cannot_run` says whether it runs.
    """
    backend = load(target.backend)
    return backend.cannot_run(target, precision) or backend.missing()


def diagnose() -> tuple[Diagnosis, ...]:
    """Every backend, in the order of the table. Imports no SDK; loads the CUDA driver if there is one."""
    return tuple(_diagnose(name) for name in BACKENDS)


def _diagnose(name: str) -> Diagnosis:
    backend = load(name)
    return Diagnosis(name, backend.version(), backend.missing(), backend.cannot_run(_any_target(name)))


def _any_target(backend: str) -> Target:
    scheme = Scheme(activation_dtype="int8", activation_symmetric=True)
    return Target(f"any {backend}", "", backend, machine="any", accelerator="none", precisions=(), scheme=scheme)
