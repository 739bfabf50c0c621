"""`report.json`: what was built and how well it does, for programs. Within schema 1, fields are only added.

Accuracies are fractions, differences percentage points, times milliseconds, sizes bytes. Null means not measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from edgetl.adapt.detection.record import DetectorAdaptation
from edgetl.adapt.record import Adaptation
from edgetl.bench.machine import Machine
from edgetl.bench.measurement import Harness
from edgetl.bench.repair_record import Repair
from edgetl.checks.model import Checks
from edgetl.errors import EdgetlError
from edgetl.files.durable import write_text
from edgetl.files.json_file import TolerantModel, first_problem
from edgetl.report.detection.model import ObjectScores
from edgetl.report.heads import HeadScore
from edgetl.tasks.base import TaskName
from edgetl.types import FrontName, Precision, Verdict

SCHEMA = 1
FILE_NAME = "report.json"

DeviceMatch = Literal["this bundle", "another build", "another bundle"]


def _or_none(value: Any) -> Any:
    return value or None  # earlier reports have an empty object


class Recall(TolerantModel):
    """How many images of one class a build recognizes, and the float network on the same images. Null: no images."""

    label: str
    images: int
    recall: float | None = None
    recall_low: float | None = None
    """Lower end of the 95 % Wilson interval, widened if predictions of an absent CPU are undecided."""
    recall_high: float | None = None
    float_recall: float | None = None
    float_recall_low: float | None = None
    float_recall_high: float | None = None
    drop_points: float | None = None
    """Recall of the float network minus the build's, paired, in points."""
    drop_points_low: float | None = None
    drop_points_high: float | None = None


class Caution(TolerantModel):
    """A warning to read before the numbers. Empty `targets`: it concerns all of them."""

    kind: Literal["busy machine", "threads", "gate out of reach"]
    targets: tuple[str, ...] = ()
    sentence: str


class Scored(TolerantModel):
    """How well a network does."""

    score: float | None = None
    """The task's first metric, which is gated: `metric` of the report."""
    score_low: float | None = None
    score_high: float | None = None
    top1: float | None = None
    """Share of the images classified correctly, of a classifier."""
    top1_low: float | None = None
    """Lower end of the 95 % Wilson interval."""
    top1_high: float | None = None
    macro_f1: float | None = None
    """Of a classifier."""
    macro_f1_low: float | None = None
    macro_f1_high: float | None = None
    detection: ObjectScores | None = None
    """Of a detector."""
    heads: tuple[HeadScore, ...] = Field(default=(), exclude_if=lambda heads: not heads)
    """Of several heads; then `score` is the lowest top-1 of a head, and `drop_points` the largest loss."""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_reports(cls, values: Any) -> Any:
        if isinstance(values, dict) and "score" not in values:
            return values | {f"score{end}": values.get(f"top1{end}") for end in ("", "_low", "_high")}
        return values


class Reference(Scored):
    """The adapted float network in torch, on all validation images."""

    score: float
    score_low: float
    score_high: float
    images: int
    recalls: tuple[Recall, ...] = ()
    """For every class, in the order of `classes`; `recall` and `float_recall` are the same here. Empty for a
    detector, whose recall depends on its working point."""


class Gate(TolerantModel):
    """One gate on one build. `limit` and `value` are in the unit of the recipe key `gate`."""

    gate: str
    label: str | None = None
    """The class, for a gate on recall."""
    limit: float
    value: float | None
    verdict: Verdict
    reason: str


class Figures(Scored):
    """The measurements of one build. `drop_points` is the float network's score minus the build's, paired."""

    images: int | None = None
    """Validation images behind the accuracies; fewer than all if only emulated ones count."""
    emulated_images: int | None = None
    """Images run under emulation, if this machine's CPU ran the others; else null."""
    emulated_same: int | None = None
    """Emulated images for which this machine's CPU predicts the same class as emulation."""
    undecided_images: int | None = None
    """Images whose prediction may differ on the target's CPU; the intervals of the accuracies include both."""
    drop_points: float | None = None
    drop_points_low: float | None = None
    drop_points_high: float | None = None
    recalls: tuple[Recall, ...] = ()
    """Of a classifier, for every class, in the order of `classes`; empty if accuracy was not measured."""
    agreement: float | None = None
    """Share of images on which the build predicts the same class as the float network."""
    max_abs_diff: float | None = None
    """Largest difference of a logit to the float network, of a classifier."""
    mean_cosine: float | None = None
    p50_ms: float | None = None
    p50_ms_low: float | None = None
    p50_ms_high: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    p99_ms_low: float | None = None
    """Null beside a `p99_ms`: too few runs for a valid interval, so p99 is an indication."""
    p99_ms_high: float | None = None
    runs: int | None = None
    threads: int | None = None
    round_spread: float | None = None
    """Interquartile range of the rounds' median times over the median: how unsteady the machine was."""
    speedup: float | None = None
    """Median time of the float32 build over this one's, timed in the same rounds."""
    speedup_low: float | None = None
    speedup_high: float | None = None
    cold_start_ms: float | None = None
    """Opening and the first inference in a fresh process, the runtime's own start included."""
    peak_rss_bytes: int | None = None
    """Memory that opening and the first inference add to an idle process."""
    baseline_rss_bytes: int | None = None
    """Memory of that idle process."""
    size_bytes: int | None = None
    placement: str | None = None
    """Number formats in which the runtime really runs convolutions and matrix products, with counts."""
    not_integer: tuple[str, ...] = ()
    """Convolutions and matrix products of an int8 build that do not run in INT8, without those left in float on
    purpose."""
    conversions: int | None = None
    """Operators of an int8 build that only convert between float and INT8; 2 are the ends of the network."""
    error: str | None = None
    """Why the build could not be opened or run."""
    unmeasured: str | None = None
    """Why it could not be measured this time (a time limit, an emulator that failed); the next build tries again."""


class Build(Figures):
    """One build of a target, shipped or not."""

    precision: Precision
    verdict: Verdict
    reason: str
    gates: tuple[Gate, ...] = ()


class Surgery(TolerantModel):
    """A network without the parts that INT8 runtimes compute in float, as one more candidate."""

    activations: int
    """Smooth activations (hard-swish, SiLU, GELU) that became ReLU or ReLU6."""
    gates: int
    """Squeeze-and-excitation gates that became constants."""
    epochs: int
    """Epochs of distillation that were kept."""
    agreement: float
    """Share of the shots for which it predicts the same class as the original network."""
    sentence: str


class Bundle(Figures):
    """One target and the build that ships for it. The figures are those of the shipped build."""

    target: str
    backend: str
    backend_version: str = ""
    precision: Precision | None
    """Null if no build could run at all."""
    path: str | None
    """The bundle's folder."""
    bundle_sha256: str | None = None
    """SHA-256 of the bundle's manifest.json, which holds the digests of its files."""
    measured: bool
    emulated: bool
    not_measured_reason: str = ""
    other_cpu: str = ""
    """Why the latencies are not those of the target's CPU; empty if they are, or if there are none."""
    cautions: tuple[str, ...] = ()
    """Reasons to doubt the latencies: a busy machine, more threads than cores."""
    waited: float | None = None
    """Share of the time that timed runs waited for a core."""
    stolen: float | None = None
    """Share of the CPU time that the machine's host took for others during the runs."""
    float_p50_ms: float | None = None
    verdict: Verdict
    reason: str
    why: str = ""
    """How the build was chosen."""
    builds: tuple[Build, ...] = ()
    repair: Repair | None = None
    """The repair, if INT8 missed an accuracy gate."""
    surgery: Surgery | None = None
    """The build `simplified`, if INT8 was slower than float because of parts that runtimes compute in float."""


class Device(TolerantModel):
    """One bundle as measured on a device, from a file given with --device."""

    file: str
    match: DeviceMatch
    """this bundle: one of `bundles`, byte for byte; another build: same target and precision, different digest; another
    bundle: not in this report."""
    bundle: str
    """The bundle's folder on the device."""
    bundle_sha256: str
    target: str
    precision: Precision
    backend: str
    backend_version: str
    """Version of the runtime on the device."""
    harness: Harness
    created: str
    """Date and time on the device, ISO 8601; empty when its clock was never set."""
    machine: Machine
    size_bytes: int
    runs: int
    threads: int
    p50_ms: float | None = None
    p50_ms_low: float | None = None
    p50_ms_high: float | None = None
    p90_ms: float | None = None
    p90_ms_low: float | None = None
    p90_ms_high: float | None = None
    p99_ms: float | None = None
    p99_ms_low: float | None = None
    p99_ms_high: float | None = None
    detect_p50_ms: float | None = None
    """Of a detector: from the decoded image to its objects, resize and postprocess included."""
    detect_p50_ms_low: float | None = None
    detect_p50_ms_high: float | None = None
    images: int
    """Labeled images behind the score."""
    score: float | None = None
    """Of the report's `metric`."""
    score_low: float | None = None
    score_high: float | None = None
    top1: float | None = None
    """The same of a classifier."""
    top1_low: float | None = None
    top1_high: float | None = None
    cold_start_ms: float | None = None
    """Opening the bundle and the first inference in a fresh process."""
    peak_rss_bytes: int | None = None
    """Memory that this adds to an idle process."""
    baseline_rss_bytes: int | None = None
    clock_mhz_before: float | None = None
    """Clock of the first core, right before the timed runs."""
    clock_mhz_after: float | None = None
    temperature_c_before: float | None = None
    """Temperature of the hottest thermal zone."""
    temperature_c_after: float | None = None


class Quantized(TolerantModel):
    """How the network of one number scheme was made."""

    scheme: str
    targets: tuple[str, ...]
    """Targets that use it."""
    method: Literal["ptq", "qat"]
    """ptq: calibrated only. qat: quantization-aware training."""
    decision: str = ""
    """Why, if the recipe left the choice to the validation images."""
    calibration_images: int
    epochs: int = 0
    """Epochs of training, whether it was kept or rolled back."""


class Stage(TolerantModel):
    """One step of the build. A reused step gives the time and memory of the original run."""

    stage: str
    what: str = ""
    """Its target or number scheme, if there are several."""
    seconds: float
    peak_rss_bytes: int
    reused: bool


class SkippedFile(TolerantModel):
    path: str
    reason: str


class Data(TolerantModel):
    """The split."""

    shots: int
    val: int
    shots_per_class: tuple[int, ...]
    """Images, or labeled objects of a detector."""
    val_per_class: tuple[int, ...]
    resize: str
    """How images are resized; empty for sounds."""
    resize_reason: str
    clips: str = ""
    """Lengths and rate of sounds, in words."""
    digest: str
    skipped: tuple[SkippedFile, ...]


class Report(TolerantModel):
    """All results of one `edgetl build`."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    name: str
    task: TaskName = "classification"
    front: FrontName = "image"
    metric: str = "top-1"
    """Name of every `score`: `top-1`, or `AP` of a detector."""
    created: str = ""
    """Date and time of the build, ISO 8601; empty when not given."""
    summary: str = ""
    """How many targets pass and how many were not measured, in one sentence."""
    cautions: tuple[Caution, ...] = ()
    """Warnings to read before the numbers."""
    verdict: Verdict
    """fail if a target fails, else not measured if one is, else pass."""
    recipe: dict[str, Any]
    classes: tuple[str, ...]
    reference: Reference
    bundles: tuple[Bundle, ...]
    data: Data
    checks: Checks | None = None
    """The findings of `edgetl check`. A finding `refuse` in a finished build was allowed by `check.allow_leak`."""
    adapt: Annotated[Adaptation | DetectorAdaptation | None, BeforeValidator(_or_none)] = None
    """How the network was adapted; null where nothing was recorded."""
    quantized: tuple[Quantized, ...] = ()
    float16: str = ""
    """How far the network's values on the shots are from float16's maximum, if a target has float16 builds."""
    parity: dict[str, Any] = Field(default={})
    """Per pivot model: how close ONNX and torch are on real images."""
    stages: tuple[Stage, ...] = ()
    versions: dict[str, str] = Field(default={})
    machine: Machine | None = None
    devices: tuple[Device, ...] = ()
    """Measurements on devices, if files were given with --device."""


def write_report(report: Report, path: Path) -> None:
    """Write `report.json` atomically: a reader sees the old one or the complete new one."""
    write_text(path, report_text(report))


def report_text(report: Report) -> str:
    return report.model_dump_json(indent=1, by_alias=True) + "\n"


def read_report(path: Path) -> Report:
    """Raises EdgetlError if the file is missing or not a report of schema 1."""
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EdgetlError(f"{path}: cannot read the report: {error.strerror}") from error
    except ValidationError as error:
        raise EdgetlError(f"{path}: not a report of schema {SCHEMA}: {first_problem(error)}") from error


def report_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of report.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(mode="serialization"),
        "title": "edgetl report",
    }
