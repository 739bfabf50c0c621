"""Chooses the layers to compute in float: the shortest prefix of a ranking that passes, then without needless layers.

Removing halves, quarters, ... single layers is the reduction to complements of delta debugging, Zeller and Hildebrandt,
Simplifying and Isolating Failure-Inducing Input, IEEE TSE 28(2), 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Passes = Callable[[Sequence[str]], bool]
"""Whether the network with these layers in float passes; called once per set."""

_MOST_PRUNING_TRIES = 24  # each compiles the network and runs all validation images: enough for 2 layers of 60


@dataclass(frozen=True)
class Search:
    """The result.

    layers  the set that passes, in the order of the ranking; None if not even all layers do
    tries   number of sets that were tried
    pruned  whether removal was tried down to single layers; else some layers may not be needed
    """

    layers: tuple[str, ...] | None
    tries: int
    pruned: bool = True


def search(ranking: Sequence[str], passes: Passes) -> Search:
    """Find a small set of layers that passes, knowing that the empty one does not.

    ranking  layer names, the costliest first
    Prefixes of the ranking are doubled (1, 2, 4, ... layers) until one passes, then bisected. Halves of the result,
    then quarters, down to single layers are removed if the rest still passes, the least costly first. Only sets that
    passed are returned. If a set passes whenever a subset does (more layers in float never hurt), no layer of the
    result can be removed, and the search takes about 2 k log2(n) sets for k needed layers of n. Otherwise a smaller set
    may exist. Removal ends after `_MOST_PRUNING_TRIES` sets.
    """
    tries = 0

    def asked(layers: Sequence[str]) -> bool:
        nonlocal tries
        tries += 1
        return passes(tuple(layers))

    high = _first_passing(ranking, asked)
    if high is None:
        return Search(None, tries)
    low = high // 2 if high > 1 else 0  # did not pass
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if asked(ranking[:middle]) else (middle, high)
    kept, pruned = _prune(ranking[:high], asked)
    return Search(tuple(kept), tries, pruned)


def _prune(found: Sequence[str], asked: Passes) -> tuple[list[str], bool]:
    """The remaining set that passes, and whether the removal was complete."""
    # it just failed without the last one
    kept, last = list(found[:-1]), found[-1]
    left = _MOST_PRUNING_TRIES
    for size in _halves(len(kept)):
        for start in reversed(range(0, len(kept), size)):
            if left == 0:
                return [*kept, last], False
            left -= 1
            fewer = [*kept[:start], *kept[start + size :]]
            if asked([*fewer, last]):
                kept = fewer
    return [*kept, last], True


def _halves(count: int) -> Iterator[int]:
    """Half of it, a quarter, ... 1, rounded up."""
    while count > 0:
        yield (count := (count + 1) // 2)
        if count == 1:
            return


def _first_passing(ranking: Sequence[str], asked: Passes) -> int | None:
    count = 1
    while count < len(ranking):
        if asked(ranking[:count]):
            return count
        count *= 2
    return len(ranking) if ranking and asked(ranking) else None
