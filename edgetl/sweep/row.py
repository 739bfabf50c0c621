"""One finished trial: its settings and what its build reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgetl.report.model import FILE_NAME as REPORT_FILE
from edgetl.report.model import Bundle, read_report
from edgetl.types import Verdict

State = Literal["measured", "not measured", "failed"]


@dataclass(frozen=True)
class Row:
    """state    not measured: built, but its target has no latency or accuracy on this machine
    settings    by recipe key
    reason      of a trial that failed or was not measured, else which gate it misses, in one line
    verdict     of the recipe's gates
    cpu         that the latency was measured on
    folder      of the trial's build, relative to the sweep's output folder
    """

    number: int
    settings: dict[str, Any]
    state: State
    reason: str = ""
    target: str = ""
    precision: str = ""
    metric: str = ""
    score: float | None = None
    score_low: float | None = None
    score_high: float | None = None
    p50_ms: float | None = None
    p50_ms_low: float | None = None
    p50_ms_high: float | None = None
    size_bytes: int | None = None
    verdict: Verdict | None = None
    cpu: str = ""
    folder: str = ""

    @property
    def values(self) -> tuple[float, float, float]:
        """Score, milliseconds, bytes of a measured trial."""
        if self.score is None or self.p50_ms is None or self.size_bytes is None:
            raise ValueError(f"trial {self.number} is {self.state}")
        return self.score, self.p50_ms, float(self.size_bytes)


def failed(number: int, settings: dict[str, Any], reason: str) -> Row:
    return Row(number, settings, "failed", reason)


def row_of(number: int, settings: dict[str, Any], out: Path, folder: Path) -> Row:
    """The row of a build in `out / folder`. Raises EdgetlError if its report cannot be read."""
    report = read_report(out / folder / REPORT_FILE)
    (bundle,) = report.bundles
    figures = (bundle.score, bundle.p50_ms, bundle.size_bytes)
    measured = bundle.precision is not None and all(figure is not None for figure in figures)
    return Row(
        number,
        settings,
        "measured" if measured else "not measured",
        _reason(bundle, measured),
        bundle.target,
        bundle.precision or "",
        report.metric,
        bundle.score,
        bundle.score_low,
        bundle.score_high,
        bundle.p50_ms,
        bundle.p50_ms_low,
        bundle.p50_ms_high,
        bundle.size_bytes,
        bundle.verdict,
        report.machine.cpu or "" if report.machine else "",
        folder.as_posix(),
    )


def _reason(bundle: Bundle, measured: bool) -> str:
    if not measured:
        return bundle.not_measured_reason or bundle.reason
    return "" if bundle.verdict == "pass" else bundle.reason
