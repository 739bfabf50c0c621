"""How much time and memory `edgetl quantize` takes: for calibration alone, and with quantization-aware training.

    python benchmarks/quantize_time.py --data DATA --weights-dir WEIGHTS --work WORK
    python benchmarks/quantize_time.py --data DATA --weights-dir WEIGHTS --work WORK --against CHECKOUT

Each network gets a new head once (`adapt.strategy: probe`); every repeat then quantizes it from nothing. With
`--against`, the folder of an older checkout, both take turns. Each run is a process of its own; the seconds are those
of the quantize stage, which loads torch and timm itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from example_builds import parser_on_sets
from result_file import NOTHING, REPOSITORY, Result, add_write_option, deliver, interval, machine_now, table

from edgetl.bench.time_stats import over_repeats

_NETWORKS = ("mobilenetv2_100",)
_METHODS = ("ptq", "qat")
_HERE, _OLDER = "this", "older"


@dataclass(frozen=True)
class Run:
    """One run of the quantize stage."""

    network: str
    method: str
    code: str
    seconds: float
    peak_rss_bytes: int


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    codes = {_HERE: REPOSITORY} | ({_OLDER: arguments.against.resolve()} if arguments.against else {})
    runs: list[Run] = []
    for network in arguments.networks:
        recipes = {code: _write_recipe(arguments, network, code) for code in codes}
        for code, recipe in recipes.items():
            _edgetl(codes[code], recipe, arguments.weights_dir, "adapt")
        for _ in range(arguments.repeats):
            for method in _METHODS:
                runs += [_quantize(network, method, code, codes[code], recipes[code], arguments) for code in codes]
    sections = (_method(arguments), _table(runs, arguments.networks, list(codes)))
    data = {"shots_per_class": arguments.shots, "runs": [vars(run) for run in runs]}
    deliver(Result("quantize-time", "Seconds of quantization", sections, data), machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = parser_on_sets(__doc__)
    add = parser.add_argument
    add("--against", type=Path, metavar="CHECKOUT", help="an older checkout, to be run in turns with this one")
    add("--networks", nargs="+", default=list(_NETWORKS), help=f"default: {' '.join(_NETWORKS)}")
    add("--dataset", default="neu_steel", help="default: neu_steel")
    add("--shots", type=int, default=10, help="per class (default 10)")
    add("--repeats", type=int, default=3, help="runs of each (default 3)")
    add_write_option(parser)
    found = parser.parse_args()
    if found.against and not (found.against / "edgetl" / "__init__.py").is_file():
        parser.error(f"--against: {found.against} has no package edgetl; expected the folder of a checkout")
    if found.repeats < 1:
        parser.error("--repeats: expected at least 1")
    return found


def _write_recipe(arguments: argparse.Namespace, network: str, code: str) -> Path:
    data = arguments.data.resolve() / arguments.dataset
    folder: Path = arguments.work.resolve() / f"{network}-{code}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe = {
        "name": data.name,
        "data": {"train": str(data / "train"), "val": str(data / "val"), "shots": arguments.shots},
        "check": {"allow_leak": True, "features": False},
        "backbone": {"name": network},
        "adapt": {"strategy": "probe"},
        "out": "out",
        "targets": ["x86-cpu"],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def _quantize(network: str, method: str, code: str, checkout: Path, recipe: Path, arguments: argparse.Namespace) -> Run:
    out = recipe.parent / "out"
    for left in [*out.glob("stages/quantize-*"), out / "cache" / "ranges"]:
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    found = _edgetl(checkout, recipe, arguments.weights_dir, "quantize", "--set", f"quantize.method={method}")
    (stage,) = [each for each in found["stages"] if each["stage"] == "quantize"]
    if stage["reused"]:
        raise RuntimeError(f"{recipe}: the quantize stage was there already")
    return Run(network, method, code, float(stage["seconds"]), int(stage["peak_rss_bytes"]))


def _edgetl(checkout: Path, recipe: Path, weights: Path, command: str, *settings: str) -> dict[str, Any]:
    line = [sys.executable, "-m", "edgetl", command, str(recipe), "--weights-dir", str(weights.resolve())]
    done = subprocess.run(
        [*line, *settings, "-q", "--json"],
        cwd=recipe.parent,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _method(arguments: argparse.Namespace) -> str:
    summary = f"{arguments.dataset}, {arguments.shots} shots per class, pictures and schedule as the recipe's defaults."
    return f"{summary} `older` is the code before, in turns with `this`." if arguments.against else summary


def _table(runs: list[Run], networks: list[str], codes: list[str]) -> str:
    rows = []
    for network in networks:
        for method in _METHODS:
            of = {code: [run for run in runs if (run.network, run.method, run.code) == (network, method, code)]
                  for code in codes}  # fmt: skip
            rows += [[network, method, code, *_cells(of[code]), _faster(of, code)] for code in codes]
    return table(["network", "method", "code", "median, s", "range, s", "peak memory, MB", "times as fast"], rows)


def _cells(runs: list[Run]) -> list[str]:
    seconds = [run.seconds for run in runs]
    peak = max(run.peak_rss_bytes for run in runs) / 1e6
    return [f"{np.median(seconds):.1f}", f"{min(seconds):.1f} to {max(seconds):.1f}", f"{peak:.0f}"]


def _faster(of: dict[str, list[Run]], code: str) -> str:
    if code != _HERE or _OLDER not in of or len(of[code]) < 2:
        return NOTHING
    ratios = [old.seconds / new.seconds for old, new in zip(of[_OLDER], of[_HERE], strict=True)]
    return interval(over_repeats(ratios), 2)


if __name__ == "__main__":
    sys.exit(main())
