"""The record of the bench stage for one target: plain frozen values, read and written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgetl.bench.machine import Machine
from edgetl.bench.quiet import Conditions
from edgetl.files.documents import read_document, write_document
from edgetl.tasks.quality import QualityRecord
from edgetl.types import PRECISIONS, ClassRecall, ColdStart, Estimate, Interval, Precision

BENCH_FILE = "bench.json"
PREDICTIONS_FILE = "predictions.safetensors"
LATENCY_FILE = "latency.safetensors"


@dataclass(frozen=True)
class Latency:
    """Time of one image, in milliseconds. A quantile is None if there are too few runs for its interval.

    p99_ms        without an interval if there are too few rounds for a valid one (`time_stats.p99`)
    round_spread  how unsteady the machine was: interquartile range of the rounds' medians over the median
    """

    p50_ms: Interval | None
    p90_ms: Interval | None
    p99_ms: Estimate | None
    runs: int
    threads: int
    round_spread: float | None = None


@dataclass(frozen=True)
class OfLength:
    """Time of one text of `tokens` tokens, padding included.

    texts    validation texts of this length
    speedup  over the float32 build, timed in the same rounds; None for itself
    """

    tokens: int
    texts: int
    p50_ms: Interval | None
    speedup: Interval | None


@dataclass(frozen=True)
class HostCheck:
    """How far an emulated build's predictions on this machine's CPU are from those under emulation.

    emulated_images  images run both ways; the accuracy uses the emulated predictions for these
    same             the number of them with the same class in both
    max_abs_diff     largest difference of a logit
    undecided        other validation images with classes closer than twice that: the target's predictions for them are
                     unknown, and the intervals of the accuracy include both
    most_top1        if all of these are predicted as well as possible: a fraction, and the drop_points of that case
    least_drop_points
    most_recall      the same for every class; None for one without images
    least_recall_drop_points
    """

    emulated_images: int
    same: int
    max_abs_diff: float
    undecided: int
    most_top1: float
    least_drop_points: float
    most_recall: tuple[float | None, ...] = ()
    least_recall_drop_points: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class BuildBench:
    """One build of a target. Values that were not measured are None.

    placement    number formats of the compute operators as the runtime reports them, for example `int8 52, float32 1`
    not_integer  compute operators of an int8 build that do not run in INT8, without those left in float on purpose
    speedup      over the float32 build of the same target, timed in the same rounds
    speedup_over  the same over every other build that was timed
    error        why the build could not be opened or run
    conversions  operators of an int8 build that only convert between float and INT8
    unmeasured   why it could not be measured this time, which says nothing about the build; the next run tries again
    lacking      what this machine lacks to run it, which says nothing about the build: a CPU without bfloat16
    tokens       length of the texts that `latency` is of, the median validation text's; None for other inputs
    by_length    of texts: the time at each length that validation texts have, shortest first
    host         for an emulated build whose accuracy covers all validation images, run on this machine's CPU unless
                 emulated
    """

    precision: Precision
    size_bytes: int
    placement: str | None = None
    not_integer: tuple[str, ...] = ()
    accuracy: QualityRecord | None = None
    latency: Latency | None = None
    speedup: Interval | None = None
    cold_start: ColdStart | None = None
    error: str | None = None
    conversions: int | None = None
    unmeasured: str | None = None
    lacking: str | None = None
    speedup_over: Mapping[Precision, Interval] = field(default_factory=dict)
    host: HostCheck | None = None
    tokens: int | None = None
    by_length: tuple[OfLength, ...] = ()


@dataclass(frozen=True)
class TargetBench:
    """All builds of one target.

    measured  accuracy and latency were taken on the target's own runtime and kind of hardware
    emulated  builds ran under an emulator, on some of the validation images; there is no latency
    reason    why it was not measured, and the step that fixes it; empty if measured
    backend_version  of the runtime that ran: under emulation that of the emulated system
    images    indices (into the validation images) of the predictions, in their order; a build that was emulated on
              fewer images used the first ones
    other_cpu  why latencies are not those of the target's CPU; empty if they are
    labels     class names
    conditions  the load during the timed runs; None if nothing was timed
    """

    target: str
    backend: str
    backend_version: str
    measured: bool
    emulated: bool
    reason: str
    machine: Machine
    images: tuple[int, ...]
    builds: tuple[BuildBench, ...]
    schema: Literal[1] = 1
    other_cpu: str = ""
    labels: tuple[str, ...] = ()
    conditions: Conditions | None = None

    def recalls(self, build: BuildBench) -> dict[str, ClassRecall]:
        """Recalls of a build of this target, by class; empty if its accuracy was not measured."""
        return dict(zip(self.labels, build.accuracy.recalls, strict=False)) if build.accuracy else {}

    @property
    def finished(self) -> bool:
        """Whether every build was measured, or is known not to run here."""
        return all(build.unmeasured is None for build in self.builds)

    def build(self, precision: Precision) -> BuildBench | None:
        """The build of this precision, if there is one."""
        return next((build for build in self.builds if build.precision == precision), None)

    def fastest_float(self) -> BuildBench | None:
        """The build with the lowest p50 among the float builds; None if none was timed."""
        timed = [
            (build.latency.p50_ms.value, build)
            for build in self.builds
            if not PRECISIONS[build.precision].integers and build.latency and build.latency.p50_ms
        ]
        return min(timed, key=lambda pair: pair[0])[1] if timed else None


def write_bench(bench: TargetBench, path: Path) -> None:
    write_document(path, bench)


def read_bench(path: Path) -> TargetBench:
    """Raises EdgetlError if the file is missing or not a bench result of this schema."""
    return read_document(path, TargetBench, "a bench result of schema 1")
