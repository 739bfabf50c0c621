"""Reporting: verdicts, the bundles that ship, and the report with what devices measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.recipes.job import Job
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.stages.keys import versions
from edgetl.store.results import StageResult

if TYPE_CHECKING:
    from edgetl.report.devices import DeviceFile


@dataclass(frozen=True)
class Finished:
    """What the stages before the report left: per number scheme, or per target name in the recipe's order.

    simplified  the surgery stage, for targets that have a build of its network
    """

    checked: StageResult
    adapted: StageResult
    quantized: Mapping[str, StageResult]
    pivot: StageResult
    built: Mapping[str, Sequence[StageResult]]
    benched: Mapping[str, StageResult]
    repaired: Mapping[str, StageResult]
    simplified: Mapping[str, StageResult]


def report_stage(run: Run, finished: Finished, done: Sequence[StageResult]) -> StageResult:
    """Verdicts, the bundles that ship, report.json and report.html. done  all stages, for the table of times"""
    checked, adapted, pivot = finished.checked, finished.adapted, finished.pivot

    def make(out: Path) -> None:
        from edgetl.report.write import Folders, write_reports

        folders = Folders(
            checked=checked.folder,
            adapted=adapted.folder,
            pivot=pivot.folder,
            quantized={name: (each.folder, _computing_in(run.job, name)) for name, each in finished.quantized.items()},
            builds={name: [result.folder for result in results] for name, results in finished.built.items()},
            benches={name: result.folder for name, result in finished.benched.items()},
            repairs={name: result.folder for name, result in finished.repaired.items()},
            surgeries={name: result.folder for name, result in finished.simplified.items()},
        )
        write_reports(run.job.recipe, run.split, folders, done, out)

    inputs = {"adapted": adapted.digest, "pivot": pivot.digest, "split": run.split.digest, "checked": checked.digest}
    inputs |= {f"quantized-{name}": result.digest for name, result in finished.quantized.items()}
    inputs |= {f"bench-{name}": result.digest for name, result in finished.benched.items()}
    for name, results in finished.built.items():
        inputs |= {f"build-{name}-{index}": result.digest for index, result in enumerate(results)}
    inputs |= {f"repair-{name}": result.digest for name, result in finished.repaired.items()}
    inputs |= {f"surgery-{name}": result.digest for name, result in finished.simplified.items()}
    config = {"recipe": run.job.recipe.model_dump(mode="json"), "tools": versions(("edgetl",))}
    return run.store.once("report", 9, config, make, inputs=inputs)


def devices_stage(
    run: Run,
    adapted: StageResult,
    pivot: StageResult,
    benched: Mapping[str, StageResult],
    reported: StageResult,
    devices: Sequence[DeviceFile],
) -> StageResult:
    """The report once more, with what was measured on devices."""

    def make(out: Path) -> None:
        from edgetl.report.write import add_devices

        benches = {name: result.folder for name, result in benched.items()}
        add_devices(reported.folder, run.split, adapted.folder, pivot.folder, benches, devices, out)

    config = {"devices": [asdict(file) for file in devices], "tools": versions(("edgetl",))}
    return run.store.once("devices", 3, config, make, inputs={"report": reported.digest})


def _computing_in(job: Job, scheme: str) -> tuple[str, ...]:
    """Names of the targets whose INT8 builds have the number scheme."""
    found = [each for each in job.targets if "int8" in each.precisions and scheme_id(each.scheme) == scheme]
    return tuple(target.name for target in found)
