"""What a build computes in: its number format, and the variant of the network that it is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NumberFormat = Literal["int8", "float16", "bfloat16", "float32"]
Variant = Literal["plain", "mixed", "simplified"]
Precision = Literal["int8", "mixed", "simplified", "float16", "bfloat16", "float32"]
"""The name of a build: its number format, or the variant where that is not the plain one."""
ModelKind = Literal["int8", "mixed", "float16", "float32"]
"""The name of a model in a pivot."""


@dataclass(frozen=True)
class BuildKind:
    """One precision.

    format         what convolutions and matrix products compute in
    model          the kind of the pivot's model that it is compiled from
    variant        mixed       with the layers in float32 that `edgetl.diagnose.repair` found to cost too much
                   simplified  without the parts that integer runtimes compute in floats (`edgetl.quant.simplify`)
    made           when a variant is made, which no target asks for
    """

    format: NumberFormat
    model: ModelKind
    variant: Variant = "plain"
    made: str = ""

    @property
    def integers(self) -> bool:
        """Whether it computes in integers, so that its model has Q/DQ pairs."""
        return self.format == "int8"

    @property
    def all_integer(self) -> bool:
        """Whether what its runtime computes in floats was not asked for."""
        return self.integers and self.variant != "mixed"

    @property
    def few_bits(self) -> bool:
        """Whether only 8 bits of a value are kept."""
        return self.format in ("int8", "bfloat16")


PRECISIONS: dict[Precision, BuildKind] = {
    "int8": BuildKind("int8", "int8"),
    "mixed": BuildKind("int8", "mixed", "mixed", made="where int8 fails its gates"),
    "simplified": BuildKind("int8", "int8", "simplified", made="where int8 is slower than a float build"),
    "float16": BuildKind("float16", "float16"),
    "bfloat16": BuildKind("bfloat16", "float32"),
    "float32": BuildKind("float32", "float32"),
}
"""In the order in which they are preferred where latency decides nothing."""
