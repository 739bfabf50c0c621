"""Frozen values that cross package borders. Imports nothing from edgetl and nothing heavy.

Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_points` percentage points; accuracies are fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

from annotated_types import Ge, Le

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tensors = Mapping[str, NDArray[np.generic]]

ResizePolicy = Literal["squash", "crop", "letterbox"]
Precision = Literal["int8", "mixed", "simplified", "float16", "bfloat16", "float32"]
"""The number format of a build.

mixed       INT8 with some layers in float32, chosen by `edgetl.diagnose.repair`
simplified  INT8 of the network without the parts that INT8 runtimes compute in float (`edgetl.quant.simplify`)
"""
Verdict = Literal["pass", "fail", "not measured"]
InstructionSet = Literal["avx2", "avx512", "vnni", "avx_vnni", "bf16", "amx", "neon", "dotprod", "i8mm", "sve"]

INPUT_NAME = "image"  # uint8 (N, H, W, 3), RGB
_Pixels = Annotated[int, Ge(1), Le(8192)]
_Byte = Annotated[int, Ge(0), Le(255)]
_Mean = Annotated[float, Ge(-1e6), Le(1e6)]
_Deviation = Annotated[float, Ge(1e-9), Le(1e6)]
_STRICT: dict[str, Any] = {"extra": "forbid"}
"""For pydantic, which reads these classes from files: unknown keys are refused."""

WITH_INTEGERS: tuple[Precision, ...] = ("int8", "mixed", "simplified")  # compiled from models with Q/DQ pairs
OUTPUT_NAME = "logits"  # float32 (N, classes)


# --- data ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One labeled image file. `path` is absolute; `label` indexes `Split.classes`; `sha256` is of the file's bytes."""

    path: str
    label: int
    sha256: str


@dataclass(frozen=True)
class Skipped:
    """A file that was found but not used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Trait:
    """Information that decoding an image lost or chose.

    kind   pages (`high` of them, the first is read), 16 bit (gray values from `low` to `high`, scaled by 1/257),
           16 bit colour (the high byte is read), channels (`high` stored, three are read), transparent (drawn over
           white), turned (by EXIF), converted (from the color mode in `detail`), profile (not sRGB: ignored)
    """

    path: str
    kind: Literal["pages", "16 bit", "16 bit colour", "channels", "transparent", "turned", "converted", "profile"]
    low: int = 0
    high: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Conflict:
    """One image, byte for byte, under several labels: `paths` and their `labels`. None of them is used."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """A few-shot split: `shots` are for training (and calibration), `val` only for validation. No file is in both.

    croppable  whether `resize: crop` is possible: no image is too elongated for it
    """

    classes: tuple[str, ...]
    shots: tuple[Sample, ...]
    val: tuple[Sample, ...]
    skipped: tuple[Skipped, ...]
    resize: ResizePolicy
    resize_reason: str
    digest: str
    traits: tuple[Trait, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    croppable: bool = True


@dataclass(frozen=True)
class Preprocessing:
    """How a decoded RGB image becomes the network's input.

    Resize and crop to (height, width) uint8 happen outside the graph, `(x / 255 - mean) / std` inside it.
    `crop_pct` is used by `crop` only: the shorter side is resized to round(size / crop_pct), then center cropped.
    `fill` is the RGB padding color of `letterbox`.
    The bounds hold for what is read from a file: a manifest, a pivot; the C++ runtime has the same.
    """

    __pydantic_config__: ClassVar = _STRICT

    height: _Pixels
    width: _Pixels
    resize: ResizePolicy
    mean: tuple[_Mean, _Mean, _Mean]
    std: tuple[_Deviation, _Deviation, _Deviation]
    crop_pct: Annotated[float, Ge(0.05), Le(1)] = 0.875
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    fill: tuple[_Byte, _Byte, _Byte] = (128, 128, 128)


# --- backbones ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WeightSource:
    """The source of pretrained weights, found without torch so that it can be part of a stage's key.

    kind    "local-dir" (timm folder: config.json + model.safetensors), "file" (a checkpoint), "hub" (timm's or
            torchvision's own download, cached by them), "none" (random weights, only when asked for)
    path    the folder or file, absolute; empty for "hub" and "none"
    digest  sha256 of the weights' bytes; empty for "hub" and "none"
    held    for "hub": the contents of the searched folders, for the message of a failed download
    """

    kind: Literal["local-dir", "file", "hub", "none"]
    path: str = ""
    digest: str = ""
    held: str = field(default="", compare=False)


@dataclass(frozen=True)
class NetworkSpec:
    """The values needed to rebuild the adapted network and fill it from a state dict."""

    library: Literal["timm", "torchvision"]
    architecture: str
    model_args: Mapping[str, object]
    num_classes: int
    classifier: str  # name of the layer that gives the logits
    preprocessing: Preprocessing
    surgery: tuple[str, ...] = ()  # parts replaced after adaptation: names of `edgetl.backbones.replaceable`
    licence: str = ""  # of the pretrained weights, as they state it

    @property
    def source(self) -> str:
        """Where the pretrained weights came from, in words."""
        return f"{self.library} {self.architecture}"


# --- targets ------------------------------------------------------------------------------------------------------

OperatorName = Literal["conv", "linear", "add", "mul", "pool", "mean", "concat"]


@dataclass(frozen=True)
class Scheme:
    """How numbers become integers: real = scale * (q - zero_point), Jacob et al. 2018, arXiv:1712.05877, eq. 1.

    activation_dtype      "uint8" or "int8", one scale per tensor
    activation_symmetric  zero_point fixed: 0 for int8
    weight_granularity    "channel" (one scale per output channel) or "tensor"; weights are int8, symmetric
    weight_pairs_in_int16 limits neighboring weights so that a pair sum with uint8 stays within int16, for CPUs without
                          VNNI; depthwise convolutions, which form no such sums, keep the full range
    operators             the operators that get Q/DQ on their inputs; their order has no meaning
    """

    __pydantic_config__: ClassVar = _STRICT

    activation_dtype: Literal["uint8", "int8"]
    activation_symmetric: bool
    weight_granularity: Literal["channel", "tensor"] = "channel"
    weight_pairs_in_int16: bool = False
    operators: tuple[OperatorName, ...] = get_args(OperatorName)


@dataclass(frozen=True)
class Target:
    """A piece of hardware to compile for. One YAML file in `targets/`.

    Optional keys that distinguish its CPU from others of the same `machine`:
    cpu_with     instruction sets, at least one of which its CPUs have, by the names of `edgetl.bench.machine`
    cpu_without  instruction sets that they lack
    cpu_part     the part number of all its ARM cores, as in /proc/cpuinfo
    """

    __pydantic_config__: ClassVar = _STRICT

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


# --- backends -----------------------------------------------------------------------------------------------------


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

    __pydantic_config__: ClassVar = _STRICT

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


# --- measurements -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A value with or without a 95 % interval; without one it is an indication."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ClassRecall:
    """How many images of one class are recognized, by a network and by the float one on the same images.

    recall, float_recall  fractions; drop_points  the float network's minus this one's, paired. All None if the class
                          has no images.
    """

    images: int
    recall: Interval | None
    float_recall: Interval | None
    drop_points: Interval | None


# --- progress -----------------------------------------------------------------------------------------------------


class Progress(Protocol):
    """Receives reports of long work. The command line shows them on stderr; tests and libraries pass `Silent()`."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A labeled piece of work; call the yielded function after each of `total` steps."""
        ...

    def note(self, text: str) -> None:
        """One permanent line."""
        ...


class Advance(Protocol):
    def __call__(self, steps: int = 1, detail: str = "") -> None: ...


if TYPE_CHECKING:
    from pathlib import Path
