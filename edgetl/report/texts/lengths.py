"""How long the texts are, in tokens, beside the lengths that the network takes them at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from edgetl.bench.result import OfLength, TargetBench
from edgetl.errors import DataError
from edgetl.fronts.text.read import read_example
from edgetl.fronts.text.shown import Counted, count_tokens
from edgetl.report import words
from edgetl.report.plots import MUTED, SERIES, STYLE, Picture, svg_text
from edgetl.types import Sample, TextPreprocessing

MOST_TEXTS = 4000
"""That are counted: the first ones, which a split has drawn at random."""
_BINS = 48


@dataclass(frozen=True)
class Bucket:
    """length  in tokens, to which texts are filled up;  texts  how many are;  share  of all of them"""

    length: int
    texts: int
    share: float


@dataclass(frozen=True)
class Lengths:
    """Of the validation texts, in tokens. unknown  the share of all tokens that the tokenizer has no piece for"""

    texts: int
    median: int
    longest: int
    unknown: float
    cut: int
    buckets: tuple[Bucket, ...]
    plot: Picture

    @property
    def sentence(self) -> str:
        """What there is to say in one line."""
        known = "every token is known to the network's vocabulary"
        if self.unknown:
            known = f"{words.percent(self.unknown)} % of the tokens are unknown to the network's vocabulary"
        cut = "none is cut"
        if self.cut:
            cut = f"{self.cut} of {self.texts} are longer than the network takes, and it reads only their beginning"
        return f"A validation text has {self.median} tokens in the median and {self.longest} at most; {cut}; {known}."


@dataclass(frozen=True)
class Times:
    """What one build takes. build  its target and number format;  p50_ms  by length, median and range"""

    build: str
    p50_ms: Mapping[int, tuple[str, str]]


def times_of(benches: Iterable[TargetBench]) -> tuple[Times, ...]:
    """Of every build that was timed at the lengths of the validation texts."""
    return tuple(
        Times(f"{bench.target} {build.precision}", {row.tokens: _shown(row) for row in build.by_length})
        for bench in benches
        for build in bench.builds
        if build.by_length
    )


def _shown(row: OfLength) -> tuple[str, str]:
    p50 = row.p50_ms
    return (f"{p50.value:.2f}", f"{p50.low:.2f}–{p50.high:.2f}") if p50 else (words.DASH, "")


def measure_lengths(samples: Sequence[Sample], p: TextPreprocessing) -> Lengths | None:
    """None if no text can be read any more."""
    counted = [found for found in (_count(Path(sample.path), p) for sample in samples[:MOST_TEXTS]) if found]
    if not counted:
        return None
    tokens = np.array([each.tokens for each in counted])
    held = np.searchsorted(p.lengths, np.minimum(tokens, p.lengths[-1]))
    numbers = np.bincount(held, minlength=len(p.lengths))
    return Lengths(
        texts=len(counted),
        median=int(np.median(tokens)),
        longest=int(tokens.max()),
        unknown=sum(each.unknown for each in counted) / max(int(tokens.sum()), 1),
        cut=sum(each.cut for each in counted),
        buckets=tuple(
            Bucket(length, int(count), float(count / len(counted)))
            for length, count in zip(p.lengths, numbers, strict=True)
        ),
        plot=_plot(tokens, p.lengths),
    )


def _count(path: Path, p: TextPreprocessing) -> Counted | None:
    try:
        return count_tokens(read_example(path), p)
    except DataError:
        return None


def _plot(tokens: NDArray[np.int64], lengths: Sequence[int]) -> Picture:
    """A histogram of lengths; a dashed line at every length that texts are filled up to."""
    right = max(float(np.quantile(tokens, 0.99)) * 1.15, float(np.min(lengths)) * 1.1)
    edges = np.unique(np.linspace(0, right, _BINS + 1).round())
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "edgetl lengths"}):
        figure = Figure(figsize=(6.6, 2.1), layout="constrained")
        panel = figure.subplots()
        numbers = np.histogram(tokens, bins=edges)[0]
        panel.stairs(numbers, edges, fill=True, color=SERIES["int8"], alpha=0.22, linewidth=0)
        panel.stairs(numbers, edges, color=SERIES["int8"], linewidth=1.3)
        for length in lengths:
            if length <= right:
                panel.axvline(length, color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
        panel.set_xlabel("tokens per text (dashed: lengths that texts are filled up to)")
        panel.set_ylabel("texts")
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.set_xlim(0, right)
        panel.set_ylim(bottom=0)
        svg = svg_text(figure)
    return Picture(svg, f"Lengths of {len(tokens)} texts in tokens; the longest has {tokens.max()}.")
