"""The precision of a build: its number format, and the variant of the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NumberFormat = Literal["int8", "float16", "bfloat16", "float32"]
Variant = Literal["plain", "mixed", "simplified"]
Precision = Literal["int8", "mixed", "simplified", "float16", "bfloat16", "float32"]
"""The name of a build: its number format, or its variant if that is not the plain one."""
ModelKind = Literal["int8", "mixed", "float16", "float32"]
"""The name of a model in a pivot."""


@dataclass(frozen=True)
class BuildKind:
    """One precision.

    format   of convolutions and matrix products
    model    the kind of the pivot's model that it is compiled from
    variant  mixed       some layers in float32, chosen by `edgetl.diagnose.repair`
             simplified  without the parts that INT8 runtimes compute in float (`edgetl.quant.simplify`)
    made     when a variant is made, which targets cannot ask for
    """

    format: NumberFormat
    model: ModelKind
    variant: Variant = "plain"
    made: str = ""

    @property
    def integers(self) -> bool:
        """Whether it computes in INT8, so that its model has Q/DQ pairs."""
        return self.format == "int8"

    @property
    def all_integer(self) -> bool:
        """Whether no layer is meant to run in float."""
        return self.integers and self.variant != "mixed"

    @property
    def few_bits(self) -> bool:
        """Whether a value has only 8 significant bits."""
        return self.format in ("int8", "bfloat16")


PRECISIONS: dict[Precision, BuildKind] = {
    "int8": BuildKind("int8", "int8"),
    "mixed": BuildKind("int8", "mixed", "mixed", made="if int8 fails its gates"),
    "simplified": BuildKind("int8", "int8", "simplified", made="if int8 is slower than a float build"),
    "float16": BuildKind("float16", "float16"),
    "bfloat16": BuildKind("bfloat16", "float32"),
    "float32": BuildKind("float32", "float32"),
}
"""In order of preference if latency does not decide."""
