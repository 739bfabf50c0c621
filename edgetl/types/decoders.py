"""The graph of a language model: its ports, and the sizes that they follow from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from edgetl.types.ports import STRICT

TOKENS, LOGITS = "tokens", "logits"
_Count = Annotated[int, Ge(1), Le(100_000)]


@dataclass(frozen=True)
class DecoderShape:
    """`tokens` int64 (1, T) and `past.<layer>.key|value` float32 (1, heads, P, size) -> `logits` float32
    (1, T, vocabulary) and `present.<layer>.key|value` (1, heads, P + T, size); T from 1, P from 0, P + T <= context.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    layers: _Count
    heads: _Count
    size: _Count
    vocabulary: Annotated[int, Ge(2), Le(10_000_000)]
    context: Annotated[int, Ge(2), Le(1 << 20)]

    def past(self) -> list[str]:
        return self._names("past")

    def present(self) -> list[str]:
        return self._names("present")

    def _names(self, kind: str) -> list[str]:
        return [f"{kind}.{layer}.{part}" for layer in range(self.layers) for part in ("key", "value")]
