"""Runs a sweep in rounds: build the trials of a round side by side, then measure them one after another, alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgetl.errors import StoreError, UsageError
from edgetl.files.digest import value_digest
from edgetl.files.durable import write_text
from edgetl.report import words
from edgetl.store.results import disk_errors, open_store
from edgetl.sweep.front import front
from edgetl.sweep.plan import ROUND, Plan, SamplerName
from edgetl.sweep.pool import Pool
from edgetl.sweep.row import Row, failed, row_of
from edgetl.sweep.space import Settings, Space, with_settings
from edgetl.sweep.step import Answer, Kind, Step, others_work
from edgetl.sweep.study import FILE, Study
from edgetl.types import Progress

SWEEPS = "sweeps"
_LIVES = 3
AFTER_ADAPT = ("targets", "calibration", "quantize", "surgery", "choose", "repair")


@dataclass(frozen=True)
class Request:
    """raw      the recipe as plain values, `--set` included; base  the folder that its paths are relative to
    out      output folder, absolute
    dirs     of weights, targets and calibration profiles
    """

    raw: dict[str, Any]
    base: Path
    out: Path
    space: Space
    sampler: SamplerName
    trials: int
    seed: int
    resolution: float
    weights_dirs: tuple[Path, ...] = ()
    targets_dirs: tuple[Path, ...] = ()
    calibration_dirs: tuple[Path, ...] = ()

    @property
    def described(self) -> dict[str, Any]:
        """What the trials depend on; the number of them may grow."""
        return {
            "recipe": self.raw,
            "base": str(self.base),
            "space": self.space.to_json(),
            "sampler": self.sampler,
            "seed": self.seed,
        }

    @property
    def folder(self) -> Path:
        """Of this sweep, relative to `out`."""
        return Path(SWEEPS) / value_digest(self.described)[:8]

    def plan(self) -> Plan:
        return Plan(self.space, self.sampler, self.seed, self.resolution)

    def step(self, kind: Kind, number: int, settings: Settings) -> Step:
        before = {key: value for key, value in settings.items() if key.partition(".")[0] not in AFTER_ADAPT}
        return Step(
            number=number,
            kind=kind,
            raw=with_settings(self.raw, settings),
            base=str(self.base),
            shared=str(self.out),
            folder=self.trial_folder(number).as_posix(),
            run=f"{SWEEPS}-{self.folder.name}-{number:03}",
            group=value_digest(before),
            weights_dirs=tuple(map(str, self.weights_dirs)),
            targets_dirs=tuple(map(str, self.targets_dirs)),
            calibration_dirs=tuple(map(str, self.calibration_dirs)),
        )

    def trial_folder(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:03}"


@dataclass(frozen=True)
class Outcome:
    """ran  trials that this command ran; rows  all trials, by number; front  of them, fastest first"""

    request: Request
    rows: tuple[Row, ...]
    front: tuple[Row, ...]
    ran: int = 0
    exhausted: bool = False

    @property
    def metric(self) -> str:
        return next((row.metric for row in self.rows if row.metric), "top-1")

    @property
    def exit_code(self) -> int:
        """1 if every trial failed, 3 if none passes the recipe's gates, else 0."""
        if all(row.state == "failed" for row in self.rows):
            return 1
        return 0 if any(row.verdict != "fail" for row in self.rows if row.state != "failed") else 3


def run_sweep(
    request: Request,
    open_pool: Callable[[Path], AbstractContextManager[Pool]],
    progress: Progress,
    *,
    retry_failed: bool = False,
    publish: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Run all trials that are not finished.

    open_pool  gets the folder for its log
    publish    is called after each round
    raises     StoreError if `request.out` cannot be used or another edgetl works in it.
    """
    folder = request.out / request.folder
    with open_store(request.out, "sweep", progress.note), disk_errors(request.out):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "sweep.json", json.dumps(request.described, indent=1, ensure_ascii=False) + "\n")
        study = Study(folder / FILE, request.space)
        try:
            if retry_failed and (count := study.forget_failed()):
                progress.note(f"{words.count(count, 'failed trial')} run again")
            with open_pool(folder) as pool:
                return _Sweep(request, study, pool, progress, publish).run()
        finally:
            study.close()


class _Sweep:
    def __init__(
        self, request: Request, study: Study, pool: Pool, progress: Progress, publish: Callable[[Outcome], None]
    ) -> None:
        self.request, self.study, self.pool, self.progress = request, study, pool, progress
        self._publish, self._ran = publish, 0

    def run(self) -> Outcome:
        plan, number, trials = self.request.plan(), 0, self.request.trials
        rows: list[Row] = []
        exhausted = False
        while number < trials and not exhausted:
            wanted = min(ROUND, trials - number)
            settings = plan.ask(number, wanted)
            exhausted = len(settings) < wanted
            made = self._round(number, settings)
            plan.learn(made)
            rows += made
            number += len(settings)
            if made:
                self._publish(self._outcome(rows, exhausted))
        return self._outcome(rows, exhausted)

    def _outcome(self, rows: Sequence[Row], exhausted: bool) -> Outcome:
        return Outcome(self.request, tuple(rows), front(rows, self.request.resolution), self._ran, exhausted)

    def _round(self, first: int, asked: Sequence[Settings]) -> list[Row]:
        due = {first + place: settings for place, settings in enumerate(asked) if first + place not in self.study.rows}
        built = self._build(due)
        if due and others_work():
            self.progress.note("another sweep works on this machine; measuring waits for the end of its round")
        label = f"measuring trials {first} to {first + len(asked) - 1}"
        with self.progress.task(label, len(due)) as advance:
            for number, settings in due.items():
                self._record(number, settings, built[number])
                advance()
        return [self.study.rows[first + place] for place in range(len(asked))]

    def _record(self, number: int, settings: Settings, built: Answer) -> None:
        answer = built
        if built.end == "done":
            (answer,) = self._run([self.request.step("measure", number, settings)], lambda: None).values()
        values = dict(settings)
        row = (
            row_of(number, values, self.request.out, self.request.trial_folder(number))
            if answer.end == "done"
            else failed(number, values, answer.reason)
        )
        self.study.add(row)
        self._ran += 1
        self.progress.note(sentence(row))

    def _build(self, due: dict[int, Settings]) -> dict[int, Answer]:
        steps = [self.request.step("build", number, settings) for number, settings in due.items()]
        if not steps:
            return {}
        with self.progress.task(f"building trials {steps[0].number} to {steps[-1].number}", len(steps)) as advance:
            return self._run(steps, advance)

    def _run(self, steps: Sequence[Step], ended: Callable[[], None]) -> dict[int, Answer]:
        """Answers by number. A step whose process died is taken again, at most three times."""
        waiting, running, answers = list(steps), dict[int, Step](), dict[int, Answer]()
        warm, deaths = set[str](), dict[int, int]()
        while waiting or running:
            while len(running) < self.pool.slots and (step := _next(waiting, running, warm)):
                waiting.remove(step)
                running[step.number] = step
                self.pool.submit(step)
            for step, answer in self.pool.wait():
                del running[step.number]
                if answer.end == "fatal":
                    raise StoreError(answer.reason)
                if answer.end == "lost":
                    deaths[step.number] = deaths.get(step.number, 0) + 1
                    if deaths[step.number] < _LIVES:
                        self.progress.note(f"trial {step.number}: its process was {answer.reason}; it runs again")
                        waiting.insert(0, step)
                        continue
                    answer = Answer("failed", f"its process died {_LIVES} times: {answer.reason}")
                warm.add(step.group)
                answers[step.number] = answer
                ended()
        return answers


def _next(waiting: Sequence[Step], running: dict[int, Step], warm: set[str]) -> Step | None:
    """A step to start; not one that would wait for the adaptation of another that runs."""
    busy = {step.group for step in running.values()} - warm
    return next((step for step in waiting if step.group not in busy), None)


def sentence(row: Row) -> str:
    """`trial 7: 93.3 % top-1, 0.41 ms, 1.2 MB`."""
    start = f"trial {row.number}: "
    if row.state != "measured":
        return f"{start}{row.state}: {row.reason}"
    figures = (words.scored(row.score, row.metric), f"{words.milliseconds(row.p50_ms)} ms", words.size(row.size_bytes))
    missed = "" if row.verdict == "pass" else f"; gates: {row.verdict}"
    return start + ", ".join(figures) + missed


def recipe_of(request: Request, number: int) -> str:
    """The recipe of a finished trial, as a file beside the sweep's own. Raises UsageError if there is no such trial."""
    path = request.out / request.folder / FILE
    rows = Study(path, request.space).rows if path.is_file() else {}
    if number not in rows:
        have = f"trials 0 to {max(rows)} are finished" if rows else "none is finished"
        raise UsageError(f"{request.out}: no trial {number} of this sweep: {have}")
    raw = with_settings(request.raw, rows[number].settings) | {"name": f"{request.raw['name']}-{number}"}
    raw.pop("out", None)  # that of another build
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
