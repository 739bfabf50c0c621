"""How long the first build takes: from images to bundles in an empty folder, stage by stage, and a head alone after it.

    python benchmarks/first_build.py --data DATA --weights-dir WEIGHTS --work WORK

Every draw of the shots is a separate build, a process that starts in an empty folder with a recipe of defaults. In
the same folder a head is asked for afterwards, with `adapt.strategy: probe`, which finds the features of the search.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from example_builds import edgetl_program, parser_on_sets
from finished_build import FinishedBuild, read_build
from result_file import Result, add_write_option, deliver, interval, machine_now, table

from edgetl.adapt.record import Adaptation
from edgetl.errors import EdgetlError
from edgetl.types import Interval, stats

_SETS = ("neu_steel",)
_TARGETS = ("x86-cpu", "intel-cpu", "arm64-cpu")
_ORDER = ("check", "adapt", "quantize", "export", "compile", "bench")
_AIM_S = {"whole build": 360.0, "head alone": 15.0}
_GATE_MISSED = 3


@dataclass(frozen=True)
class Draw:
    """One build.

    seconds       wall clock of the whole process, of every kind of stage in it, and of a head alone afterwards
    cpu_seconds   of the build, all cores
    top1          of the float network and of each target's shipped build that was measured or stands for one
    """

    dataset: str
    seed: int
    seconds: dict[str, float]
    cpu_seconds: float
    strategy: str
    top1: dict[str, float]
    verdict: str


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    try:
        draws = [_draw(name, seed, arguments) for name in arguments.sets for seed in range(arguments.draws)]
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    sections = [_method(arguments)]
    for name in arguments.sets:
        found = [draw for draw in draws if draw.dataset == name]
        sections += [f"## {name}", _times(found), _answers(found)]
    data = {"shots_per_class": arguments.shots, "targets": arguments.targets, "draws": [asdict(draw) for draw in draws]}
    deliver(Result("first-build", "Seconds of a first build", tuple(sections), data), machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = parser_on_sets(__doc__)
    add = parser.add_argument
    add("--sets", nargs="+", default=list(_SETS), help=f"default: {' '.join(_SETS)}")
    add("--targets", nargs="+", default=list(_TARGETS), help=f"default: {' '.join(_TARGETS)}")
    add("--shots", type=int, default=10, help="per class (default 10)")
    add("--draws", type=int, default=3, help="builds of each set, each with shots of its own (default 3)")
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="for every recipe")
    add_write_option(parser)
    found = parser.parse_args()
    if found.draws < 2:
        parser.error("--draws: expected at least 2, the sample of the intervals")
    return found


def _draw(name: str, seed: int, arguments: argparse.Namespace) -> Draw:
    folder: Path = arguments.work.resolve() / name
    shutil.rmtree(folder, ignore_errors=True)
    recipe = _write_recipe(folder, name, seed, arguments)
    settings = [word for override in arguments.overrides for word in ("--set", override)]
    common = (str(recipe), "--weights-dir", str(arguments.weights_dir.resolve()), "--quiet", *settings)
    wall_s, cpu_s = _build(common)
    build = read_build(folder / f"{name}-build")
    seconds = {"whole build": wall_s, **_stage_seconds(build), "head alone": _head_seconds(common)}
    adapt = build.report.adapt
    strategy = adapt.strategy if isinstance(adapt, Adaptation) else ""
    draw = Draw(name, seed, seconds, cpu_s, strategy, _top1(build), build.report.verdict)
    print(f"{name}, draw {seed}: {wall_s:.0f} s, {draw.strategy}, {draw.top1}", file=sys.stderr, flush=True)
    return draw


def _write_recipe(folder: Path, name: str, seed: int, arguments: argparse.Namespace) -> Path:
    folder.mkdir(parents=True)
    data = arguments.data.resolve() / name
    recipe = {
        "name": name,
        "data": {"train": str(data / "train"), "val": str(data / "val"), "shots": arguments.shots, "seed": seed},
        "backbone": {"name": "mobilenetv2_100"},
        "targets": arguments.targets,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def _build(common: Sequence[str]) -> tuple[float, float]:
    started = time.monotonic()
    process = subprocess.Popen([edgetl_program(), "build", *common], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - started
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, _GATE_MISSED):
        raise EdgetlError(f"{common[0]}: edgetl build ended with status {code}; its message is above")
    return wall_s, usage.ru_utime + usage.ru_stime


def _stage_seconds(build: FinishedBuild) -> dict[str, float]:
    return {kind: sum(stage.seconds for stage in build.stages if stage.stage == kind) for kind in _ORDER}


def _head_seconds(common: Sequence[str]) -> float:
    command = [edgetl_program(), "adapt", *common, "--json", "--set", "adapt.strategy=probe"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    stages: list[dict[str, Any]] = json.loads(done.stdout)["stages"]
    (adapt,) = [stage for stage in stages if stage["stage"] == "adapt"]
    if adapt["reused"]:
        raise EdgetlError(f"{common[0]}: the head was there already")
    return float(adapt["seconds"])


def _top1(build: FinishedBuild) -> dict[str, float]:
    found = {"float network": build.report.reference.score}
    for bundle in build.report.bundles:
        if bundle.score is not None:
            found[bundle.target] = bundle.score
    return found


def _method(arguments: argparse.Namespace) -> str:
    changed = f" Changed: {', '.join(arguments.overrides)}." if arguments.overrides else ""
    return (
        f"`edgetl build`, mobilenetv2_100 at 224 x 224, {arguments.shots} shots per class, "
        f"{', '.join(arguments.targets)}; everything else as a recipe without further keys has it. Whole build: wall "
        "clock of the process. Stages: their own seconds, of all targets and number formats together. Head alone: the "
        f"adapt stage with `strategy: probe` on the features that are there.{changed}"
    )


def _times(draws: Sequence[Draw]) -> str:
    rows = []
    for kind in draws[0].seconds:
        seconds = [draw.seconds[kind] for draw in draws]
        aim = f"{_AIM_S[kind]:.0f}" if kind in _AIM_S else ""
        rows.append([kind, f"{np.median(seconds):.1f}", f"{min(seconds):.1f} to {max(seconds):.1f}", aim])
    cpu = [draw.cpu_seconds for draw in draws]
    rows.insert(1, ["whole build, of CPU", f"{np.median(cpu):.1f}", f"{min(cpu):.1f} to {max(cpu):.1f}", ""])
    return table(["what", "median, s", "range, s", "aim, s"], rows)


def _answers(draws: Sequence[Draw]) -> str:
    """Top-1 over draws: mean with its 95 % interval, Student's."""
    rows = []
    for name in draws[0].top1:
        values = [100 * draw.top1[name] for draw in draws if name in draw.top1]
        rows.append([name, interval(_mean(values), 1), " ".join(f"{value:.1f}" for value in values)])
    strategies = ", ".join(draw.strategy for draw in draws)
    return table(["", "top-1 %", "draws"], rows) + f"\n\nWhat `auto` chose: {strategies}."


def _mean(values: Sequence[float]) -> Interval:
    """With its 95 % interval over draws (Student's)."""
    mean = float(np.mean(values))
    half = (
        stats.student(len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
        if len(values) > 1
        else np.nan
    )
    return Interval(mean, mean - half, mean + half)


if __name__ == "__main__":
    sys.exit(main())
