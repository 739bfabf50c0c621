"""The whole chain: each line is a stage, and each result a folder that can be inspected and resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgetl.bundle.publish import publish_pivot, publish_report
from edgetl.errors import BackendError, ParityError
from edgetl.recipes.gates import Gates
from edgetl.recipes.job import Job, schemes_of
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.report.model import FILE_NAME as REPORT_FILE
from edgetl.report.model import Report, read_report
from edgetl.stages.adapt import adapt_stage
from edgetl.stages.bench import bench_stage
from edgetl.stages.check import check_stage, refuse_leaks
from edgetl.stages.compile import compile_stage, precisions_of
from edgetl.stages.export import export_stage
from edgetl.stages.finished import Built, Finished, Networks
from edgetl.stages.imported import import_stage
from edgetl.stages.keys import require_training_tools
from edgetl.stages.quantize import quantize_stage
from edgetl.stages.reference import float_stage, gates_within_reach
from edgetl.stages.repair import cannot_repair, gates_to_repair_for, needs_repair, repair_stage, repaired_pivot
from edgetl.stages.report import devices_stage, report_stage
from edgetl.stages.simplify import needs_surgery, surgery_stage
from edgetl.stages.split import refuse_unknown_classes, split_stage
from edgetl.stages.weights import Weights
from edgetl.store.results import StageResult, Store, open_store
from edgetl.types import Precision, Progress, Split, Target

if TYPE_CHECKING:
    from edgetl.report.devices import DeviceFile

Until = Literal["check", "adapt", "quantize", "export", "compile", "bench", "report"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run. `report` is that of the last stage; `passed` is False if a gate is missed."""

    out: Path
    split: Split
    results: tuple[StageResult, ...]
    report: Report | None = None

    @property
    def passed(self) -> bool:
        return self.report is None or all(bundle.verdict != "fail" for bundle in self.report.bundles)

    @property
    def idle(self) -> bool:
        """Whether every stage was already done."""
        return all(result.reused for result in self.results)


def run(job: Job, progress: Progress, until: Until = "report", devices: Sequence[DeviceFile] = ()) -> Outcome:
    """Run the stages of a recipe up to `until`, except those already done.

    devices  measurements on devices, for the report
    raises   EdgetlError with one clear line; finished stages are kept.
    """
    if until != "check" and job.recipe.network is None:
        require_training_tools()  # immediately, not after the images were read
    with open_store(job.out, until, progress.note) as store:
        return run_in(store, job, progress, until, devices)


def run_in(store: Store, job: Job, progress: Progress, until: Until, devices: Sequence[DeviceFile] = ()) -> Outcome:
    """The same in a store that is open."""
    return _chain(store, job, _Ledger(progress), until, devices)


class _Ledger:
    """The stages of one run in order, reported to the user as they end."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.results: list[StageResult] = []
        self._kept: list[str] = []

    def add(self, result: StageResult) -> StageResult:
        self.results.append(result)
        if result.reused:
            self._kept.append(result.title)
        else:
            self.say_kept()
            self.progress.note(f"{result.title:<32} {result.seconds:.1f} s")
        return result

    def say_kept(self) -> None:
        """One line for consecutive stages that were kept: a finished build has dozens."""
        if len(self._kept) > 1:
            self.progress.note(f"{len(self._kept)} stages kept, {self._kept[0]} to {self._kept[-1]}")
        elif self._kept:
            self.progress.note(f"{self._kept[0]:<32} kept")
        self._kept = []


def _chain(store: Store, job: Job, ledger: _Ledger, until: Until, devices: Sequence[DeviceFile]) -> Outcome:
    split, made = split_stage(store, job, ledger.progress)
    ledger.add(made)
    refuse_unknown_classes(job, split)
    run = Run(store, job, split, ledger.progress)

    def outcome(report: Report | None = None) -> Outcome:
        ledger.say_kept()
        return Outcome(job.out, split, tuple(ledger.results), report)

    weights = Weights.of(job, ledger.progress)
    checked = ledger.add(check_stage(run, weights))
    if until == "check":
        return outcome()
    refuse_leaks(job, checked)

    imports = job.recipe.network is not None
    adapted = ledger.add(import_stage(run) if imports else adapt_stage(run, weights, until))
    if until == "adapt":
        return outcome()

    floated = float_stage(run, adapted)
    gates = gates_within_reach(run, floated)
    quantized = {scheme: ledger.add(quantize_stage(run, adapted, scheme, gates)) for scheme in schemes_of(job)}
    if until == "quantize":
        return outcome()

    pivot = ledger.add(export_stage(run, adapted, quantized, floated))
    publish_pivot(store, pivot)
    if until == "export":
        return outcome()

    built = {
        target.name: tuple(ledger.add(compile_stage(run, target, p, pivot)) for p in precisions_of(pivot, target))
        for target in job.targets
    }
    if until == "compile":
        _open_all(built)
        return outcome()

    chain = _Chain(run, ledger, gates, Networks(adapted, quantized, pivot))
    targets = {target.name: chain.measure(target, built[target.name]) for target in job.targets}
    targets = {target.name: _repaired(chain, target, targets[target.name]) for target in job.targets}
    targets = _simplified(chain, targets)
    if until == "bench":
        return outcome()

    finished = Finished(checked, chain.networks, targets)
    reported = ledger.add(report_stage(run, finished, tuple(ledger.results)))
    merged = ledger.add(devices_stage(run, finished, reported, devices)) if devices else reported
    publish_report(store, reported, merged)
    return outcome(read_report(merged.folder / REPORT_FILE))


def _open_all(built: Mapping[str, Sequence[StageResult]]) -> None:
    """Run each bundle once if this machine can; a whole build does so when it measures them. Raises EdgetlError."""
    from edgetl.bundle.inference import open_once

    for results in built.values():
        for result in results:
            open_once(result.folder, name=result.title)


@dataclass(frozen=True)
class _Chain:
    """What further builds of a target are made from. gates  those that the float network meets itself"""

    run: Run
    ledger: _Ledger
    gates: Gates
    networks: Networks

    def measure(self, target: Target, builds: tuple[StageResult, ...]) -> Built:
        return Built(builds, self.ledger.add(bench_stage(self.run, target, builds, self.networks.pivot)))

    def measure_with(
        self, target: Target, built: Built, precision: Precision, pivot: StageResult, models: Path | None = None
    ) -> Built:
        """With one more build after the INT8 one; all builds of the target are measured again, together."""
        first, *others = built.builds
        more = self.ledger.add(compile_stage(self.run, target, precision, pivot, models))
        again = self.measure(target, (first, more, *others))
        return replace(built, builds=again.builds, bench=again.bench)


def _repaired(chain: _Chain, target: Target, built: Built) -> Built:
    """If INT8 missed an accuracy gate: find the layers at fault, add a build with them in float, measure all again.

    This only adds a candidate: if it cannot be made, the reason is reported and the build continues.
    """
    note = chain.ledger.progress.note
    if not needs_repair(chain.run, built.bench):
        return built
    if reason := cannot_repair(target):
        note(f"{target.name}: {reason}")
        return built
    try:
        gates = gates_to_repair_for(chain.run, built.bench)
        found = chain.ledger.add(repair_stage(chain.run, target, chain.networks.pivot, gates))
        if models := repaired_pivot(found):
            built = chain.measure_with(target, built, "mixed", found, models)
        return replace(built, repair=found)
    except (BackendError, ParityError) as error:
        note(f"{target.name}: no repair: {error}")
        return built


def _simplified(chain: _Chain, targets: Mapping[str, Built]) -> dict[str, Built]:
    """If INT8 is slower than float: add a build of the network without the parts at fault, measure all again.

    This only adds a candidate: if it cannot be made, the reason is reported and the build continues.
    """
    run, ledger, found = chain.run, chain.ledger, dict(targets)
    quantized = chain.networks.quantized
    wanting = [each for each in run.job.targets if needs_surgery(run, each, found[each.name].bench, quantized)]
    if not wanting:
        return found
    schemes = dict.fromkeys(scheme_id(target.scheme) for target in wanting)
    try:
        operated = ledger.add(surgery_stage(run, chain.networks.adapted))
        again = {name: ledger.add(quantize_stage(run, operated, name, chain.gates)) for name in schemes}
        pivot = ledger.add(export_stage(run, operated, again))
        for target in wanting:
            built = chain.measure_with(target, found[target.name], "simplified", pivot)
            found[target.name] = replace(built, surgery=operated)
    except (BackendError, ParityError) as error:
        ledger.progress.note(f"no simplified build: {error}")
    return found
