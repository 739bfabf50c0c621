"""Perplexity of texts, and the time of a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.language.continuation import Network
from edgetl.types import Interval

_DRAWS, _LEVELS = 2000, (0.025, 0.975)
_ROUNDS, _STEPS = 7, 24

Logits = Callable[[Sequence[int]], NDArray[np.float32]]
"""The tokens of a text -> logits (T, vocabulary), each row from what stands before it."""


@dataclass(frozen=True)
class Losses:
    """Of each text: the sum of the negative logarithms of its tokens' probabilities, in nats, and how many tokens."""

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def perplexity(self) -> float:
        return float(np.exp(self.sums.sum() / self.counts.sum()))


@dataclass(frozen=True)
class Times:
    """Medians over rounds: of the prompt until its first token, and of every token after it; milliseconds."""

    first_token_ms: float
    ms_per_token: float


def losses(logits: Logits, texts: Sequence[Sequence[int]], context: int) -> Losses:
    """Of every token except the first of a text; a text longer than `context` is read in pieces of that length."""
    found = [_loss(logits, [ids[at : at + context] for at in range(0, len(ids), context)]) for ids in texts]
    return Losses(np.array([loss for loss, _ in found]), np.array([count for _, count in found]))


def _loss(logits: Logits, pieces: Sequence[Sequence[int]]) -> tuple[float, int]:
    total, count = 0.0, 0
    for piece in pieces:
        if len(piece) < 2:
            continue
        rows = logits(piece[:-1]).astype(np.float64)
        largest = rows.max(axis=1)
        sums = largest + np.log(np.exp(rows - largest[:, None]).sum(axis=1))
        total += float((sums - rows[np.arange(len(rows)), list(piece[1:])]).sum())
        count += len(piece) - 1
    return total, count


def rise_percent(before: Losses, after: Losses, seed: int = 0) -> Interval:
    """How much higher the perplexity is, with a 95 % interval from texts drawn again, paired."""
    count = len(before.sums)
    drawn = np.random.default_rng(seed).integers(0, count, (_DRAWS, count))
    differences = after.sums - before.sums
    ratios = np.expm1(differences[drawn].sum(axis=1) / before.counts[drawn].sum(axis=1)) * 100
    value = float(np.expm1(differences.sum() / before.counts.sum()) * 100)
    low, high = np.quantile(ratios, _LEVELS)
    return Interval(value, min(float(low), value), max(float(high), value))


def times(networks: Mapping[str, Network], prompt: Sequence[int], context: int) -> dict[str, Times]:
    """In rounds, one network after the other, so that a slow moment meets all of them. Raises BackendError."""
    steps = min(_STEPS, context - len(prompt))
    first: dict[str, list[int]] = {name: [] for name in networks}
    later: dict[str, list[int]] = {name: [] for name in networks}
    for number in range(_ROUNDS + 1):  # the first one warms up
        for name, network in networks.items():
            spent = _spent(network, prompt, steps)
            if number:
                first[name].append(spent[0])
                later[name] += spent[1:]
    return {name: Times(_median_ms(first[name]), _median_ms(later[name])) for name in networks}


def _spent(network: Network, prompt: Sequence[int], steps: int) -> list[int]:
    """Nanoseconds of the prompt and of every step after it."""
    network.reset()
    found, given = [], prompt
    for _ in range(steps + 1):
        start = time.perf_counter_ns()
        token = int(network.feed(given)[-1].argmax())
        found.append(time.perf_counter_ns() - start)
        given = [token]
    return found


def _median_ms(values: Sequence[int]) -> float:
    return round(float(np.median(values)) / 1e6, 4)
