"""Which layers to compute in float: the shortest beginning of a ranking that passes, then what it can do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Passes = Callable[[Sequence[str]], bool]
"""Whether the network with these layers in float passes; asked once per set."""

_MOST_PRUNED = 8  # layers that are tried one by one; a longer list is kept as the bisection found it


@dataclass(frozen=True)
class Search:
    """What was found.

    layers  the set that passes, in the order of the ranking; None where not even all of them do
    tries   how many sets were asked about
    """

    layers: tuple[str, ...] | None
    tries: int


def search(ranking: Sequence[str], passes: Passes) -> Search:
    """Find a small set of layers that passes, knowing that the empty one does not.

    ranking  layer names, the costliest first
    Beginnings of the ranking are doubled (1, 2, 4, ... layers) until one passes and bisected down to the shortest, as
    if every longer one passed too; then each layer of it, the least costly first, is left out again where the rest
    passes without it. Only sets that passed are returned.
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
    kept = list(ranking[:high])
    # the last one was just seen to be needed
    for name in reversed(kept[:-1]) if len(kept) <= _MOST_PRUNED else ():
        fewer = [layer for layer in kept if layer != name]
        if asked(fewer):
            kept = fewer
    return Search(tuple(kept), tries)


def _first_passing(ranking: Sequence[str], asked: Passes) -> int | None:
    count = 1
    while count < len(ranking):
        if asked(ranking[:count]):
            return count
        count *= 2
    return len(ranking) if ranking and asked(ranking) else None
