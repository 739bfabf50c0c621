"""Examples of several lengths: latency is that of the median one, and further ones are timed for a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl import stats
from edgetl.bench.latency import BLOCK
from edgetl.bench.result import OfLength
from edgetl.bench.timed import Timing, timed
from edgetl.data.batches import TIMED_IMAGES
from edgetl.types import Engine

Examples = Sequence[NDArray[Any]]
_RUNS = 10 * BLOCK  # enough for an interval of a median


def typical(examples: Examples) -> list[NDArray[Any]]:
    """Those as long as the median one, at most `TIMED_IMAGES` of them, evenly spread; of one shape that is any."""
    lengths = sorted(len(each) for each in examples)
    median = lengths[(len(lengths) - 1) // 2]
    return _few([each for each in examples if len(each) == median])


def by_length(engines: Mapping[str, Engine], examples: Examples, timing: Timing) -> dict[str, tuple[OfLength, ...]]:
    """The median time of every engine on examples of each length, shortest first: `name` -> one row for each.

    All engines are timed in the same rounds, `_RUNS` runs for each length.
    """
    rows: dict[str, list[OfLength]] = {name: [] for name in engines}
    for length in sorted({len(each) for each in examples}):
        those = [each for each in examples if len(each) == length]
        times = timed(engines, _few(those), replace(timing, runs=_RUNS, warmup=BLOCK, for_p99=False)).times
        for name in engines:
            speedup = (
                stats.speedup(times["float32"], times[name], block=BLOCK, seed=timing.seed)
                if "float32" in times and name != "float32"
                else None
            )
            rows[name].append(
                OfLength(length, len(those), stats.quantile(times[name] / 1e6, 0.5, block=BLOCK), speedup)
            )
    return {name: tuple(found) for name, found in rows.items()}


def _few(examples: Examples) -> list[NDArray[Any]]:
    places = np.unique(np.linspace(0, len(examples) - 1, TIMED_IMAGES).round().astype(int))
    return [examples[place] for place in places]
