"""Does a sweep find the same front on one process, on four, on Ray with a node that dies, and after ten kills?

    python benchmarks/sweep.py --work WORK [--ways one four ray killed] [--kills 10] [--trials 24] --write

24 trials on the digits that ship with the package: three input sizes, four heads, two number formats. Each way works
in a folder of its own in WORK; a finished one is not repeated. `ray` needs the extra of that name.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from result_file import Result, add_write_option, deliver, machine_now, number, table

from edgetl.cli.demo_files import write_demo
from edgetl.errors import EdgetlError
from edgetl.files.durable import write_text
from edgetl.types import Silent

ROOT = Path(__file__).resolve().parents[1]
WAYS = ("one", "four", "ray", "killed")
SPACE: dict[str, list[str | int]] = {
    "backbone.input_size": [32, 48, 64],
    "adapt.head": ["ncm", "cosine", "ridge", "logistic"],
    "choose": ["int8", "float32"],
}
_NOTES = """\
Ways: `one` and `four` processes; `ray`: two nodes with one CPU each, the second is killed while both adapt a network;
`killed`: four processes, and SIGKILL to the whole process group at random moments, the same command after each. Same
table: all trials with equal settings, states, accuracies, sizes and verdicts as `one`; latencies are measured anew by
each way. Same front: of trials, with the latencies of that way."""


@dataclass(frozen=True)
class Found:
    """What one way ended with. table  rows without latencies"""

    way: str
    front: tuple[int, ...]
    table: tuple[dict[str, Any], ...]
    latencies_ms: tuple[float | None, ...]
    seconds: float
    kills: int


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    recipe = _write_recipe(arguments.work)
    found = [_once(arguments, recipe, way) for way in arguments.ways]
    deliver(result_of(found), machine, arguments.write)
    return 0 if all(_same(each, found[0]) == (True, True) for each in found) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder for the sweeps")
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY", help=", ".join(WAYS))
    add("--kills", type=int, default=10, help="of the way `killed` (default: 10)")
    add("--trials", type=int, default=24, help="of each sweep (default: 24, the whole grid)")
    add("--resolution", type=float, default=5.0, help="of latencies, in percent (default: 5)")
    add_write_option(parser)
    return parser.parse_args()


def _write_recipe(work: Path) -> Path:
    write_demo(work, Silent())
    recipe = work / "sweep-recipe.yaml"
    content = {
        "name": "digits",
        "data": {"train": "scans", "shots": 10, "augment": "text", "resize": "squash", "max_val_images": 500},
        "backbone": {"name": "edgetl:printed_characters"},
        "adapt": {"strategy": "probe"},
        "quantize": {"method": "ptq"},
        "check": {"features": False},
        "targets": ["x86-cpu"],
        "gates": {"max_drop_points": 1.0},
    }
    write_text(recipe, yaml.safe_dump(content))
    write_text(work / "space.yaml", yaml.safe_dump(SPACE, sort_keys=False))
    return recipe


def _once(arguments: argparse.Namespace, recipe: Path, way: str) -> Found:
    place = arguments.work / f"{way}.json"
    if place.is_file():
        value = json.loads(place.read_text(encoding="utf-8"))
        return Found(**value | {key: tuple(value[key]) for key in ("front", "table", "latencies_ms")})
    command = [
        *(sys.executable, "-m", "edgetl", "sweep", str(recipe), "--space", str(arguments.work / "space.yaml")),
        *("--out", str(arguments.work / way), "--json", "--sampler", "grid", "--trials", str(arguments.trials)),
        *("--resolution", str(arguments.resolution)),
    ]
    started = time.monotonic()
    if way == "ray":
        document, kills = _on_ray(command, arguments.work / way), 1
    else:
        command += ["--jobs", "1" if way == "one" else "4"]
        kills = arguments.kills if way == "killed" else 0
        _kill(command, arguments.work, kills)
        document = _finish(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    found = Found(
        way,
        tuple(sorted(document["front"])),
        tuple({key: row[key] for key in row if not key.startswith("p50")} for row in document["trials"]),
        tuple(row["p50_ms"] for row in document["trials"]),
        round(time.monotonic() - started, 1),
        kills,
    )
    write_text(place, json.dumps(asdict(found), indent=1) + "\n")
    return found


def _finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    text, _ = process.communicate()
    if process.returncode not in (0, 3):
        raise EdgetlError(f"edgetl sweep ended with exit code {process.returncode}")
    document: dict[str, Any] = json.loads(text)
    return document


def _kill(command: Sequence[str], work: Path, kills: int) -> None:
    """Kill the process group at random moments: after so many more stages, and up to two seconds."""
    chance = random.Random(0)
    stages = work / "killed" / "stages"
    made = 8 * len(SPACE["adapt.head"]) * len(SPACE["backbone.input_size"])  # about so many stages in all
    for moment in sorted(chance.uniform(0, made) for _ in range(kills)):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        _wait(process, lambda moment=moment: len(list(stages.glob("*.json"))) >= moment)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 2))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[Any], condition: Callable[[], bool]) -> None:
    while not condition() and process.poll() is None:
        time.sleep(0.05)


def _on_ray(command: Sequence[str], out: Path) -> dict[str, Any]:
    program = ROOT / "tests" / "ray_cluster.py"
    cluster = subprocess.Popen([sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    try:
        address = cluster.stdout.readline().strip()
        process = subprocess.Popen([*command, "--ray", address], stdout=subprocess.PIPE, text=True)
        _wait(process, lambda: len(list((out / "locks").glob("adapt-*"))) >= 2)
        cluster.stdin.write("kill\n")
        cluster.stdin.flush()
        return _finish(process)
    finally:
        cluster.communicate()


def _same(found: Found, first: Found) -> tuple[bool, bool]:
    """Whether table and front are those of the first way."""
    return found.table == first.table, found.front == first.front


def result_of(found: Sequence[Found]) -> Result:
    rows = [
        [
            each.way,
            str(each.kills),
            str(len(each.table)),
            "yes" if _same(each, found[0])[0] else "no",
            ", ".join(map(str, each.front)),
            "yes" if _same(each, found[0])[1] else "no",
            number(each.seconds, 0),
        ]
        for each in found
    ]
    header = ("way", "kills", "trials", f"table of `{found[0].way}`", "front", f"front of `{found[0].way}`", "seconds")
    return Result(
        "sweep",
        "One sweep in several ways",
        (_NOTES, table(header, rows)),
        {"ways": [asdict(each) for each in found]},
    )


if __name__ == "__main__":
    sys.exit(main())
