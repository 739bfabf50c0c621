"""The Pareto front: the trials that no other one beats in accuracy, latency and size.

Accuracy and size are compared as they are: all trials predict the same examples, and sizes are exact. Two latencies
differ only if their 95 % intervals of the median, each widened by `resolution`, do not overlap: trials are measured
minutes apart, and such an interval does not contain what the machine drifts meanwhile.

A trial with a wide interval may tie with two that differ, so "beats" is not transitive. But trials never beat each
other in a circle: only one objective has ties, and "wholly below" is transitive. So exactly one set exists in which no
trial beats another, and whose members beat all others. That is the front; without ties it is the usual one.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.sweep.row import Row


def front(rows: Sequence[Row], resolution: float) -> tuple[Row, ...]:
    """The front, fastest first.

    resolution  share by which both ends of a latency's interval are widened
    """
    left, best = [row for row in rows if row.state == "measured"], list[Row]()
    while left:
        tops = [row for row in left if not any(beats(other, row, resolution) for other in left)]
        best += tops
        left = [row for row in left if row not in tops and not any(beats(top, row, resolution) for top in tops)]
    return tuple(sorted(best, key=lambda row: (row.values[1], row.number)))


def beats(one: Row, other: Row, resolution: float) -> bool:
    """Whether `one` is better in one objective at least, and worse in none."""
    (score, _, size), (other_score, _, other_size) = one.values, other.values
    if score < other_score or size > other_size or faster(other, one, resolution):
        return False
    return score > other_score or size < other_size or faster(one, other, resolution)


def faster(one: Row, other: Row, resolution: float) -> bool:
    """Whether the widened interval of `one` is wholly below that of `other`."""
    _, high = _widened(one, resolution)
    low, _ = _widened(other, resolution)
    return high < low


def _widened(row: Row, resolution: float) -> tuple[float, float]:
    _, middle, _ = row.values
    low = middle if row.p50_ms_low is None else row.p50_ms_low
    high = middle if row.p50_ms_high is None else row.p50_ms_high
    return low / (1 + resolution), high * (1 + resolution)
