"""The contract of a backend and of the engine it opens."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from edgetl.types.ports import STRICT
from edgetl.types.precision import Precision
from edgetl.types.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Tensors = Mapping[str, NDArray[np.generic]]

IMAGE_INPUT = "image"  # uint8 (N, H, W, 3), RGB
OUTPUT_NAME = "logits"  # float32 (N, classes)
INPUT_NAMES = {"uint8": IMAGE_INPUT, "int16": "audio", "int32": "tokens", "float32": "series"}
"""Names of the ports by which examples of each front enter a network, by their element types."""


def fed(examples: NDArray[np.generic]) -> dict[str, NDArray[np.generic]]:
    """A batch, (N, ...), as the input of an engine."""
    return {INPUT_NAMES[examples.dtype.name]: examples}


@dataclass(frozen=True)
class Missing:
    """Why something cannot be used here, and the command or step that fixes it."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class Compiled:
    """The files that a backend wrote into a folder, and the values it needs to open them again.

    finished  False if the last step can only run on the device (a TensorRT engine)
    facts     settings and versions that the backend needs again, as plain strings
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
        """The convolutions and matrix products, which take most of the time."""
        return tuple(op for op in self.operators if op.kind in ("convolution", "linear"))

    def not_integer(self) -> tuple[Operator, ...]:
        """Convolutions and matrix products that do not run in 8-bit integers."""
        return tuple(op for op in self.compute() if op.precision not in ("int8", "uint8"))

    def conversions(self) -> tuple[Operator, ...]:
        """Operators that only convert between float and INT8: pairs that no INT8 operator absorbed, and the two ends of
        the network."""
        return tuple(op for op in self.operators if op.kind in ("quantize", "dequantize"))

    def summary(self) -> str:
        """The number formats of the compute operators with their counts, most frequent first: `int8 52, float32 1`."""
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
        """Version of the installed toolchain, from package metadata; "" if missing. Imports no SDK."""
        ...

    def missing(self) -> Missing | None:
        """None if `compile` works here. Fast, imports no SDK."""
        ...

    def cannot_run(self, target: Target, precision: Precision | None = None) -> Missing | None:
        """None if `open` works here for this target; else why not (other CPU, no GPU). Fast, imports no SDK.

        With a `precision`, also whether this machine supports it: not every CPU computes in bfloat16.
        """
        ...

    def compile(self, pivot: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        """Write the model for `target` into the existing folder `out`. Raises BackendError if refused."""
        ...

    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> AbstractContextManager[Engine]:
        """Open the result of `compile`. `threads` >= 1 intra-op threads. Raises BackendError."""
        ...


@runtime_checkable
class FinishingBackend(Backend, Protocol):
    """A toolchain whose last step runs on the device: its `compile` returns `finished=False`."""

    def finish(self, folder: Path, compiled: Compiled, target: Target) -> Compiled:
        """Do the last step in `folder`, or repeat it for another device. Raises BackendError."""
        ...
