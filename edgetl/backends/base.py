"""The table of backends, and the capabilities of each on this machine. Imports no SDK."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from edgetl.errors import UsageError
from edgetl.files.text import nearest
from edgetl.types import Backend, Missing, Scheme, Target

# name -> "module:Class"; the module is imported when the backend is first used
BACKENDS: dict[str, str] = {
    "null": "edgetl.backends.null:NullBackend",
    "onnxruntime": "edgetl.backends.onnxruntime:OnnxRuntimeBackend",
    "openvino": "edgetl.backends.openvino:OpenVinoBackend",
    "tensorrt": "edgetl.backends.tensorrt:TensorRTBackend",
    "tensorrt_rtx": "edgetl.backends.tensorrt_rtx:TensorRTRTXBackend",
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


def load(name: str) -> Backend:
    """The backend named `name`; imports its module. Raises UsageError naming the nearest."""
    if name not in BACKENDS:
        raise UsageError(f"unknown backend `{name}`; {nearest(name, BACKENDS)}")
    module, _, class_name = BACKENDS[name].partition(":")
    backend: Backend = getattr(importlib.import_module(module), class_name)()
    return backend


def answers_nothing(name: str) -> bool:
    """Whether the backend always gives zeros, so that its measurements say nothing about a network."""
    return name == "null"


def diagnose() -> tuple[Diagnosis, ...]:
    """Every backend, in the order of the table. Imports no SDK; loads the CUDA driver if there is one."""
    return tuple(_diagnose(name) for name in BACKENDS)


def _diagnose(name: str) -> Diagnosis:
    backend = load(name)
    return Diagnosis(name, backend.version(), backend.missing(), backend.cannot_run(_any_target(name)))


def _any_target(backend: str) -> Target:
    scheme = Scheme(activation_dtype="int8", activation_symmetric=True)
    return Target(f"any {backend}", "", backend, machine="any", accelerator="none", precisions=(), scheme=scheme)
