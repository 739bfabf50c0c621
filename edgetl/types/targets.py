"""Targets and calibration profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from edgetl.types.ports import STRICT
from edgetl.types.precision import Precision

InstructionSet = Literal["avx2", "avx512", "vnni", "avx_vnni", "bf16", "amx", "neon", "dotprod", "i8mm", "sve"]
OperatorName = Literal["conv", "linear", "add", "mul", "pool", "mean", "concat"]


@dataclass(frozen=True)
class Scheme:
    """How numbers become integers: real = scale * (q - zero_point), Jacob et al. 2018, arXiv:1712.05877, eq. 1.

    activation_dtype      "uint8" or "int8", one scale per tensor; "dynamic" is uint8 whose scale and zero point the
                          runtime takes from each tensor as it comes, for texts
    activation_symmetric  zero_point fixed: 0 for int8
    weight_granularity    "channel" (one scale per output channel) or "tensor"; weights are int8, symmetric
    weight_pairs_in_int16 limits neighboring weights so that a pair sum with uint8 stays within int16, for CPUs without
                          VNNI; depthwise convolutions, which form no such sums, keep the full range
    operators             the operators that get Q/DQ on their inputs; their order has no meaning
    """

    __pydantic_config__: ClassVar = STRICT

    activation_dtype: Literal["uint8", "int8", "dynamic"]
    activation_symmetric: bool
    weight_granularity: Literal["channel", "tensor"] = "channel"
    weight_pairs_in_int16: bool = False
    operators: tuple[OperatorName, ...] = get_args(OperatorName)

    @property
    def is_dynamic(self) -> bool:
        """Whether no ranges are observed."""
        return self.activation_dtype == "dynamic"


@dataclass(frozen=True)
class Target:
    """A piece of hardware to compile for. One YAML file in `targets/`.

    Optional keys that distinguish its CPU from others of the same `machine`:
    cpu_with     instruction sets, at least one of which its CPUs have, by the names of `edgetl.bench.machine`
    cpu_without  instruction sets that they lack
    cpu_part     the part number of all its ARM cores, as in /proc/cpuinfo
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    summary: str
    backend: str
    machine: Literal["x86_64", "aarch64", "any"]
    accelerator: Literal["none", "cuda"]
    precisions: tuple[Precision, ...]
    scheme: Scheme
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    notes: str = ""
    cpu_with: tuple[InstructionSet, ...] = ()
    cpu_without: tuple[InstructionSet, ...] = ()
    cpu_part: str = ""


@dataclass(frozen=True)
class CalibrationProfile:
    """How activation ranges are observed. One YAML file in `calibration/`.

    images      at most this many calibration images, drawn from the shots class by class in turn
    observer    "min-max", "percentile", "entropy" (KL, Migacz 2017) or "mse"
    percentile  of |x| without exact zeros, used by "percentile" only
    views       augmented views per image for the observers, in addition to the plain one
    raises      ValueError for invalid numbers
    """

    name: str
    summary: str
    images: int
    observer: Literal["min-max", "percentile", "entropy", "mse"]
    percentile: float = 99.99
    views: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for key, possible, expected in (
            ("images", self.images >= 1, "at least 1"),
            ("percentile", 0 < self.percentile <= 100, "above 0 and at most 100"),
            ("views", self.views >= 0, "at least 0"),
            ("seed", self.seed >= 0, "at least 0"),
        ):
            if not possible:
                raise ValueError(f"`{key}`: expected {expected}, found {getattr(self, key)}")
