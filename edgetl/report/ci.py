"""A report as rows of a table, one per build, and as tests, one per gate of each build that ships."""

from __future__ import annotations

from edgetl.bench.ci_files import Case, Row
from edgetl.report.detection.model import ObjectScores
from edgetl.report.model import Build, Bundle, Gate, Recall, Report

_FIGURES = (
    *("images", "top1", "top1_low", "top1_high", "macro_f1", "drop_points", "drop_points_low", "drop_points_high"),
    *("p50_ms", "p50_ms_low", "p50_ms_high", "p90_ms", "p99_ms", "p99_ms_low", "p99_ms_high", "runs", "threads"),
    *("round_spread", "speedup", "speedup_low", "speedup_high", "cold_start_ms", "peak_rss_bytes", "size_bytes"),
    *("placement", "score", "score_low", "score_high"),
)
_OF_OBJECTS = ("ap50", "recall", "precision", "threshold")


def rows(report: Report) -> list[Row]:
    """One row per build. Columns `recall.<class>`, or `ap.<class>` of a detector, hold the scores of single classes."""
    return [_row(report, bundle, build) for bundle in report.bundles for build in bundle.builds]


def cases(report: Report) -> list[Case]:
    """One test per gate of the build that ships; without gates, or if the build does not run, the target's verdict."""
    return [case for bundle in report.bundles for case in _cases(bundle)]


def _row(report: Report, bundle: Bundle, build: Build) -> Row:
    machine = report.machine
    return {
        "name": report.name,
        "created": report.created,
        "target": bundle.target,
        "precision": build.precision,
        "ships": "yes" if build.precision == bundle.precision else "no",
        "verdict": build.verdict,
        "backend": bundle.backend,
        "backend_version": bundle.backend_version,
        **{figure: getattr(build, figure) for figure in _FIGURES},
        "metric": report.metric,
        "waited": bundle.waited,
        "stolen": bundle.stolen,
        "load_average": machine.load_average if machine else None,
        "cpu": machine.processors if machine else None,
        "cautions": "; ".join(bundle.cautions),
        "reason": build.reason,
        **{f"recall.{each.label}": each.recall for each in _by_label(build.recalls)},
        **_objects(report, build.detection),
    }


def _objects(report: Report, found: ObjectScores | None) -> Row:
    """The same columns for all builds of a detector; none for a classifier."""
    if report.task == "classification":
        return {}
    classes = {each.label: each.ap for each in found.classes} if found else {}
    return {
        **{name: getattr(found, name, None) for name in _OF_OBJECTS},
        **{f"ap.{label}": classes.get(label) for label in sorted(report.classes)},
    }


def _by_label(recalls: tuple[Recall, ...]) -> list[Recall]:
    return sorted(recalls, key=lambda recall: recall.label)


def _cases(bundle: Bundle) -> list[Case]:
    shipped = next((build for build in bundle.builds if build.precision == bundle.precision), None)
    gates = shipped.gates if shipped else ()
    found = [Case(bundle.target, _name(gate), gate.verdict, gate.reason) for gate in gates]
    if not found or (bundle.verdict == "fail" and all(case.verdict != "fail" for case in found)):
        found.append(Case(bundle.target, "verdict", bundle.verdict, bundle.reason))
    return found


def _name(gate: Gate) -> str:
    return f"{gate.gate}.{gate.label}" if gate.label else gate.gate
