"""Images to bundles: wall time, peak memory and result of every stage, for the example recipes.

    python benchmarks/build_chain.py --data DATA --weights-dir WEIGHTS --work WORK
    python benchmarks/build_chain.py --from OUT --from OUT

The first builds each recipe into WORK/<recipe name>, or continues there; the second only reads finished builds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from example_builds import ExampleBuild, add_build_arguments, example_builds
from finished_build import FinishedBuild, read_build
from result_file import (
    NOTHING,
    Result,
    add_write_option,
    deliver,
    interval,
    machine_facts,
    machine_now,
    megabytes,
    number,
    table,
)

from edgetl.errors import EdgetlError
from edgetl.report.model import Build, Bundle, Figures
from edgetl.types import Interval

_GATE_MISSED = 3
_NOTES = """\
All stages run one after another in one process, so a stage's peak includes what the process holds already (torch, from
`adapt` on). `bench` measures on this machine's own runtimes; `emulated` accuracy was taken under qemu on few images,
without a latency. Speed-up: median of float32 over this build's, timed in the same rounds. Drop: top-1 of the float
torch network minus this build's on the same images, in points."""


@dataclass(frozen=True)
class Run:
    """One run of `edgetl build`. `seconds` is None if some stages were done before: the wall time would mean
    nothing."""

    seconds: float | None
    peak_rss_bytes: int


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    try:
        finished = _finished(arguments)
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    sections = [_summary(finished), _NOTES]
    for build, _ in finished:
        sections += [f"## {build.report.name}", _stage_table(build), _build_table(build)]
    data = {"recipes": [_data(build, run) for build, run in finished]}
    deliver(Result("build-chain", "Images to bundles", tuple(sections), data), machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="outs", type=Path, action="append", help="output folder of a finished build")
    add_build_arguments(parser)
    add_write_option(parser)
    arguments = parser.parse_args()
    if not arguments.outs and not arguments.work:
        parser.error("name finished builds with --from, or a folder to build in with --work")
    return arguments


def _finished(arguments: argparse.Namespace) -> list[tuple[FinishedBuild, Run | None]]:
    if arguments.outs:
        return [(read_build(out), None) for out in arguments.outs]
    found: list[tuple[FinishedBuild, Run | None]] = []
    for example in example_builds(arguments):
        run = _run(example)
        found.append((read_build(example.out), run))
    return found


def _run(example: ExampleBuild) -> Run:
    fresh = not example.out.exists()
    started = time.monotonic()
    process = subprocess.Popen(example.command, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, _GATE_MISSED):
        raise EdgetlError(f"{example.recipe.name}: edgetl build ended with status {code}; its message is above")
    return Run(seconds if fresh else None, usage.ru_maxrss * 1024)


def _summary(finished: list[tuple[FinishedBuild, Run | None]]) -> str:
    header = ("recipe", "shots", "val images", "float top-1 %", "stages s", "wall s", "peak memory MB", "verdict")
    rows = []
    for build, run in finished:
        report = build.report
        top1 = Interval(report.reference.score, report.reference.score_low, report.reference.score_high)
        seconds = sum(stage.seconds for stage in build.stages)
        peak = max(stage.peak_rss_bytes for stage in build.stages)
        rows.append(
            (
                report.name,
                str(report.data.shots),
                str(report.data.val),
                interval(top1, 1, 100),
                number(seconds, 1),
                number(run.seconds if run else None, 1),
                megabytes(peak, 0),
                report.verdict,
            )
        )
    return table(header, rows)


def _stage_table(build: FinishedBuild) -> str:
    rows = [
        (stage.stage, stage.subject, number(stage.seconds, 2), megabytes(stage.peak_rss_bytes, 0))
        for stage in build.stages
    ]
    return table(("stage", "of", "seconds", "peak memory MB"), rows, left=2)


def _build_table(build: FinishedBuild) -> str:
    header = (
        "target",
        "backend",
        "build",
        "runs in",
        "images",
        "top-1 %",
        "drop points",
        "p50 ms",
        "p99 ms",
        "speed-up",
        "MB",
        "cold start ms",
        "verdict",
    )
    rows = [_build_row(bundle, each) for bundle in build.report.bundles for each in bundle.builds]
    return table(header, rows, left=4) + "\n\nBold: the build that ships."


def _build_row(bundle: Bundle, build: Build) -> tuple[str, ...]:
    shipped = build.precision == bundle.precision
    return (
        bundle.target + (" (emulated)" if bundle.emulated else ""),
        f"{bundle.backend} {bundle.backend_version}".strip(),
        f"**{build.precision}**" if shipped else build.precision,
        build.placement or NOTHING,
        NOTHING if build.images is None else str(build.images),
        interval(_figure(build, "top1"), 1, 100),
        interval(_figure(build, "drop_points"), 2),
        interval(_figure(build, "p50_ms"), 3),
        interval(_figure(build, "p99_ms"), 3),
        interval(_figure(build, "speedup"), 2),
        megabytes(build.size_bytes),
        number(build.cold_start_ms, 0),
        build.verdict,
    )


def _figure(figures: Figures, name: str) -> Interval | None:
    value, low, high = (getattr(figures, f"{name}{end}") for end in ("", "_low", "_high"))
    return None if value is None or low is None or high is None else Interval(value, low, high)


def _data(build: FinishedBuild, run: Run | None) -> Mapping[str, Any]:
    report = build.report
    return {
        "recipe": report.name,
        "created": report.created,
        "verdict": report.verdict,
        "classes": len(report.classes),
        "shots": report.data.shots,
        "val": report.data.val,
        "reference": report.reference.model_dump(),
        "wall_seconds": run.seconds if run else None,
        "process_peak_rss_bytes": run.peak_rss_bytes if run else None,
        "machine": _machine(build),
        "stages": [
            {
                "stage": stage.stage,
                "of": stage.subject,
                "seconds": stage.seconds,
                "peak_rss_bytes": stage.peak_rss_bytes,
            }
            for stage in build.stages
        ],
        "bundles": [_bundle_data(bundle) for bundle in report.bundles],
    }


def _machine(build: FinishedBuild) -> Mapping[str, Any] | None:
    return machine_facts(build.report.machine) if build.report.machine else None


def _bundle_data(bundle: Bundle) -> Mapping[str, Any]:
    kept = {"target", "backend", "backend_version", "precision", "measured", "emulated", "verdict", "why"}
    facts = bundle.model_dump(mode="json", include=kept)
    # gates' texts and errors may name files of the machine
    builds = [build.model_dump(mode="json", exclude={"gates", "reason", "error"}) for build in bundle.builds]
    return {**facts, "builds": builds}


if __name__ == "__main__":
    sys.exit(main())
