"""One cell of `quantization.py`: a build's accuracy, or the latency of all builds of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from quantization_cases import (
    BFLOAT16,
    FLOAT,
    NNCF,
    NNCF_CONTROLLED,
    PTQ,
    QAT,
    REPAIRED,
    SHIPPED,
    STANDARD,
    STATIC,
    case_named,
)
from quantization_cells import Alike, BuildTimes, Cell, Key, Times, TimesKey, packed
from quantization_edgetl import Chain
from quantization_made import Answers, Made
from quantization_rivals import missing
from repeated_ratio import Ratio, quantile, ratio
from result_file import made_here

from edgetl.backends.base import load
from edgetl.bench.host_answers import Answered
from edgetl.bench.latency import interleaved
from edgetl.bench.machine import describe
from edgetl.fronts.batches import load_batch, spread

TIMED_TARGETS = ("x86-cpu", "intel-cpu")
_OURS = (FLOAT, BFLOAT16, PTQ, QAT, REPAIRED, SHIPPED)

_Nanoseconds = NDArray[np.int64]


@dataclass(frozen=True)
class Timing:
    """runs, warmup  rounds per repeat. repeats  times the engines are opened afresh."""

    runs: int
    warmup: int
    repeats: int


def accuracy_cell(chain: Chain, key: Key) -> Cell:
    """Make the build if it is missing, and judge it. Raises EdgetlError."""
    load_average = describe().load_average
    case = case_named(key.case)
    made = chain.build(case, key.target, key.method)
    answers = chain.answers(case, key.target, key.method)
    accuracy = answers.accuracy
    return Cell(
        key=key,
        images=accuracy.images,
        pair=chain.pair(answers.chosen),
        right=packed(answers.right),
        reference=packed(answers.reference_right),
        top1=accuracy.top1,
        drop_points=accuracy.drop_points,
        agreement=accuracy.agreement.value,
        placement=answers.placement,
        size_bytes=made.size_bytes(),
        making_seconds=made.seconds,
        load=load_average,
        note=made.note,
        made_with=made_here(),
        alike=alike(answers, chain.answers(STANDARD, key.target, key.method)) if case.here else None,
    )


def alike(here: Answers, emulated: Answers) -> Alike | None:
    """None if the other predictions are not for a part of the same images: nothing was emulated."""
    if not set(emulated.chosen) < set(here.chosen):
        return None
    answered = Answered(here.logits, emulated.logits, np.searchsorted(here.chosen, emulated.chosen))
    largest = answered.largest_difference() / float(emulated.logits.std())
    return Alike(len(emulated.chosen), answered.same(), largest)


def times_cell(chain: Chain, key: TimesKey, timing: Timing, methods: Sequence[str]) -> Times:
    """Time the builds of the target in the same rounds; a file that several methods share is timed once.

    methods  those that are asked for

    Raises EdgetlError.
    """
    builds = {name: chain.build(STANDARD, key.target, name) for name in timed_methods(chain, key.target, methods)}
    first = first_with_file({name: build.digest() for name, build in builds.items()})
    loads: list[float | None] = []
    repeats: list[dict[str, _Nanoseconds]] = []
    for repeat in range(timing.repeats):
        loads.append(describe().load_average)
        distinct = {name: builds[name] for name in dict.fromkeys(first.values())}
        times = _round(chain, distinct, key.threads, timing, chain.group.draw + repeat)
        repeats.append({name: times[first[name]] for name in builds})
    return Times(
        key=key,
        builds={name: _build_times(repeats, name, build, first[name]) for name, build in builds.items()},
        runs=timing.runs,
        repeats=timing.repeats,
        loads=tuple(loads),
        asked=tuple(methods),
        made_with=made_here(),
    )


def timed_methods(chain: Chain, target: str, asked: Sequence[str]) -> list[str]:
    """edgetl's builds, all of NNCF's, and the best of `quantize_static`, whose calibrations all give one graph."""
    methods = [name for name in STANDARD.methods[target] if name in asked]
    timed = [name for name in methods if name in _OURS or name in (*NNCF, NNCF_CONTROLLED)]
    if any(name in STATIC for name in methods):
        timed.append(chain.best_static())
    return [name for name in timed if not missing(name) and _runs_here(target, name)]


def first_with_file(digests: Mapping[str, str]) -> dict[str, str]:
    """Name -> the first name with the same digest."""
    owners: dict[str, str] = {}
    return {name: owners.setdefault(digest, name) for name, digest in digests.items()}


def _runs_here(target: str, name: str) -> bool:
    from edgetl.recipes.targets import load_target

    if name != BFLOAT16:
        return True
    loaded = load_target(target)
    return load(loaded.backend).cannot_run(loaded, "bfloat16") is None


def _round(
    chain: Chain, builds: Mapping[str, Made], threads: int, timing: Timing, seed: int
) -> dict[str, _Nanoseconds]:
    images = load_batch(spread(chain.split.val), chain.preprocessing)
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(
                load(made.target.backend).open(made.folder, made.compiled, made.target, threads=threads)
            )
            for name, made in builds.items()
        }
        return interleaved(engines, images, runs=timing.runs, warmup=timing.warmup, seed=seed)


def _build_times(repeats: list[dict[str, _Nanoseconds]], name: str, build: Made, first: str) -> BuildTimes:
    p50, p90, p99 = (quantile([times[name] for times in repeats], q) for q in (0.5, 0.9, 0.99))
    return BuildTimes(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        over_float=_over(repeats, name, FLOAT),
        shipped_over=_over(repeats, SHIPPED, name),
        size_bytes=build.size_bytes(),
        same_as=first if first != name else "",
    )


def _over(repeats: list[dict[str, _Nanoseconds]], slow: str, fast: str) -> Ratio | None:
    return None if slow == fast or slow not in repeats[0] else ratio(repeats, slow, fast, 0)
