"""A comparison as Markdown: the table, and in words where edgetl's INT8 is ahead, behind, or not to be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from comparison import FLOAT, OURS, Comparison, Entry
from result_file import NOTHING, interval, megabytes, number, table

_HEADER = (
    "build",
    "runs in",
    "top-1 %",
    "drop points",
    "p50 ms",
    "p99 ms",
    "speed-up over float",
    "repeats",
    "edgetl faster",
    "repeats",
    "edgetl better, points",
    "MB",
    "making s",
)


def section(found: Comparison) -> str:
    """One recipe on one runtime."""
    loads = ", ".join(number(load, 1) for load in found.load_averages)
    facts = (
        f"{found.shots} shots, {found.images} validation images; float torch network "
        f"{interval(found.reference.top1, 1, 100)} %; {found.settings.threads} thread(s); "
        f"load before each repeat: {loads}."
    )
    title = f"## {found.recipe} on {found.target} ({found.backend} {found.backend_version})"
    rows = [_row(entry) for entry in found.entries]
    return "\n\n".join([title, facts, table(_HEADER, rows, left=2), _findings(found)])


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        f"**{entry.name}**" if entry.name == OURS else entry.name,
        entry.placement,
        interval(entry.accuracy.top1, 1, 100),
        interval(entry.accuracy.drop_points, 2),
        interval(entry.p50_ms, 3),
        interval(entry.p99_ms, 3),
        interval(entry.speedup, 2),
        _range(entry.speedup_repeats),
        interval(entry.ours_faster, 2),
        _range(entry.ours_faster_repeats),
        interval(entry.ours_better, 2),
        megabytes(entry.size_bytes),
        number(entry.making_seconds, 1),
    )


def _findings(found: Comparison) -> str:
    lines = ["edgetl's INT8 beside each alternative:", ""]
    return "\n".join([*lines, *(f"- {_finding(entry, found.entries)}" for entry in found.entries if _rival(entry))])


def _rival(entry: Entry) -> bool:
    return entry.name not in (FLOAT, OURS)


def _finding(entry: Entry, entries: Sequence[Entry]) -> str:
    ours = next(each for each in entries if each.name == OURS)
    size = entry.size_bytes / ours.size_bytes
    return f"{entry.name}: edgetl is {_speed(entry)}, {_accuracy(entry)}; {entry.name} takes {size:.2f} times its bytes"


def _speed(entry: Entry) -> str:
    """A difference counts only when the interval and every single repeat agree."""
    if entry.ours_faster is None or entry.ours_faster_repeats is None:
        return "not timed"
    low = min(entry.ours_faster.low, entry.ours_faster_repeats[0])
    high = max(entry.ours_faster.high, entry.ours_faster_repeats[1])
    if low > 1:
        return f"faster, {entry.ours_faster.value:.2f}x"
    if high < 1:
        return f"slower, {entry.ours_faster.value:.2f}x its speed"
    return f"not told apart in speed ({low:.2f}x to {high:.2f}x)"


def _accuracy(entry: Entry) -> str:
    better = entry.ours_better
    if better is None:
        return "the same"
    if better.low > 0:
        return f"more accurate by {interval(better, 2)} points"
    if better.high < 0:
        return f"less accurate by {interval(better, 2)} points (below zero: edgetl is worse)"
    return f"not told apart in accuracy ({interval(better, 2)} points)"


def _range(found: tuple[float, float] | None) -> str:
    return NOTHING if found is None else f"{found[0]:.2f}–{found[1]:.2f}"
