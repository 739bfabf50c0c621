"""Verdicts and the build that ships: pure functions of the measurements. gate_checks.py has the single gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgetl.bench.gate_checks import GateCheck, check_gates
from edgetl.bench.result import BuildBench, HostCheck, TargetBench
from edgetl.errors import UsageError
from edgetl.files.text import one_line
from edgetl.recipes.gates import Gates
from edgetl.tasks.classification.accuracy import Accuracy
from edgetl.tasks.heads.scores import HeadScores
from edgetl.types import PRECISIONS, Interval, Precision, Verdict

Choose = Literal["fastest", "int8", "float32"]
_OWN_ENDS = 2


@dataclass(frozen=True)
class BuildVerdict:
    """A build with all its gates: fail if one fails or an output is not finite, not measured if one is, else pass."""

    precision: Precision
    verdict: Verdict
    reason: str
    checks: tuple[GateCheck, ...]


@dataclass(frozen=True)
class Decision:
    """A target's verdict and the build that ships.

    shipped  the build to hand over; with the verdict `fail` it is the most accurate one, for inspection only.
             None if no build could run at all.
    reason   the shipped build's gates in one sentence; why  how it was chosen
    """

    target: str
    verdict: Verdict
    shipped: Precision | None
    reason: str
    why: str
    builds: tuple[BuildVerdict, ...]


def judge(bench: TargetBench, gates: Gates, choose: Choose = "fastest", noun: str = "image") -> Decision:
    """Apply the gates to every build and choose the one that ships.

    choose  "fastest": the passing build with the lowest p50; in a tie, the smaller file. Without latency int8 is
            preferred. "int8", "float32": that build or none.
    noun    one example, in the reasons
    raises  UsageError if the chosen precision was not built, or there is no build.
    """
    if not bench.builds:
        raise UsageError(f"{bench.target}: no build to judge")
    verdicts = tuple(judge_build(build, bench, gates, noun) for build in bench.builds)
    if choose == "fastest":
        build, why = _fastest(bench, verdicts)
    else:
        build, why = _pinned(bench, choose)
    if build is None:
        return Decision(bench.target, "fail", None, verdicts[0].reason, why, verdicts)
    verdict = next(verdict for verdict in verdicts if verdict.precision == build.precision)
    return Decision(bench.target, verdict.verdict, build.precision, verdict.reason, why, verdicts)


def judge_build(build: BuildBench, bench: TargetBench, gates: Gates, noun: str = "image") -> BuildVerdict:
    """All gates on one build. A build with NaN or infinite outputs fails whatever the gates are."""
    if build.error:
        return BuildVerdict(build.precision, "fail", f"it does not run: {one_line(build.error)}", ())
    if build.lacking:
        return BuildVerdict(build.precision, "not measured", f"not measured here: {one_line(build.lacking)}", ())
    checks = check_gates(build, bench, gates, noun)
    verdict: Verdict = "pass"
    for possible in ("fail", "not measured"):
        if any(check.verdict == possible for check in checks):
            verdict = possible
            break
    if verdict == "pass" and build.accuracy is None:
        verdict = "not measured"
    if build.accuracy is not None and build.accuracy.not_finite:
        verdict = "fail"
    return BuildVerdict(build.precision, verdict, _build_reason(build, bench, verdict, checks, noun), checks)


def _build_reason(
    build: BuildBench, bench: TargetBench, verdict: Verdict, checks: tuple[GateCheck, ...], noun: str
) -> str:
    reasons = [check.reason for check in checks if check.verdict == verdict and check.value is not None]
    if build.accuracy is not None and build.accuracy.not_finite:
        of = "logits" if isinstance(build.accuracy, Accuracy | HeadScores) else "outputs"
        reasons.append(f"{build.accuracy.not_finite} {noun}s gave NaN or infinite {of}")
    if build.unmeasured:
        reasons.append(f"not measured: {one_line(build.unmeasured)}; the next build tries again")
    elif build.host is not None and build.accuracy is not None:
        reasons.append(_host_reason(build.accuracy.images, build.host, noun))
    elif bench.emulated and build.accuracy is not None:
        reasons.append(f"accuracy on {build.accuracy.images} {noun}s under emulation, no latency")
    elif not bench.measured:
        reasons.append(f"not measured here: {one_line(bench.reason)}")
    elif verdict == "not measured":
        reasons += [check.reason for check in checks if check.verdict == verdict]
    if build.not_integer:
        count = len(build.not_integer)
        reasons.append(f"{count} convolution{'s' * (count > 1)} or matrix products do not run in INT8")
    return "; ".join(reasons) or "no gate is set"


def _host_reason(images: int, host: HostCheck, noun: str) -> str:
    reason = (
        f"accuracy on {images} {noun}s, measured on this CPU (same class as under emulation on {host.same} of "
        f"{host.emulated_images}), no latency"
    )
    if host.undecided:
        reason += f"; {host.undecided} predictions could differ there, which the intervals allow for"
    return reason


def _fastest(bench: TargetBench, verdicts: tuple[BuildVerdict, ...]) -> tuple[BuildBench | None, str]:
    standing = {verdict.precision: verdict.verdict for verdict in verdicts}
    timed = [build for build in bench.builds if standing[build.precision] == "pass" and _p50(build) is not None]
    if timed:
        return _quickest(timed, bench)
    possible = [build for build in bench.builds if standing[build.precision] != "fail" and not build.lacking]
    if possible:
        build = min(possible, key=lambda build: list(PRECISIONS).index(build.precision))
        if len(bench.builds) == 1:
            return build, f"{build.precision} is the only build"
        missing = "latency on its own CPU was not measured" if bench.other_cpu else "no latency was measured here"
        return build, f"{missing}; {build.precision} is preferred{_refused(verdicts)}"
    return _most_accurate(bench), "no build meets the gates; the most accurate one is kept for inspection"


def _quickest(timed: list[BuildBench], bench: TargetBench) -> tuple[BuildBench, str]:
    first = min(timed, key=lambda build: _p50(build) or 0.0)
    level = [build for build in timed if build is first or _tied(build, first)]
    best = min(level, key=lambda build: (build.size_bytes, _p50(build)))
    int8 = bench.build("int8")
    if int8 is not None and int8 not in timed:
        if int8.unmeasured or int8.lacking:
            return best, f"int8 was not measured; {best.precision} is the fastest build that passes"
        return best, f"int8 does not pass its gates; {best.precision} is the fastest build that does"
    if int8 is not None and int8 not in level:
        return best, f"{_slower_int8(int8, best)}; {best.precision} ships"
    if len(level) > 1:
        others = " and ".join(build.precision for build in level if build is not best)
        return best, f"as fast as {others} within noise; {best.precision} is the smaller file"
    if best.speedup is not None:
        return best, f"{best.precision} is the fastest passing build: {_times(best.speedup)} the speed of float32"
    return best, f"{best.precision} is the only build" if len(bench.builds) == 1 else f"{best.precision} is the fastest"


def _slower_int8(int8: BuildBench, best: BuildBench) -> str:
    cause = f", {_between_numbers(int8)}" if _between_numbers(int8) else ""
    if int8.speedup is not None and int8.speedup.high < 1:
        return f"int8 is slower than float32 here: {_times(int8.speedup)}{cause}"
    return f"int8 is slower than {best.precision} here ({_ms(int8)} against {_ms(best)}){cause}"


def _between_numbers(int8: BuildBench) -> str:
    """The conversions of its runtime; "" if there are none besides those at the two ends of the network."""
    if int8.conversions is None or int8.conversions <= _OWN_ENDS:
        return ""
    return f"{int8.conversions} of its operators only convert between float and INT8"


def _tied(build: BuildBench, first: BuildBench) -> bool:
    """Whether the timings cannot separate the two.

    For builds timed in the same rounds, the interval of their ratio decides; for others, the overlap of their p50
    intervals.
    """
    for one, other in ((build, first), (first, build)):
        ratio = one.speedup if other.precision == "float32" else one.speedup_over.get(other.precision)
        if ratio is not None:
            return ratio.low <= 1 <= ratio.high
    mine, theirs = _p50_interval(build), _p50_interval(first)
    return mine is not None and theirs is not None and mine.low <= theirs.high and theirs.low <= mine.high


def _pinned(bench: TargetBench, choose: Literal["int8", "float32"]) -> tuple[BuildBench, str]:
    build = bench.build(choose)
    if build is None:
        have = ", ".join(build.precision for build in bench.builds)
        raise UsageError(f"choose: {choose}: {bench.target} has no such build (it has {have}); use choose: fastest")
    return build, f"the recipe asks for {choose}"


def _most_accurate(bench: TargetBench) -> BuildBench | None:
    runnable = [build for build in bench.builds if build.error is None and build.lacking is None]
    if not runnable:
        return None
    return max(runnable, key=lambda build: build.accuracy.score.value.value if build.accuracy else -1.0)


def _refused(verdicts: tuple[BuildVerdict, ...]) -> str:
    failed = [verdict.precision for verdict in verdicts if verdict.verdict == "fail"]
    return f" ({' and '.join(failed)} failed)" if failed else ""


def _p50(build: BuildBench) -> float | None:
    interval = _p50_interval(build)
    return None if interval is None else interval.value


def _p50_interval(build: BuildBench) -> Interval | None:
    return build.latency.p50_ms if build.latency else None


def _times(interval: Interval) -> str:
    return f"{interval.value:.2f}x ({interval.low:.2f} to {interval.high:.2f})"


def _ms(build: BuildBench) -> str:
    return f"{_p50(build) or 0.0:.3g} ms"
