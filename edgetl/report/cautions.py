"""Warnings shown before the numbers: a busy machine, too many threads, a gate out of reach."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.bench.quiet import busy, too_many_threads
from edgetl.bench.result import TargetBench
from edgetl.recipes.gates import Gates
from edgetl.report.model import Caution
from edgetl.tasks import accuracy_gates
from edgetl.types.measured import Quality


def of_target(bench: TargetBench) -> tuple[str, ...]:
    """Reasons to doubt the latencies of one target, in words."""
    timed = [build.latency for build in bench.builds if build.latency is not None]
    if not timed:
        return ()
    threads = timed[0].threads
    sentences = (
        too_many_threads(bench.machine, threads),
        busy(bench.machine, bench.conditions, [latency.round_spread for latency in timed], threads),
    )
    return tuple(sentence for sentence in sentences if sentence)


def of_report(
    benches: Sequence[TargetBench], reference: Quality, classes: Sequence[str], gates: Gates
) -> tuple[Caution, ...]:
    """All warnings, each stated once above the targets it concerns.

    reference  the float network on all validation images
    """
    found: list[Caution] = []
    recalls = dict(zip(classes, reference.recalls, strict=False))
    missed = accuracy_gates.missed_by_float(
        gates, reference.score.metric, reference.score.value.value, recalls, accuracy_gates.heads_of(reference)
    )
    if missed:
        sentence = f"The float network itself has {' and '.join(missed)}: more or better examples, or another backbone."
        found.append(Caution(kind="gate out of reach", sentence=sentence))
    by_target = {bench.target: of_target(bench) for bench in benches}
    disturbed = tuple(target for target, said in by_target.items() if any(each.startswith("busy") for each in said))
    if disturbed:
        sentence = (
            f"Timed on a busy machine: {', '.join(disturbed)}. Latencies are longer and less certain than on an idle "
            "one; measure again on an idle machine: edgetl bench BUNDLE."
        )
        found.append(Caution(kind="busy machine", targets=disturbed, sentence=sentence))
    for sentence in dict.fromkeys(each for said in by_target.values() for each in said if not each.startswith("busy")):
        targets = tuple(target for target, said in by_target.items() if sentence in said)
        found.append(Caution(kind="threads", targets=targets, sentence=f"{', '.join(targets)}: {sentence}."))
    return tuple(found)
