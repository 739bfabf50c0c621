"""Compares backbones for a recipe's images and one target, without training them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.errors import BackendError, DataError, EdgetlError, StoreError, UsageError
from edgetl.explore.select.backbones import candidates
from edgetl.explore.select.result import Budget, Cost, Row, Selection, Transfer, failed, judge, ranked
from edgetl.explore.select.stages import (
    Candidate,
    compile_stage,
    cost_on_paper,
    float_stage,
    latency_stage,
    obstacle,
    read_cost,
    transfer_stage,
)
from edgetl.files.durable import write_text
from edgetl.files.text import duration
from edgetl.recipes.job import Job
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.run import Run
from edgetl.stages.split import split_stage
from edgetl.stages.weights import Weights
from edgetl.store.results import StageResult, disk_errors, open_store
from edgetl.types import Missing, Progress, Split, Target

JSON_FILE, PLOT_FILE = "select.json", "select.png"

_WORTH_SAYING_S = 10.0
_MAX_OPEN_BYTES = 1_000_000_000  # limit of float models that are open, and so timed, together


def select(job: Job, names: Sequence[str], target: Target | None, budget: Budget, progress: Progress) -> Selection:
    """Rank backbones by transferability within a budget; write select.json and select.png into `job.out`.

    names   backbones to compare; without any, the recipe's own and every timm folder of `job.weights_folders`
    target  where latency is measured; None: the first target of the recipe that can be measured here
    A candidate that fails is a row with the reason. Results are cached.
    raises  UsageError for another front than images, and for a latency budget on a target that cannot be measured here;
            EdgetlError if all fail.
    """
    if job.recipe.front != "image":
        raise UsageError(
            f"front: select compares networks for images; with front: {job.recipe.front} name one in `backbone.name` "
            "(docs/guide/audio.md)"
        )
    if job.recipe.data.labels:
        raise UsageError("data.labels: select compares networks for one head; leave all but one column out")
    chosen = target or next((each for each in job.targets if obstacle(each) is None), job.targets[0])
    hindrance = obstacle(chosen)
    if hindrance and budget.max_ms is not None:
        raise UsageError(
            f"--max-ms: target {chosen.name} cannot be measured here: {_sentence(hindrance)}; leave --max-ms out, or "
            "choose another one with --target"
        )
    backbones = candidates(job.recipe.backbone, names, job.weights_folders, job.recipe.task)
    with open_store(job.out, "select", progress.note) as store:
        split, _ = split_stage(store, job, progress)
        if job.recipe.task == "classification":
            _require_classes(split)
        run = Run(store, job, split, progress)
        results = _compare_all(run, backbones, None if hindrance else chosen)
        compared = {name: result for name, result in results.items() if isinstance(result, _Compared)}
        costs = _timed(run, compared, chosen)
        rows = [result for result in results.values() if isinstance(result, Row)]
        rows += [
            judge(name, each.transfer, cost, budget) if isinstance(cost := costs[name], Cost) else cost
            for name, each in compared.items()
        ]
        found = Selection(
            recipe=job.recipe.name,
            target=chosen.name,
            unmeasured=_sentence(hindrance) if hindrance else "",
            threads=job.recipe.bench.threads,
            budget=budget,
            rows=ranked(rows),
        )
        _refuse_nothing(found)
        _publish(found, job.out)
    return found


@dataclass(frozen=True)
class _Compared:
    """A candidate that succeeded; `compiled` is None if the target cannot be measured here."""

    transfer: Transfer
    made: StageResult
    compiled: StageResult | None


def _compare_all(run: Run, backbones: Sequence[Backbone], target: Target | None) -> dict[str, _Compared | Row]:
    results: dict[str, _Compared | Row] = {}
    start = time.monotonic()
    for number, each in enumerate(backbones):
        left = (time.monotonic() - start) / number * (len(backbones) - number) if number else 0.0
        text = f", about {duration(left)} left" if left >= _WORTH_SAYING_S else ""
        run.progress.note(f"comparing {each.name} ({number + 1} of {len(backbones)}{text})")
        results[each.name] = _compare(run, each, target)
    return results


def _compare(run: Run, backbone: Backbone, target: Target | None) -> _Compared | Row:
    try:
        weights = Weights(backbone, run.job.base, run.job.weights_folders, run.store.out, run.progress)
        candidate = Candidate(run, backbone, weights.source)
        transfer = transfer_stage(candidate)
        made = float_stage(candidate)
        compiled = compile_stage(run, made, target) if target else None
    except (StoreError, ModuleNotFoundError):
        raise
    except Exception as error:  # whatever an unusual network raises in its library, the others are still compared
        return _left_out(backbone.name, error, run.progress)
    return _Compared(transfer, made, compiled)


def _left_out(name: str, error: Exception, progress: Progress) -> Row:
    reason = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, EdgetlError):
        reason = f"cannot be used: {reason}"
    progress.note(f"{name}: {reason}")
    return failed(name, reason)


def _timed(run: Run, compared: Mapping[str, _Compared], target: Target) -> dict[str, Cost | Row]:
    """Costs by name, with latencies if there is a compiled model; the failed row of one that cannot be timed."""
    models = {name: (each.made, each.compiled) for name, each in compared.items() if each.compiled}
    timed: dict[str, Cost | Row] = {}

    def time_together(names: Sequence[str]) -> None:
        timed.update(latency_stage(run, {name: models[name] for name in names}, target))

    for group in _groups({name: read_cost(compiled).size_bytes for name, (_, compiled) in models.items()}):
        try:
            time_together(group)
        except BackendError:
            # one of them failed: time each alone to find out which
            for name in group:
                try:
                    time_together([name])
                except BackendError as error:
                    timed[name] = _left_out(name, error, run.progress)
    return {name: timed.get(name) or cost_on_paper(each.made) for name, each in compared.items()}


def _groups(sizes: Mapping[str, int]) -> list[list[str]]:
    """Names in their order, in groups that may be open together."""
    groups: list[list[str]] = []
    room = 0
    for name, size in sizes.items():
        if not groups or size > room:
            groups.append([])
            room = _MAX_OPEN_BYTES
        groups[-1].append(name)
        room -= size
    return groups


def _require_classes(split: Split) -> None:
    if len(split.classes) < 2:
        raise DataError(f"expected at least two classes; found {len(split.classes)}: add a second one")


def _refuse_nothing(found: Selection) -> None:
    if all(row.verdict == "failed" for row in found.rows):
        reasons = "\n".join(f"{row.name}: {row.reason}" for row in found.rows)
        raise EdgetlError(f"none of {len(found.rows)} backbones could be compared\n{reasons}")


def _publish(found: Selection, out: Path) -> None:
    from edgetl.explore.select.plot import draw

    with disk_errors(out):
        write_text(out / JSON_FILE, json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        draw(found, out / PLOT_FILE)


def _sentence(missing: Missing) -> str:
    return f"{missing.reason}; {missing.remedy}"
