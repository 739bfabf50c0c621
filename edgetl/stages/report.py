"""The report stage: verdicts, the bundles that ship, and the report with device measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.recipes.run import Run
from edgetl.stages.finished import Finished
from edgetl.stages.keys import versions
from edgetl.store.results import StageResult

if TYPE_CHECKING:
    from edgetl.report.devices import DeviceFile


def report_stage(run: Run, finished: Finished, done: Sequence[StageResult]) -> StageResult:
    """Verdicts, the bundles that ship, report.json and report.html. done  all stages, for the table of times"""

    def make(out: Path) -> None:
        from edgetl.stages.write_report import write_reports

        write_reports(run, finished, done, out)

    networks = finished.networks
    inputs = {"adapted": networks.adapted.digest, "pivot": networks.pivot.digest}
    inputs |= {"split": run.split.digest, "checked": finished.checked.digest}
    inputs |= {f"quantized-{name}": result.digest for name, result in networks.quantized.items()}
    for name, target in finished.targets.items():
        inputs |= {f"bench-{name}": target.bench.digest}
        inputs |= {f"build-{name}-{index}": result.digest for index, result in enumerate(target.builds)}
        inputs |= {f"repair-{name}": target.repair.digest} if target.repair else {}
        inputs |= {f"surgery-{name}": target.surgery.digest} if target.surgery else {}
    config = {"recipe": run.job.recipe.model_dump(mode="json"), "tools": versions(("edgetl",))}
    return run.store.once("report", 10, config, make, inputs=inputs)


def devices_stage(run: Run, finished: Finished, reported: StageResult, devices: Sequence[DeviceFile]) -> StageResult:
    """The report again, with device measurements."""

    def make(out: Path) -> None:
        from edgetl.stages.write_report import add_devices

        add_devices(run, finished, reported.folder, devices, out)

    config = {"devices": [asdict(file) for file in devices], "tools": versions(("edgetl",))}
    return run.store.once("devices", 4, config, make, inputs={"report": reported.digest})
