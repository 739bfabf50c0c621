"""Processes that take steps: they answer, their death is noticed, and they end with the sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from edgetl.errors import StoreError
from edgetl.sweep.pool import WORKER, Processes
from edgetl.sweep.run import Outcome, Request, run_sweep
from edgetl.sweep.space import Axis, Space
from edgetl.sweep.step import Answer, Step, on_machine
from edgetl.types import Progress, Silent


def step(shared: Path, number: int = 0) -> Step:
    return Step(number, "build", {}, str(shared), str(shared), "trial", "run", "group")


def test_a_process_answers_and_a_killed_one_is_replaced(tmp_path: Path) -> None:
    with Processes(1, tmp_path / "log") as pool:
        pool.submit(step(tmp_path, 1))
        ((_, first),) = pool.wait()
        assert (first.end, "must be on a disk that all machines share" in first.reason) == ("fatal", True)
        (worker,) = (child for child in psutil.Process().children() if WORKER in child.cmdline())
        os.kill(worker.pid, signal.SIGSTOP)
        pool.submit(step(tmp_path, 2))
        os.kill(worker.pid, signal.SIGKILL)
        assert pool.wait() == [(step(tmp_path, 2), Answer("lost", "killed by signal 9"))]
        pool.submit(step(tmp_path, 3))
        ((again, answer),) = pool.wait()
        assert (again.number, answer.end) == (3, "fatal")


def test_a_process_ends_when_its_input_is_closed() -> None:
    process = subprocess.Popen([sys.executable, "-m", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.communicate(timeout=60)[0] == b""
    assert process.returncode == 0


class Scripted:
    """A pool that answers from a list."""

    slots = 2

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers, self.taken, self._waiting = list(answers), list[int](), list[Step]()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def submit(self, step: Step) -> None:
        self.taken.append(step.number)
        self._waiting.append(step)

    def wait(self) -> Sequence[tuple[Step, Answer]]:
        return [(self._waiting.pop(), self.answers.pop(0))]


RAW = {"name": "digits", "data": {"train": "scans"}, "backbone": {"name": "a"}, "targets": ["x86-cpu"]}


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def run(tmp_path: Path, answers: Sequence[Answer], progress: Progress | None = None) -> tuple[Outcome, Scripted]:
    space = Space((Axis("adapt.epochs", (1, 2)),))
    request = Request(RAW, tmp_path, tmp_path / "out", space, "grid", 2, 0, 0.05)
    pool = Scripted(answers)
    return run_sweep(request, lambda folder: pool, progress or Silent()), pool


def test_a_step_whose_process_dies_runs_again_three_times_at_most(tmp_path: Path) -> None:
    lost, bad = Answer("lost", "killed by signal 9"), Answer("failed", "no such network")
    outcome, pool = run(tmp_path, [lost, lost, lost, bad])
    assert sorted(row.reason for row in outcome.rows) == [
        "its process died 3 times: killed by signal 9",
        "no such network",
    ]
    assert sorted(pool.taken) == [0, 1, 1, 1]
    assert outcome.exit_code == 1


def test_failed_trials_are_not_run_again(tmp_path: Path) -> None:
    bad = Answer("failed", "no such network")
    assert run(tmp_path, [bad, bad])[0].ran == 2
    again, pool = run(tmp_path, [])
    assert (again.ran, pool.taken, len(again.rows)) == (0, [], 2)


def test_what_no_trial_survives_ends_the_sweep_and_is_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no space left"):
        run(tmp_path, [Answer("fatal", "no space left")])
    bad = Answer("failed", "no such network")
    assert run(tmp_path, [bad, bad])[0].ran == 2


def test_a_sweep_that_waits_for_another_on_the_machine_says_so(tmp_path: Path) -> None:
    bad, notes = Answer("failed", "no such network"), Notes()
    with on_machine(alone=False):
        run(tmp_path, [bad, bad], notes)
    assert "another sweep works on this machine; measuring waits for the end of its round" in notes.lines
