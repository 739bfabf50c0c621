"""What `quantization.py` compares: the targets, and on each of them edgetl's ways to quantize and the alternatives.

The standard case is three unchanged targets. Builds for ARM are emulated, which is feasible for few images only, so
their files also run on all images on this CPU. The hard cases are those in which plain calibration is known to lose:
signed activations around zero, ten calibration images, and CPUs without VNNI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import yaml

from edgetl.files.durable import write_text
from edgetl.recipes.targets import load_profile, load_target

FLOAT, BFLOAT16, PTQ, QAT, REPAIRED, SHIPPED = "float32", "bfloat16", "ptq", "qat", "qat + repair", "shipped"
STATIC = tuple(f"quantize_static {name}" for name in ("minmax", "percentile", "entropy"))
STATIC_ON_ARM = "quantize_static"
"""The one of `STATIC` that was best on the x86 CPU: all of them would be hours of emulation."""
NNCF = ("nncf performance", "nncf mixed")
NNCF_CONTROLLED = "nncf accuracy control"
SATURATING_OURS = "x86-cpu qat, saturating"
SATURATING_STATIC = "quantize_static, saturating"
"""Builds for a CPU with VNNI as one without it would answer: computed, not run."""

FAMILIES: Mapping[str, str] = {
    **dict.fromkeys(STATIC, "quantize_static"),
    **dict.fromkeys(NNCF, "nncf"),
    NNCF_CONTROLLED: NNCF_CONTROLLED,
}
"""Alternative -> the column it competes in; of a column the most accurate one is shown."""
COMPETING = (*FAMILIES, STATIC_ON_ARM)
"""What edgetl's builds are held against."""

SIGNED_TARGET, FEW_PROFILE = "signed-cpu", "ten-images"
FEW_IMAGES = 10


@dataclass(frozen=True)
class Case:
    """methods  per target, in the order they are made
    symmetric, reduce_range  of the alternatives, so that they meet the same hardware
    images  most calibration images of all methods; None: edgetl's profile, and all shots for the alternatives
    here    builds of the standard case answer all images on this CPU, which is not theirs
    """

    name: str
    title: str
    methods: Mapping[str, tuple[str, ...]]
    profile: str = "default"
    symmetric: bool = False
    reduce_range: bool = False
    images: int | None = None
    hard: bool = True
    here: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self.methods)


STANDARD = Case(
    "standard",
    "Standard targets",
    {
        "x86-cpu": (SHIPPED, FLOAT, PTQ, QAT, REPAIRED, *STATIC),
        "intel-cpu": (SHIPPED, FLOAT, BFLOAT16, PTQ, QAT, REPAIRED, *NNCF, NNCF_CONTROLLED),
        "arm64-cpu": (SHIPPED, PTQ, QAT, STATIC_ON_ARM),
    },
    hard=False,
)
ARM_HERE = Case(
    "arm here",
    "Builds for ARM on this CPU, all validation images",
    {"arm64-cpu": (SHIPPED, PTQ, QAT, STATIC_ON_ARM)},
    hard=False,
    here=True,
)
SIGNED = Case(
    "signed",
    "Signed activations around zero (ONNX Runtime)",
    {SIGNED_TARGET: (SHIPPED, PTQ, QAT, REPAIRED, *STATIC)},
    symmetric=True,
)
FEW = Case(
    "few images",
    f"{FEW_IMAGES} calibration images",
    {"x86-cpu": (SHIPPED, PTQ, QAT, *STATIC), "intel-cpu": (SHIPPED, PTQ, QAT, *NNCF)},
    profile=FEW_PROFILE,
    images=FEW_IMAGES,
)
NO_VNNI = Case(
    "no vnni",
    "CPU without VNNI",
    {"x86-avx2": (SHIPPED, PTQ, QAT, *STATIC, SATURATING_OURS, SATURATING_STATIC)},
    reduce_range=True,
)
CASES = (STANDARD, ARM_HERE, SIGNED, FEW, NO_VNNI)


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def write_catalog(work: Path) -> tuple[Path, Path]:
    """Write the target and the profile that the hard cases need. Returns the folders of targets and of profiles."""
    targets, profiles = work / "targets", work / "calibration"
    base = load_target("x86-cpu")
    signed = replace(
        base,
        name=SIGNED_TARGET,
        summary="x86-64 CPU with signed activations around zero, ONNX Runtime",
        scheme=replace(base.scheme, activation_dtype="int8", activation_symmetric=True),
    )
    few = replace(load_profile("default"), name=FEW_PROFILE, summary="Few images", images=FEW_IMAGES)
    for folder, value in ((targets, signed), (profiles, few)):
        _write(folder / f"{value.name}.yaml", asdict(value))
    return targets, profiles


def _write(path: Path, values: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(_plain(values), sort_keys=False)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _plain(value: object) -> object:
    """Tuples as lists, because YAML has no tuples."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
