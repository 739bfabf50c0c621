"""The inputs and outputs of a deployed network: all that backends and engines know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

STRICT: dict[str, Any] = {"extra": "forbid"}
"""For pydantic, which reads these classes from files: unknown keys are refused."""
ElementType = Literal["uint8", "int16", "int32", "int64", "float32"]
_Size = Annotated[int, Ge(1), Le(100_000_000)] | None


@dataclass(frozen=True)
class Port:
    """One input or output. shape  None is a size that is known only when the network runs: the batch, a length"""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: Annotated[str, MinLen(1), MaxLen(64)]
    dtype: ElementType
    shape: Annotated[tuple[_Size, ...], MinLen(1), MaxLen(6)]

    @property
    def has_open_length(self) -> bool:
        """Whether a size other than the batch is known only when the network runs."""
        return None in self.shape[1:]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join(str(size or '?') for size in self.shape)})"


@dataclass(frozen=True)
class Signature:
    """The ports of a network, in the order of the model file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    inputs: Annotated[tuple[Port, ...], MinLen(1), MaxLen(16)]
    outputs: Annotated[tuple[Port, ...], MinLen(1), MaxLen(16)]

    def __str__(self) -> str:
        return f"{'; '.join(map(str, self.inputs))} -> {'; '.join(map(str, self.outputs))}"
