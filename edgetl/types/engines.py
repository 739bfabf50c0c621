"""What compiles and what runs: the contract of a backend, and of the engine it opens."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from edgetl.types.data import STRICT
from edgetl.types.precision import Precision
from edgetl.types.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Tensors = Mapping[str, NDArray[np.generic]]

INPUT_NAME = "image"  # uint8 (N, H, W, 3), RGB
OUTPUT_NAME = "logits"  # float32 (N, classes)


@dataclass(frozen=True)
class Missing:
    """Why something cannot be used here, and the command or step that mends it."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class Compiled:
    """What a backend wrote into a folder and needs to know to open it again.

    finished  False when the last step can only run on the device (a TensorRT engine)
    facts     settings and versions as the backend wants to see them again, plain strings
    """

    __pydantic_config__: ClassVar = STRICT

    backend: str
    backend_version: str
    precision: Precision
    model: str  # file name inside the folder
    files: tuple[str, ...]
    finished: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operator:
    """One executed operator as the runtime reports it. `kind` is in lower case: convolution, linear, pooling, ..."""

    name: str
    kind: str
    device: str
    precision: str


@dataclass(frozen=True)
class Placement:
    """Where and in which precision every operator really runs, read back from the opened engine."""

    operators: tuple[Operator, ...]

    def compute(self) -> tuple[Operator, ...]:
        """The convolutions and matrix products: what the time goes into."""
        return tuple(op for op in self.operators if op.kind in ("convolution", "linear"))

    def not_integer(self) -> tuple[Operator, ...]:
        """Convolutions and matrix products that do not run in 8-bit integers."""
        return tuple(op for op in self.compute() if op.precision not in ("int8", "uint8"))

    def conversions(self) -> tuple[Operator, ...]:
        """Operators that only turn floats into integers or back: pairs that no integer operator took in, and the
        network's own two ends."""
        return tuple(op for op in self.operators if op.kind in ("quantize", "dequantize"))

    def summary(self) -> str:
        """The precisions of the compute operators with their counts, most frequent first: `int8 52, float32 1`."""
        counts: dict[str, int] = {}
        for op in self.compute():
            precision = "int8" if op.precision == "uint8" else op.precision
            counts[precision] = counts.get(precision, 0) + 1
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{precision} {count}" for precision, count in ordered) or "none"


class Engine(Protocol):
    """A compiled model, opened and ready to infer."""

    def infer(self, inputs: Tensors) -> Tensors:
        """{"image": uint8 (N, H, W, 3)} -> {"logits": float32 (N, classes)}; returns when outputs are on the host."""
        ...

    def placement(self) -> Placement: ...


class Backend(Protocol):
    """A toolchain: one module in `edgetl/backends/`, one row in `edgetl.backends.base.BACKENDS`."""

    name: str

    def version(self) -> str:
        """Version of the installed toolchain, from package metadata; "" when absent. Imports no SDK."""
        ...

    def missing(self) -> Missing | None:
        """None when `compile` works here. Cheap, imports no SDK."""
        ...

    def cannot_run(self, target: Target, precision: Precision | None = None) -> Missing | None:
        """None when `open` works here for this target; else why not (other CPU, no GPU). Cheap, imports no SDK.

        With a `precision`, also whether this machine has it: not every CPU computes in bfloat16.
        """
        ...

    def compile(self, pivot: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        """Write the model for `target` into the existing folder `out`. Raises BackendError when refused."""
        ...

    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> AbstractContextManager[Engine]:
        """Open what `compile` wrote. `threads` >= 1 intra-op threads. Raises BackendError."""
        ...


@runtime_checkable
class FinishingBackend(Backend, Protocol):
    """A toolchain whose last step runs on the device: its `compile` returns `finished=False`."""

    def finish(self, folder: Path, compiled: Compiled, target: Target) -> Compiled:
        """Do the last step in `folder`, or do it again for another device. Raises BackendError."""
        ...
