"""What the contract suite runs over: every backend in every precision that all of them have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from backend_pivots import Flavour, pivot

from edgetl.backends.base import BACKENDS, load
from edgetl.types import Backend, Compiled, Engine, FinishingBackend, Precision, Scheme, Target

# The Q/DQ flavour that the backend's hardware takes, as in targets/*.yaml
FLAVOURS: dict[str, Flavour] = {"tensorrt": "s8s8", "tensorrt_rtx": "s8s8"}


@dataclass(frozen=True)
class Case:
    """One backend, one precision, the pivot for it."""

    backend: Backend
    target: Target
    precision: Precision
    flavour: Flavour
    pivot: Path

    def compile(self, out: Path) -> Compiled:
        out.mkdir(parents=True, exist_ok=True)
        return self.backend.compile(self.pivot, self.target, self.precision, out)


@dataclass(frozen=True)
class Built:
    """A case that was compiled into `folder` (and finished, where that takes a GPU)."""

    case: Case
    folder: Path
    compiled: Compiled

    @contextmanager
    def open(self, *, threads: int = 1, folder: Path | None = None) -> Iterator[Engine]:
        case = self.case
        with case.backend.open(folder or self.folder, self.compiled, case.target, threads=threads) as engine:
            yield engine


def any_machine(backend: str, precision: Precision = "float32") -> Target:
    signed = FLAVOURS.get(backend) == "s8s8"
    scheme = Scheme(activation_dtype="int8" if signed else "uint8", activation_symmetric=signed)
    return Target(f"contract-{backend}", "", backend, "any", "none", (precision,), scheme)


CASES = tuple((name, precision) for name in BACKENDS for precision in ("float32", "int8"))
CASE_IDS = tuple("-".join(case) for case in CASES)


def make_case(name: str, precision: Precision, folder: Path) -> Case:
    """The case with its pivot in `folder`; skips, with the backend's own words, where it cannot compile."""
    backend = load(name)
    missing = backend.missing()
    if missing:
        pytest.skip(f"{name}: {missing.reason}; {missing.remedy}")
    flavour = FLAVOURS.get(name, "u8s8") if precision == "int8" else "float32"
    path = folder / "pivot.onnx"
    onnx.save_model(pivot(flavour), path)
    return Case(backend, any_machine(name, precision), precision, flavour, path)


def build(case: Case, folder: Path) -> Built:
    """Compile (and finish) into `folder`; skips, with the backend's own words, where the result cannot run."""
    obstacle = case.backend.cannot_run(case.target, case.precision)
    if obstacle:
        pytest.skip(f"{case.backend.name}: {obstacle.reason}; {obstacle.remedy}")
    compiled = case.compile(folder)
    if isinstance(case.backend, FinishingBackend) and not compiled.finished:
        compiled = case.backend.finish(folder, compiled, case.target)
    return Built(case, folder, compiled)
