"""Stopped from outside while it works: one line, the signal's exit code, no folder and no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from chain import ROOT, Chain
from cli_calls import Done

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STOPPED = "edgetl: stopped; finished stages are kept, run the same command to resume"


def stopped(
    command: Sequence[str | Path], temporary: Path, number: signal.Signals, when: Callable[[int], bool]
) -> tuple[Done, list[int]]:
    """Run `edgetl COMMAND`, send it the signal when `when(its pid)`; and the children that outlive it."""
    temporary.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "edgetl", *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_as_in_a_terminal,
    ) as process:
        until = time.monotonic() + 120
        while not when(process.pid) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        children = children_of(process.pid)
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()  # else leaving `with` would wait for it
            raise
    until = time.monotonic() + 20  # one that was just being started ends when it finds nobody to ask it
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    return Done(process.returncode, out, err), [child for child in children if Path(f"/proc/{child}").exists()]


def _as_in_a_terminal() -> None:
    # nohup ignores the first, a shell's background the second; tests may run under both
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def bench(chain: Chain) -> list[str | Path]:
    return ["bench", chain.bundle("x86-cpu"), "--data", chain.recipe.parent / "scans", "--quiet"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_sigterm_leftovers_in_the_cold_start_of_a_bench(
    chain: Chain, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Case sigterm-leftovers: the temporary folder stayed, and nothing was said."""
    done, children = stopped(bench(chain), tmp_path / "t", number, lambda pid: bool(children_of(pid)))
    assert (done.code, done.lines) == (code, [STOPPED])
    assert list((tmp_path / "t").iterdir()) == []
    assert children == []


def test_ctrl_c_ends_loadgen_at_once_and_leaves_no_process(chain: Chain, tmp_path: Path) -> None:
    """LoadGen would run for its ten minutes: it takes no interrupt."""
    logs = tmp_path / "logs"
    call = ("loadgen", chain.bundle("x86-cpu"), "--scenario", "server", "--target-qps", "2", "--latency-ms", "50")
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    begins: list[str | Path] = [*call, "--duration", "600", "--log-dir", logs, "--quiet"]
    done, children = stopped(begins, tmp_path / "t", signal.SIGINT, lambda _: (logs / "mlperf_log_detail.txt").exists())
    assert (done.code, done.lines) == (130, [STOPPED])
    assert list((tmp_path / "t").iterdir()) == []
    assert children == []


def test_sigterm_leftovers_of_sigkill_go_with_the_next_run(chain: Chain, tmp_path: Path) -> None:
    place = tmp_path / "t"
    done, _ = stopped(bench(chain), place, signal.SIGKILL, lambda pid: bool(children_of(pid)))
    assert done.code == -signal.SIGKILL
    (left,) = place.iterdir()
    os.utime(left, (time.time() - 120,) * 2)  # as if it had been left two minutes ago
    done, _ = stopped(bench(chain), place, signal.SIGTERM, lambda pid: bool(children_of(pid)))
    assert done.code == 143
    assert list(place.iterdir()) == []


def test_sigterm_leftovers_of_a_build_none_and_what_was_finished_is_kept(chain: Chain, tmp_path: Path) -> None:
    out = tmp_path / "build"
    build: list[str | Path] = ["build", chain.recipe, "--out", out, "--quiet"]
    done, children = stopped(build, tmp_path / "t", signal.SIGTERM, lambda _: (out / "scratch" / "adapt").is_dir())
    assert (done.code, done.lines) == (143, [STOPPED])
    assert {path.name.partition("-")[0] for path in (out / "stages").glob("*.json")} == {"data", "check"}
    assert not (out / "scratch").exists()
    assert not list(out.rglob("*.part"))
    assert not list((tmp_path / "t").glob("edgetl-*"))  # torch makes a folder of its own there
    assert children == []
