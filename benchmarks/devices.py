"""Does `edgetl bench --on` measure what the program measures there by hand? And what do dropped connections cost?

    python benchmarks/devices.py BUNDLE --program build/native/bin/edgetl-bench [--pairs 21] [--drops 50]

The devices are two sshd on loopback. Needs openssh-server and the C++ programs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from engine_library import engine_library
from result_file import Result, add_write_option, deliver, interval, machine_now, number, table

from edgetl.bench import time_stats
from edgetl.bundle.manifest import read_manifest
from edgetl.errors import EdgetlError
from edgetl.types import Interval

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from loopback import SSHD_PACKAGES, Board, Loopback, loopback, sshd

_LIMIT = 0.03
_NOTES = """\
`edgetl bench --on a` and the same program started by hand take turns on the same bundle: 300 timed inferences in a
fresh process, one thread. The ratio is that of the p50 of a pair, over ssh / by hand; its median over the pairs with a
distribution-free interval."""
_NOTES_DROPS = """\
`edgetl bench --on a --on b`; at a random moment after `b` accepted the connection every process of its sshd is killed.
The same command follows. Lost: a result of `a` that is not taken over, or none of `b` from the second command. Left:
files, folders or programs on a device 15 s after the first command."""


@dataclass(frozen=True)
class Compared:
    """p50 in milliseconds per pair; `ratio` is over ssh / by hand."""

    over_ssh_p50_ms: tuple[float, ...]
    by_hand_p50_ms: tuple[float, ...]
    ratio: Interval


@dataclass(frozen=True)
class Drops:
    """What happened in `count` runs; `ended` are those that a drop ended."""

    count: int
    ended: int
    lost: int
    left: int


def main() -> int:
    arguments = _arguments()
    if sshd() is None:
        print(f"no sshd here: {SSHD_PACKAGES}", file=sys.stderr)
        return 1
    machine = machine_now()
    with tempfile.TemporaryDirectory(prefix="edgetl-boards-") as folder:
        hosts = loopback(Path(folder))
        try:
            boards = hosts.board("a"), hosts.board("b")
            command = _command(arguments.bundle, arguments.program, hosts)
            compared = _compare(command, arguments.bundle, arguments.program, arguments.pairs)
            drops = _drop(command, boards, arguments.drops)
        except EdgetlError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            hosts.close()
    data = {"limit": _LIMIT, "bundle": arguments.bundle.name, "p50": asdict(compared), "drops": asdict(drops)}
    sections = (_NOTES, _table(arguments.bundle.name, compared), _NOTES_DROPS, _drops_table(drops))
    deliver(Result("devices", "Measuring on devices over ssh", sections, data), machine, arguments.write)
    return 0 if abs(compared.ratio.value - 1) <= _LIMIT and not drops.lost and not drops.left else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--program", type=Path, required=True, help="the built edgetl-bench")
    parser.add_argument("--pairs", type=int, default=21, help="an interval of 95 %% needs at least 6")
    parser.add_argument("--drops", type=int, default=50)
    add_write_option(parser)
    return parser.parse_args()


def _command(bundle: Path, program: Path, hosts: Loopback) -> list[str]:
    backend = read_manifest(bundle).compiled.backend
    engines = {"engines": {backend: str(engine_library(backend))}}
    devices = hosts.devices(program.resolve().parent, a=engines, b=engines)
    place = ["--devices", str(devices), "--ssh-config", str(hosts.config)]
    return [sys.executable, "-m", "edgetl", "bench", str(bundle), "--json", "--cold-starts", "0", *place]


def _compare(command: Sequence[str], bundle: Path, program: Path, pairs: int) -> Compared:
    library = engine_library(read_manifest(bundle).compiled.backend)
    by_hand = [str(program), str(bundle), "--json", "--cold-starts", "0", "--engine-library", str(library)]
    times: dict[str, list[float]] = {"ssh": [], "hand": []}
    for pair in range(pairs):
        turns = [("ssh", [*command, "--on", "a"]), ("hand", by_hand)]
        for side, each in turns if pair % 2 else reversed(turns):
            times[side].append(float(_json(each)["bundles"][0]["p50_ms"]["value"]))
    ratio = time_stats.quantile(np.array(times["ssh"]) / np.array(times["hand"]), 0.5, block=None)
    if ratio is None:
        raise EdgetlError(f"{pairs} pairs are too few for an interval; expected at least 6: --pairs 11")
    return Compared(tuple(times["ssh"]), tuple(times["hand"]), ratio)


def _json(command: Sequence[str]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EdgetlError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _drop(command: Sequence[str], boards: tuple[Board, Board], count: int) -> Drops:
    chance, both = random.Random(0), [*command, "--on", "a", "--on", "b"]
    span_s = _span_s(both, boards[1])
    ended = lost = left = 0
    for _ in range(count):
        thread = threading.Thread(target=_wait_and_drop, args=(boards[1], chance.uniform(0, span_s)))
        thread.start()
        first = subprocess.run(both, capture_output=True, text=True, check=False)
        thread.join()
        left += any(board.left_behind() or board.programs() for board in boards)
        dropped = first.returncode != 0
        ended += dropped
        here = json.loads(first.stdout)["devices"][0]["result"]
        again = _json(both)["devices"]
        lost += here is None or again[1]["result"] is None or (dropped and again[0]["result"] != here)
    return Drops(count, ended, lost, left)


def _span_s(command: Sequence[str], board: Board) -> float:
    """How long a device is connected, in seconds."""
    before = board.connections()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _wait_for_connection(board, before)
    began = time.monotonic()
    if process.wait():
        raise EdgetlError(f"{' '.join(command)} failed")
    return time.monotonic() - began


def _wait_and_drop(board: Board, delay_s: float) -> None:
    _wait_for_connection(board, board.connections())
    time.sleep(delay_s)
    board.drop()


def _wait_for_connection(board: Board, before: int) -> None:
    end = time.monotonic() + 120
    while board.connections() == before and time.monotonic() < end:
        time.sleep(0.002)


def _table(bundle: str, compared: Compared) -> str:
    head = ("bundle", "over ssh p50 ms", "by hand p50 ms", "over ssh / by hand", "within 3 %")
    medians = (float(np.median(compared.over_ssh_p50_ms)), float(np.median(compared.by_hand_p50_ms)))
    within = "yes" if abs(compared.ratio.value - 1) <= _LIMIT else "no"
    return table(head, [(bundle, *(number(each, 3) for each in medians), interval(compared.ratio, 3), within)], left=1)


def _drops_table(drops: Drops) -> str:
    head = ("runs", "ended by the drop", "results lost", "runs that left something")
    return table(head, [tuple(str(each) for each in asdict(drops).values())], left=0)


if __name__ == "__main__":
    os.environ.pop("EDGETL_SSH_CONFIG", None)
    sys.exit(main())
