"""The first lines of the report: how many targets pass, which bundle to take, what was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgetl.report import words
from edgetl.report.model import Bundle
from edgetl.types import Verdict


@dataclass(frozen=True)
class Unmeasured:
    """Targets that were neither measured nor emulated on this machine, for the same reason."""

    targets: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Summary:
    """The first lines of a report.

    verdict   fail if a target fails, pass if every target that was measured or emulated passes, else not measured
    headline  `3 of 3 measured targets pass; 5 not measured here`
    take      which bundle to take on a machine like this one; empty if none was timed and passes
    """

    verdict: Verdict
    headline: str
    take: str
    fastest: Bundle | None
    """The bundle that `take` is about."""
    bundles: tuple[Bundle, ...]
    """Measured targets first, then emulated ones, then the others, each in the order of the recipe."""
    unmeasured: tuple[Unmeasured, ...]


def summarize(bundles: Sequence[Bundle], metric: str = "top-1") -> Summary:
    """Pure; `bundles` and `metric` are those of a report."""
    ordered = tuple(sorted(bundles, key=_group))
    timed = [each for each in ordered if each.verdict == "pass" and each.p50_ms is not None and not each.other_cpu]
    timed.sort(key=lambda bundle: bundle.p50_ms or 0.0)
    fastest = timed[0] if timed else None
    return Summary(_verdict(ordered), _headline(ordered), _take(timed, metric), fastest, ordered, _unmeasured(ordered))


def _group(bundle: Bundle) -> int:
    return 0 if bundle.measured else 1 if bundle.emulated else 2


def _examined(bundles: Sequence[Bundle]) -> list[Bundle]:
    return [bundle for bundle in bundles if bundle.measured or bundle.emulated]


def _verdict(bundles: Sequence[Bundle]) -> Verdict:
    if any(bundle.verdict == "fail" for bundle in bundles):
        return "fail"
    examined = _examined(bundles)
    return "pass" if examined and all(bundle.verdict == "pass" for bundle in examined) else "not measured"


def _headline(bundles: Sequence[Bundle]) -> str:
    examined = _examined(bundles)
    absent = len(bundles) - len(examined)
    emulated = sum(not bundle.measured for bundle in examined)
    passed = sum(bundle.verdict == "pass" for bundle in examined)
    undecided = sum(bundle.verdict == "not measured" for bundle in examined)
    of_them = f" ({emulated} of them emulated)" if emulated else ""
    verb = "passes" if len(examined) == 1 else "pass"
    parts = [f"{passed} of {words.count(len(examined), 'measured target')} {verb}{of_them}"] if examined else []
    parts += [f"{undecided} with a gate that was not measured"] if undecided else []
    parts += [f"{absent} not measured here"] if absent else []
    return "; ".join(parts)


def _take(timed: Sequence[Bundle], metric: str) -> str:
    """timed  those that pass, fastest first"""
    if not timed:
        return ""
    first, *others = timed
    level = [each.target for each in others if _overlap(first, each)]
    tied = f"; {' and '.join(level)} may be as fast" if level else ""
    rivals = "the fastest that passes" if others else "it passes"
    return (
        f"On a machine like this one, take the bundle for {first.target}: {rivals}, with {first.precision}, "
        f"{words.scored(first.score, metric)} and {words.milliseconds(first.p50_ms)} ms{tied}."
    )


def _overlap(one: Bundle, other: Bundle) -> bool:
    """Whether the intervals of two median latencies share a value."""
    if one.p50_ms_high is None or other.p50_ms_low is None:
        return False
    return other.p50_ms_low <= one.p50_ms_high


def _unmeasured(bundles: Sequence[Bundle]) -> tuple[Unmeasured, ...]:
    shared: dict[str, list[str]] = {}
    for bundle in bundles:
        if not bundle.measured and not bundle.emulated:
            # reasons that differ only in the target's own name count as one
            reason = bundle.not_measured_reason.replace(f"target {bundle.target} needs", "needs")
            shared.setdefault(reason, []).append(bundle.target)
    return tuple(Unmeasured(tuple(targets), reason) for reason, targets in shared.items())
