"""From a recipe to the ranking: the chain up to the pivot, then the layers of one target's INT8 network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.blame.latency import Timed, obstacle, time_layers
from edgetl.blame.measure import measure_accuracy, measure_layers
from edgetl.blame.network import Images
from edgetl.blame.networks import Networks, open_networks
from edgetl.blame.page import write_page
from edgetl.blame.result import Blame, BlamedLayer
from edgetl.blame.verdict import sentence
from edgetl.catalog import load_target
from edgetl.data.views import load_batch, spread
from edgetl.digest import file_digest
from edgetl.errors import UsageError
from edgetl.graph.pivot import read_pivot
from edgetl.graph.pivot_models import model_for
from edgetl.pipeline import run as run_chain
from edgetl.stages.job import Job
from edgetl.store import Store, disk_errors, open_store, write_text
from edgetl.types import Preprocessing, Progress, Split, Target


@dataclass(frozen=True)
class Request:
    """target  a name, or None for the recipe's first with an INT8 build
    images  calibration images that the per-layer figures are measured on, at most; top  layers that are looked at
    further: accuracy on all validation images and, with `latency`, what floating them costs."""

    target: str | None = None
    images: int = 64
    top: int = 5
    latency: bool = False
    targets_dirs: tuple[Path, ...] = ()


def blame(job: Job, request: Request, progress: Progress) -> Blame:
    """Rank the layers; write blame-<target>.html and blame-<target>.json into `job.out`. What was measured is kept.

    raises  UsageError for a target without an INT8 build in this recipe; EdgetlError from the chain.
    """
    target = _target(job, request)
    outcome = run_chain(job, progress, "export")
    pivot = outcome.results[-1].folder
    with open_store(job.out, "blame", progress.note) as store:
        found = _blame(store, job, _subject(store, pivot, outcome.split, target, progress), request, progress)
        place = page_path(job, found)
        with disk_errors(job.out):
            text = json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
            write_text(place.with_suffix(".json"), text + "\n")
            write_page(found, place)
    return found


def page_path(job: Job, found: Blame) -> Path:
    """Where the page of a target lies."""
    return job.out / f"blame-{found.target}.html"


def _target(job: Job, request: Request) -> Target:
    if job.recipe.quantize.method == "none":
        raise UsageError("quantize.method is none: this recipe has no INT8 builds, so no layer to blame")
    if request.target is None:
        found = next((target for target in job.targets if "int8" in target.precisions), None)
        if found is None:
            raise UsageError(f"none of the recipe's targets ({', '.join(job.recipe.targets)}) has an INT8 build")
        return found
    target = next((each for each in job.targets if each.name == request.target), None)
    target = target or load_target(request.target, request.targets_dirs)
    if "int8" not in target.precisions:
        raise UsageError(f"target {target.name} has no INT8 build; choose another one with --target")
    return target


@dataclass(frozen=True)
class _Subject:
    """What is looked at. model  the INT8 pivot's file"""

    target: Target
    split: Split
    preprocessing: Preprocessing
    model: Path
    networks: Networks


def _subject(store: Store, pivot: Path, split: Split, target: Target, progress: Progress) -> _Subject:
    description = read_pivot(pivot)
    networks = open_networks(pivot, description, target, store.cache / "blame", progress)
    model = pivot / model_for(description, target, "int8").file
    return _Subject(target, split, description.preprocessing, model, networks)


def _blame(store: Store, job: Job, subject: _Subject, request: Request, progress: Progress) -> Blame:
    shots, val = subject.split.shots[: request.images], subject.split.val
    networks, preprocessing = subject.networks, subject.preprocessing
    error, layers = measure_layers(networks, Images(shots, preprocessing), progress)
    top_one, layers = measure_accuracy(networks, layers, request.top, Images(val, preprocessing), progress)
    hindrance = obstacle(subject.target) if request.latency else None
    timed = _timed(store, job, subject, layers[: request.top], progress) if request.latency and not hindrance else None
    found = Blame(
        recipe=job.recipe.name,
        target=subject.target.name,
        model=subject.model.name,
        weights="own" if networks.originals is None else "float network",
        shots=len(shots),
        val=len(val),
        logits_error=error,
        float_top1=top_one.float_top1,
        int8_top1=top_one.int8_top1,
        drop_points=top_one.drop_points,
        p50_ms=timed.p50_ms if timed else None,
        unmeasured=f"{hindrance.reason}; {hindrance.remedy}" if hindrance else "",
        layers=tuple(replace(each, latency=timed.layers.get(each.name)) if timed else each for each in layers),
    )
    return replace(found, verdict=sentence(found))


def _timed(store: Store, job: Job, subject: _Subject, layers: Sequence[BlamedLayer], progress: Progress) -> Timed:
    return time_layers(
        store,
        subject.target,
        subject.networks.quantized,
        file_digest(subject.model),
        subject.networks.originals,
        [layer.name for layer in layers],
        load_batch(spread(subject.split.val), subject.preprocessing),
        job.recipe.bench,
        progress,
    )
