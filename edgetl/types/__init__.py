"""Frozen values that cross package borders. Imports nothing from edgetl and nothing heavy.

Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_points` percentage points; accuracies are fractions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetl.types.data import (
    Box,
    Boxes,
    Clips,
    Conflict,
    FrontName,
    HeadClasses,
    Labels,
    Remark,
    ResizePolicy,
    Sample,
    Skipped,
    Split,
    Trait,
    Truth,
    Windows,
)
from edgetl.types.engines import (
    IMAGE_INPUT,
    INPUT_NAMES,
    OUTPUT_NAME,
    Backend,
    Compiled,
    Engine,
    FinishingBackend,
    Missing,
    Operator,
    Placement,
    fed,
)
from edgetl.types.inputs import (
    TOKENIZER,
    AudioPreprocessing,
    ImagePreprocessing,
    Mel,
    Preprocessing,
    SeriesPreprocessing,
    TextPreprocessing,
    as_image,
    described,
    located,
)
from edgetl.types.measured import ClassRecall, ColdStart, Estimate, Interval, Score, Verdict
from edgetl.types.networks import NetworkSpec, WeightSource
from edgetl.types.ports import ElementType, Port, Signature
from edgetl.types.precision import PRECISIONS, BuildKind, ModelKind, NumberFormat, Precision, Variant
from edgetl.types.progress import Advance, Progress, Silent
from edgetl.types.targets import CalibrationProfile, InstructionSet, OperatorName, Scheme, Target

if TYPE_CHECKING:
    from edgetl.types.engines import Tensors

__all__ = [
    "IMAGE_INPUT",
    "INPUT_NAMES",
    "OUTPUT_NAME",
    "PRECISIONS",
    "TOKENIZER",
    "Advance",
    "AudioPreprocessing",
    "Backend",
    "Box",
    "Boxes",
    "BuildKind",
    "CalibrationProfile",
    "ClassRecall",
    "Clips",
    "ColdStart",
    "Compiled",
    "Conflict",
    "ElementType",
    "Engine",
    "Estimate",
    "FinishingBackend",
    "FrontName",
    "HeadClasses",
    "ImagePreprocessing",
    "InstructionSet",
    "Interval",
    "Labels",
    "Mel",
    "Missing",
    "ModelKind",
    "NetworkSpec",
    "NumberFormat",
    "Operator",
    "OperatorName",
    "Placement",
    "Port",
    "Precision",
    "Preprocessing",
    "Progress",
    "Remark",
    "ResizePolicy",
    "Sample",
    "Scheme",
    "Score",
    "SeriesPreprocessing",
    "Signature",
    "Silent",
    "Skipped",
    "Split",
    "Target",
    "Tensors",
    "TextPreprocessing",
    "Trait",
    "Truth",
    "Variant",
    "Verdict",
    "WeightSource",
    "Windows",
    "as_image",
    "described",
    "fed",
    "located",
]
