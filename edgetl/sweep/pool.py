"""Processes on this machine that take steps of trials, one at a time each."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from pydantic import TypeAdapter

from edgetl.sweep.step import Answer, Step

WORKER = "edgetl.sweep.worker"


class Pool(Protocol):
    """Takes steps and answers them in any order."""

    @property
    def slots(self) -> int:
        """How many steps run at once."""

    def submit(self, step: Step) -> None:
        """Start a step; at most `slots` are not answered."""

    def wait(self) -> Sequence[tuple[Step, Answer]]:
        """The steps that ended; waits for one at least."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    steps: IO[bytes]
    answers: IO[bytes]
    step: Step | None = None

    def send(self, step: Step) -> bool:
        """Whether the process took it."""
        try:
            self.steps.write(TypeAdapter(Step).dump_json(step) + b"\n")
            self.steps.flush()
        except BrokenPipeError:
            return False
        self.step = step
        return True

    def close(self) -> None:
        """Close its stdin, which ends it."""
        with suppress(BrokenPipeError):  # what it did not take is lost with it
            self.steps.close()


class Processes:
    """`count` processes, started when they are first needed and again if they die.

    They read steps from stdin, answer on stdout, and end when stdin is closed: with this process, however it ends.
    Nothing listens on a socket, and nothing is pickled.
    """

    def __init__(self, count: int, log: Path) -> None:
        self._count, self._log = count, log
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._ended: list[tuple[Step, Answer]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.process.wait()
            worker.answers.close()
        self._selector.close()

    @property
    def slots(self) -> int:
        return self._count

    def submit(self, step: Step) -> None:
        idle = next((worker for worker in self._workers if worker.step is None), None) or self._start()
        if not idle.send(step):
            self._drop(idle)
            self._ended.append((step, _lost(idle)))

    def wait(self) -> Sequence[tuple[Step, Answer]]:
        while not self._ended:
            for key, _ in self._selector.select():
                self._read(key.data)
        ended, self._ended = self._ended, []
        return ended

    def _read(self, worker: _Worker) -> None:
        line = worker.answers.readline()
        step, worker.step = worker.step, None
        if not line:
            self._drop(worker)
        if step is not None:
            answer = TypeAdapter(Answer).validate_json(line) if line else _lost(worker)
            self._ended.append((step, answer))

    def _start(self) -> _Worker:
        environment = {"OMP_NUM_THREADS": "1", **os.environ}  # results depend on it: the same for any number of workers
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        worker = _Worker(process, process.stdin, process.stdout)
        self._workers.append(worker)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        return worker

    def _drop(self, worker: _Worker) -> None:
        self._selector.unregister(worker.answers)
        self._workers.remove(worker)
        worker.close()
        worker.answers.close()
        worker.process.wait()


def _lost(worker: _Worker) -> Answer:
    code = worker.process.wait()
    return Answer("lost", f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}")
