"""The trials as a terminal table, as JSON and as rows of a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgetl.files.documents import as_json
from edgetl.files.text import shortened
from edgetl.report import words
from edgetl.sweep.row import Row
from edgetl.sweep.run import Outcome

_LEAST_WIDTH = 10
_STYLES = {"pass": "green", "fail": "bold red", "not measured": "yellow"}


def show_sweep(outcome: Outcome, console: Console | None = None) -> None:
    """Print the front, the other measured trials, those without numbers with their reason, and one sentence."""
    out = console or Console(highlight=False)
    if grid := table(outcome):
        out.print(grid)
    for row in outcome.rows:
        if row.state != "measured":
            out.print(Text(f"trial {row.number}: {row.state}: {row.reason}"), soft_wrap=True)
    out.print(Text(summary(outcome)), soft_wrap=True)


def table(outcome: Outcome) -> Table | None:
    """The measured trials, those on the front first; None without any."""
    best = {row.number for row in outcome.front}
    others = [row for row in outcome.rows if row.state == "measured" and row.number not in best]
    rows = [*outcome.front, *sorted(others, key=lambda row: row.values[1])]
    if not rows:
        return None
    grid = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, collapse_padding=True)
    for heading in ("", "trial"):
        grid.add_column(heading, justify="right")
    keys = [axis.key for axis in outcome.request.space.axes]
    for key, name in zip(keys, short_names(keys), strict=True):
        longest = max(len(plain(row.settings[key])) for row in rows)
        grid.add_column(name.replace("_", "_\n"), overflow="fold", min_width=min(longest, _LEAST_WIDTH))
    for heading in ("build", f"{outcome.metric}\n%", "p50\nms", "size", "gates"):
        grid.add_column(heading, justify="left" if heading in ("build", "gates") else "right", no_wrap=True)
    for row in rows:
        grid.add_row(
            "*" if row.number in best else "",
            str(row.number),
            *(plain(row.settings[key]) for key in keys),
            row.precision,
            _stack(words.percent(row.score), words.percent_range(row.score_low, row.score_high)),
            _stack(words.milliseconds(row.p50_ms), words.milliseconds_range(row.p50_ms_low, row.p50_ms_high)),
            words.size(row.size_bytes),
            Text(row.verdict or "", _STYLES.get(row.verdict or "", "")),
        )
    return grid


def summary(outcome: Outcome) -> str:
    """`front (*): 3 of 24 trials, 2 of them pass the gates`."""
    passing = sum(row.verdict == "pass" for row in outcome.front)
    failed = sum(row.state == "failed" for row in outcome.rows)
    parts = [f"front (*): {len(outcome.front)} of {words.count(len(outcome.rows), 'trial')}, {passing} pass the gates"]
    parts += [f"{failed} failed"] if failed else []
    parts += ["the space has no other combinations"] if outcome.exhausted and outcome.request.sampler != "grid" else []
    machines = {row.cpu for row in outcome.rows if row.cpu}
    parts += [f"latencies of {len(machines)} different CPUs, do not compare them"] if len(machines) > 1 else []
    return "; ".join(parts)


def document(outcome: Outcome) -> dict[str, Any]:
    """The sweep as JSON: `trials` by number, `front` their numbers, fastest first."""
    request = outcome.request
    return {
        "schema": 1,
        "name": request.raw["name"],
        "metric": outcome.metric,
        "sampler": request.sampler,
        "seed": request.seed,
        "resolution": request.resolution,
        "space": request.space.to_json(),
        "front": [row.number for row in outcome.front],
        "trials": [as_json(row) for row in outcome.rows],
    }


def csv_rows(outcome: Outcome) -> list[dict[str, str | int | float | None]]:
    """One row per trial."""
    best = {row.number for row in outcome.front}
    return [_csv_row(row, row.number in best) for row in outcome.rows]


def _csv_row(row: Row, best: bool) -> dict[str, str | int | float | None]:
    cells: dict[str, str | int | float | None] = {"trial": row.number, "front": "yes" if best else "no"}
    cells |= {key: plain(value) for key, value in row.settings.items()}
    figures: Mapping[str, Any] = as_json(row)
    return cells | {key: value for key, value in figures.items() if key not in ("number", "settings")}


def short_names(keys: Sequence[str]) -> list[str]:
    """The last part of each key, `epochs`, or the whole key if two end alike."""
    ends = [key.rpartition(".")[2] for key in keys]
    return [end if ends.count(end) == 1 and end != "name" else key for key, end in zip(keys, ends, strict=True)]


def plain(value: Any) -> str:
    """A setting for people: `0.01`, `relu6`, `[64, 96]`, `{name: x}`."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {plain(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(plain, value)) + "]"
    return shortened("none" if value is None else str(value), 80)


def _stack(value: str, interval: str) -> Text:
    return Text(value) if not interval else Text.assemble(value, "\n", (interval, "dim"))
