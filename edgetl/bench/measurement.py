"""Measurements of finished bundles: one JSON document, the same from `edgetl bench BUNDLE` and `edgetl-bench`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter

from edgetl.bench.gate_checks import GateCheck
from edgetl.bench.hardware import Hardware
from edgetl.bench.machine import Machine
from edgetl.bench.paced import Paced
from edgetl.bench.quiet import Conditions
from edgetl.bench.steady import WarmUp
from edgetl.types import Estimate, Interval, Precision, Verdict

Harness = Literal["edgetl python", "edgetl c++"]

_STRICT = ConfigDict(extra="forbid", str_max_length=4000)


@dataclass(frozen=True)
class BeforeAfter:
    """A reading of the machine right before and right after the timed runs; None if it cannot be read."""

    __pydantic_config__ = _STRICT

    before: float | None
    after: float | None


@dataclass(frozen=True)
class LabelRecall:
    """How many of a class's images a bundle recognizes; None without images.

    drop_points  the first bundle's recall minus this one's, in points, on the same images; None for the first
    """

    __pydantic_config__ = _STRICT

    label: str
    images: int
    recall: Interval | None
    drop_points: Interval | None


@dataclass(frozen=True)
class LabelPrecision:
    """Average precision of a detector for the objects of one class; None without objects.

    drop_points  the first bundle's AP minus this one's, in points, on the same images; None for the first
    """

    __pydantic_config__ = _STRICT

    label: str
    objects: int
    ap: Interval | None
    drop_points: Interval | None


@dataclass(frozen=True)
class HeadTop1:
    """One of several heads, on the files that are labeled for it. drop_points  as those of the bundle"""

    __pydantic_config__ = _STRICT

    head: str
    images: int
    top1: Interval
    drop_points: Interval | None


@dataclass(frozen=True)
class LengthTime:
    """The network alone, on a text that is filled up to so many tokens."""

    __pydantic_config__ = _STRICT

    tokens: int
    p50_ms: Interval | None


@dataclass(frozen=True)
class BundleMeasurement:
    """One bundle on one machine.

    bundle_sha256    SHA-256 of manifest.json, which holds the digests of all other files
    backend_version  of the runtime that was timed
    placement        number formats of the compute operators; None if the harness cannot ask the runtime
    images           labeled ones; 0 without --data
    metric, score    the task's first metric on them: `top-1`, `AP`; None without labeled images
    top1             of a classifier: the same
    ratio            median time of the first bundle over this one's, timed in the same rounds; None for the first
    cold_start_ms    opening the bundle and the first inference in a fresh process, the runtime's own start included
    peak_rss_bytes   memory that this adds to an idle process, which holds baseline_rss_bytes
    recalls          of every class, of a classifier; precisions, of a detector; empty without labeled images
    drop_points      score of the first bundle minus this one's, in points, on the same images; None for the first
    round_spread     interquartile range of the rounds' median times over the median: how unsteady the machine was
    repeat_p50_ms    of each repeat of the whole measurement, in order; empty if there was only one
    detect_p50_ms    of a detector: from the decoded image to its objects, resize and postprocess included; None if it
                     was not measured
    by_length        of a network of texts, the shortest first; empty if it was not measured
    heads            of several; then `score` is the lowest of their top-1
    tokenize_p50_ms  from a text to its tokens, apart from the network; None if it was not measured
    p99_ms           without ends it is an indication: too few runs for a valid interval
    p999_ms          p99.9; None with fewer runs than its interval needs
    runs_for_p99, runs_for_p999  runs from which these have an interval on a machine that drifts as this one did
    warm_up          None if the number of warm-up runs was given
    paced            under paced arrivals (--rate)
    """

    __pydantic_config__ = _STRICT

    bundle: str
    bundle_sha256: str
    target: str
    precision: Precision
    backend: str
    backend_version: str
    placement: str | None
    size_bytes: int
    p50_ms: Interval | None
    p90_ms: Interval | None
    p99_ms: Estimate | None
    runs: int
    threads: int
    images: int
    top1: Interval | None
    ratio: Interval | None
    cold_start_ms: float | None
    peak_rss_bytes: int | None
    baseline_rss_bytes: int | None
    recalls: tuple[LabelRecall, ...] = ()
    drop_points: Interval | None = None
    round_spread: float | None = None
    repeat_p50_ms: tuple[float, ...] = ()
    detect_p50_ms: Interval | None = None
    metric: str = "top-1"
    score: Interval | None = None
    precisions: tuple[LabelPrecision, ...] = ()
    by_length: tuple[LengthTime, ...] = ()
    tokenize_p50_ms: Interval | None = None
    p999_ms: Estimate | None = None
    runs_for_p99: int | None = None
    runs_for_p999: int | None = None
    warm_up: WarmUp | None = None
    paced: Paced | None = None
    heads: tuple[HeadTop1, ...] = ()

    @property
    def first_score(self) -> Interval | None:
        """The score, also in a file that has only `top1`."""
        return self.score or self.top1


@dataclass(frozen=True)
class BundleGates:
    """The given gates on one of `bundles`; `place` is its index there, from 0."""

    __pydantic_config__ = _STRICT

    place: int
    checks: tuple[GateCheck, ...]


@dataclass(frozen=True)
class BaselineCheck:
    """One figure of the bundle at `place`, compared with an earlier measurement.

    figure  `p50_ms`, `p99_ms`, `detect_p50_ms` or `score`; `build` if the bundle is not in the baseline
    change  time after over time before; of a score, the points lost
    """

    __pydantic_config__ = _STRICT

    place: int
    figure: str
    before: Estimate | None
    after: Estimate | None
    change: Interval | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """A bundle of a folder that was not measured, and why. damaged  the bundle must not be used"""

    __pydantic_config__ = _STRICT

    bundle: str
    reason: str
    damaged: bool


@dataclass(frozen=True)
class Measurement:
    """Bundles that were timed in the same rounds.

    created        ISO 8601 date and time, UTC; empty if the machine's clock was never set
    clock_mhz      of the first core
    temperature_c  of the hottest thermal zone
    conditions     the load during the timed runs; hardware  throttling and energy during them
    warnings       reasons to doubt the latencies, in words
    left_out       skipped bundles of folders; gates  the given gates; baseline  comparisons with --baseline
    """

    __pydantic_config__ = _STRICT

    harness: Harness
    created: str
    machine: Machine
    clock_mhz: BeforeAfter
    temperature_c: BeforeAfter
    bundles: tuple[BundleMeasurement, ...]
    schema: Literal[1] = 1
    conditions: Conditions | None = None
    hardware: Hardware | None = None
    warnings: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    gates: tuple[BundleGates, ...] = ()
    baseline: tuple[BaselineCheck, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Names for the bundles: the names of their folders, numbered if there are several."""
        folders = [each.bundle.rstrip("/") for each in self.bundles]
        short = [folder.rpartition("/")[2] or folder for folder in folders]
        names = short if len(set(short)) == len(set(folders)) else folders
        return tuple(f"{place}. {name}" for place, name in enumerate(names, 1)) if len(names) > 1 else tuple(names)


def measurement_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of what `edgetl bench BUNDLE --json` prints."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TypeAdapter(Measurement).json_schema(mode="serialization"),
        "title": "edgetl bench",
    }
