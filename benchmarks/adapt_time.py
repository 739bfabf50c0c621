"""How long `edgetl adapt` takes: the whole search from pictures on, and a head alone once the features are there.

    python benchmarks/adapt_time.py --data DATA --weights-dir WEIGHTS --work WORK

Every repeat starts in an empty folder. The head is asked for in the same folder afterwards, with
`adapt.strategy: probe`, and finds the features of the search. Each run is a process of its own; the seconds are those
of the adapt stage, which loads torch and timm itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from example_builds import edgetl_program
from result_file import Result, machine_now, table, write_result

_SETS = ("sign_digits",)
_LIMIT_S = {"auto": 180.0, "head": 15.0}


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    times: dict[str, dict[str, list[float]]] = {}
    for name in arguments.sets:
        found: dict[str, list[float]] = {"auto": [], "head": []}
        for _ in range(arguments.repeats):
            folder = arguments.work.resolve() / name
            shutil.rmtree(folder, ignore_errors=True)
            recipe = _write_recipe(folder, arguments.data.resolve() / name, arguments.shots)
            found["auto"].append(_adapt_seconds(recipe, arguments.weights_dir.resolve()))
            found["head"].append(_adapt_seconds(recipe, arguments.weights_dir.resolve(), "adapt.strategy=probe"))
        times[name] = found
    sections = (_method(arguments.shots), _table(times))
    data = {"shots_per_class": arguments.shots, "seconds": times, "limits_seconds": _LIMIT_S}
    print(write_result(Result("adapt-time", "Seconds of adaptation", sections, data), machine))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets, each with {train,val}/<class>/")
    parser.add_argument("--weights-dir", type=Path, required=True, help="folder of pretrained weights")
    parser.add_argument("--work", type=Path, required=True, help="folder that is emptied and worked in")
    parser.add_argument("--sets", nargs="+", default=list(_SETS), help="default: sign_digits, which has ten classes")
    parser.add_argument("--shots", type=int, default=10, help="per class (default 10)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default 3)")
    return parser.parse_args()


def _write_recipe(folder: Path, data: Path, shots: int) -> Path:
    folder.mkdir(parents=True)
    recipe = {
        "name": data.name,
        "data": {"train": str(data / "train"), "val": str(data / "val"), "shots": shots},
        "backbone": {"name": "mobilenetv2_100"},
        "targets": ["x86-cpu"],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def _adapt_seconds(recipe: Path, weights: Path, *settings: str) -> float:
    command = [edgetl_program(), "adapt", str(recipe), "--weights-dir", str(weights), "-q", "--json"]
    command += [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    stages: list[dict[str, Any]] = json.loads(done.stdout)["stages"]
    (adapt,) = [stage for stage in stages if stage["stage"] == "adapt"]
    if adapt["reused"]:
        raise RuntimeError(f"{recipe}: the adapt stage was there already")
    return float(adapt["seconds"])


def _method(shots: int) -> str:
    return (
        f"mobilenetv2_100 at 224 x 224, {shots} shots per class, `strategy: auto` with its budget left at `auto`; then "
        "`strategy: probe` on the features that are there."
    )


def _table(times: dict[str, dict[str, list[float]]]) -> str:
    rows = [
        [name, kind, f"{np.median(seconds):.1f}", f"{min(seconds):.1f} to {max(seconds):.1f}", f"{_LIMIT_S[kind]:.0f}"]
        for name, found in times.items()
        for kind, seconds in found.items()
    ]
    return table(["set", "what", "median, s", "range, s", "aim, s"], rows)


if __name__ == "__main__":
    sys.exit(main())
