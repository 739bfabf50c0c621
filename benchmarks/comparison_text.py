"""A comparison as Markdown: the table, and in words where edgetl's INT8 is ahead, behind, or not to be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from comparison import FLOAT, OURS, Comparison, Entry
from repeated_ratio import Ratio
from result_file import NOTHING, interval, megabytes, number, table

_SAME_SPEED = 0.02
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
        *_ratio(entry.speedup),
        *_ratio(entry.ours_faster),
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
    found = entry.ours_faster
    if found is None:
        return "the same"
    if found.low > 1 - _SAME_SPEED and found.high < 1 + _SAME_SPEED:
        return f"as fast, within {_SAME_SPEED:.0%}"
    if found.low > 1:
        return f"faster, {found.combined.value:.2f}x"
    if found.high < 1:
        return f"slower, {found.combined.value:.2f}x its speed"
    return f"not told apart in speed ({found.low:.2f}x to {found.high:.2f}x)"


def _accuracy(entry: Entry) -> str:
    better = entry.ours_better
    if better is None:
        return "the same"
    if better.low > 0:
        return f"more accurate by {interval(better, 2)} points"
    if better.high < 0:
        return f"less accurate by {interval(better, 2)} points (below zero: edgetl is worse)"
    return f"not told apart in accuracy ({interval(better, 2)} points)"


def _ratio(found: Ratio | None) -> tuple[str, str]:
    if found is None:
        return NOTHING, NOTHING
    values = [each.value for each in found.repeats]
    return interval(found.combined, 2), f"{min(values):.2f}–{max(values):.2f}"
