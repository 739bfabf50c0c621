"""Timing builds together, with the machine's load, and how many runs that takes; also for each length of examples, and
of a detector the whole way from the decoded image to its objects, as `edgetl-bench` measures it in C++."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgetl.bench import time_stats
from edgetl.bench.latency import BLOCK, alternating, interleaved, one_by_one
from edgetl.bench.paced import Pace, Paced, figures, paced, schedule
from edgetl.bench.quiet import Conditions, conditions, round_spread, snapshot
from edgetl.bench.result import Latency, OfLength
from edgetl.bench.steady import FEWEST_STEADY, WarmUp, warm_up
from edgetl.bundle.read import Bundle
from edgetl.fronts.batches import TIMED_IMAGES
from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.resize import resize
from edgetl.tasks.detection.detections import BOXES, SCORES
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types import Advance, Engine, Interval, as_image, fed
from edgetl.types.frames import frame_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

Examples = Sequence[NDArray[Any]]

P99_RUNS = time_stats.P99_RUNS
"""Timed runs of each build from which p99 has an interval."""
MOST_SECONDS = 60.0
"""Seconds that the extra runs for p99 may take, for all builds of a target together."""
_MORE = 300  # runs between two checks of the clock
_RUNS_OF_LENGTH = 10 * BLOCK  # enough for an interval of a median


@dataclass(frozen=True)
class Timing:
    """How builds are timed.

    warmup   untimed runs of each build before; None: until steady (`steady.warm_up`)
    threads  inside one inference
    duration_s  time runs for so long instead of `runs`; pace  also under paced arrivals
    for_p99  up to `P99_RUNS` runs, as far as `MOST_SECONDS` reach: a gate on p99 is judged by them
    """

    runs: int
    warmup: int | None
    threads: int
    seed: int = 0
    for_p99: bool = False
    duration_s: float | None = None
    pace: Pace | None = None

    @property
    def most_runs(self) -> int:
        return max(self.runs, P99_RUNS) if self.for_p99 else self.runs


@dataclass(frozen=True)
class Timed:
    """times  per engine (runs,) int64 nanoseconds, in rounds of `BLOCK`; tokens  length of the texts, if it is open;
    warm  how engines became steady, if they were warmed up until then"""

    times: dict[str, NDArray[np.int64]]
    conditions: Conditions
    tokens: int | None = None
    warm: Mapping[str, WarmUp] = field(default_factory=dict)


def timed(
    engines: Mapping[str, Engine],
    images: NDArray[np.generic] | Sequence[NDArray[np.generic]],
    timing: Timing,
    advance: Advance | None = None,
) -> Timed:
    """Time all engines in the same rounds (`interleaved`)."""
    warm: dict[str, WarmUp] = {}
    if timing.warmup is None:
        batches = one_by_one(images)
        warm = {name: warm_up(engine.infer, batches) for name, engine in engines.items()}
    before, seed = snapshot(), timing.seed
    runs = timing.runs if timing.duration_s is None else BLOCK
    parts = [interleaved(engines, images, runs=runs, warmup=timing.warmup or 0, seed=seed, advance=advance)]
    taken, start = runs, time.monotonic()
    while more := _more(timing, taken, time.monotonic() - start):
        parts.append(interleaved(engines, images, runs=more, warmup=1, seed=seed + len(parts), advance=advance))
        taken += more
    together = {name: np.concatenate([part[name] for part in parts]) for name in engines}
    return Timed(together, conditions(before, snapshot(), timing.threads), warm=warm)


def _more(timing: Timing, taken: int, seconds: float) -> int:
    """How many more runs each build gets, after so many in so many seconds; 0 at the end."""
    if timing.duration_s is not None:
        return 10 * BLOCK if seconds < timing.duration_s else 0
    if not timing.for_p99 or seconds >= MOST_SECONDS or taken % BLOCK:
        return 0
    return max(0, min(_MORE, P99_RUNS - taken))


def paced_runs(
    engines: Mapping[str, Engine], images: NDArray[np.generic] | Sequence[NDArray[np.generic]], timing: Timing
) -> dict[str, Paced]:
    """Every engine alone under the paced arrivals of `timing`, one after the other; nothing without a pace."""
    pace, batches = timing.pace, one_by_one(images)
    if pace is None:
        return {}
    runs = timing.runs if timing.duration_s is None else max(1, round(pace.rate_hz * timing.duration_s))
    arrivals = schedule(pace, runs, timing.seed)
    found: dict[str, Paced] = {}
    for name, engine in engines.items():
        for run in range(BLOCK):
            engine.infer(batches[run % len(batches)])
        found[name] = figures(paced(engine.infer, batches, arrivals), pace)
    return found


def latency(times: NDArray[np.int64], threads: int) -> Latency:
    """Quantiles of the times of one build, (runs,) nanoseconds."""
    milliseconds = times / 1e6
    p50, p90 = (time_stats.quantile(milliseconds, q, block=BLOCK) for q in (0.5, 0.9))
    return Latency(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=time_stats.p99(milliseconds, block=BLOCK),
        runs=times.size,
        threads=threads,
        round_spread=round_spread(times),
    )


def typical(examples: Examples) -> list[NDArray[Any]]:
    """Those as long as the median one, at most `TIMED_IMAGES` of them, evenly spread; of one shape that is any."""
    lengths = sorted(len(each) for each in examples)
    median = lengths[(len(lengths) - 1) // 2]
    return _few([each for each in examples if len(each) == median])


def by_length(engines: Mapping[str, Engine], examples: Examples, timing: Timing) -> dict[str, tuple[OfLength, ...]]:
    """The median time of every engine on examples of each length, shortest first: `name` -> one row for each.

    All engines are timed in the same rounds, `_RUNS_OF_LENGTH` runs for each length.
    """
    rows: dict[str, list[OfLength]] = {name: [] for name in engines}
    for length in sorted({len(each) for each in examples}):
        those = [each for each in examples if len(each) == length]
        times = timed(engines, _few(those), replace(timing, runs=_RUNS_OF_LENGTH, warmup=BLOCK, for_p99=False)).times
        for name in engines:
            speedup = (
                time_stats.speedup(times["float32"], times[name], block=BLOCK, seed=timing.seed)
                if "float32" in times and name != "float32"
                else None
            )
            rows[name].append(
                OfLength(length, len(those), time_stats.quantile(times[name] / 1e6, 0.5, block=BLOCK), speedup)
            )
    return {name: tuple(found) for name, found in rows.items()}


def _few(examples: Examples) -> list[NDArray[Any]]:
    places = np.unique(np.linspace(0, len(examples) - 1, TIMED_IMAGES).round().astype(int))
    return [examples[place] for place in places]


def detect_p50_ms(
    engines: Mapping[str, Engine], bundles: Mapping[str, Bundle], images: Sequence[Path], timing: Timing
) -> dict[str, Interval | None]:
    """Per detector among the bundles the median of resize, inference and postprocess, timed in rounds of their own.

    images  files, shown in turn; they are decoded before
    """
    calls = {key: _detect(engines[key], each) for key, each in bundles.items() if each.manifest.task == "detection"}
    if not calls:
        return {}
    decoded = [decode(path) for path in images]
    warmup = FEWEST_STEADY if timing.warmup is None else timing.warmup
    times = alternating(calls, decoded, runs=timing.runs, warmup=warmup, seed=timing.seed)
    return {key: time_stats.quantile(each / 1e6, 0.5, block=BLOCK) for key, each in times.items()}


def _detect(engine: Engine, bundle: Bundle) -> Callable[[NDArray[np.uint8]], object]:
    preprocessing, settings = as_image(bundle.manifest.preprocessing), bundle.manifest.postprocess
    assert settings is not None

    def detect(pixels: NDArray[np.uint8]) -> object:
        outputs = engine.infer(fed(resize(pixels, preprocessing)[None]))
        boxes, scores = (np.asarray(outputs[name], np.float32) for name in (BOXES, SCORES))
        return postprocess(boxes, scores, [frame_of(pixels.shape[0], pixels.shape[1], preprocessing)], settings)

    return detect
