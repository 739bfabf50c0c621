"""Ranks the layers of one target's INT8 network in a pivot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.backends.base import cannot_use
from edgetl.data.groups import val_groups
from edgetl.diagnose.blame.layer_latency import Timed, time_layers
from edgetl.diagnose.blame.measure import Validation, measure_accuracy, measure_layers
from edgetl.diagnose.blame.models import Networks, open_networks
from edgetl.diagnose.blame.page import write_page
from edgetl.diagnose.blame.result import Blame, BlamedLayer
from edgetl.diagnose.blame.verdict import sentence
from edgetl.errors import UsageError
from edgetl.files.digest import file_digest
from edgetl.files.durable import write_text
from edgetl.fronts.batches import load_batch, spread
from edgetl.fronts.pixels import Pixels
from edgetl.pivot.pivot import model_for, read_pivot
from edgetl.recipes.job import Job
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.run import Run
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.store.results import Store, disk_errors, open_store
from edgetl.types import Preprocessing, Progress, Split, Target


@dataclass(frozen=True)
class Request:
    """images  limit of calibration images for the per-layer figures; top  number of layers that are measured further:
    accuracy on all validation images and, with `latency`, the latency of computing them in float."""

    images: int = 64
    top: int = 5
    latency: bool = False


@dataclass(frozen=True)
class Build:
    """Results of the chain. out  the output folder; pivot  the pivot's folder"""

    out: Path
    job: Job
    pivot: Path
    split: Split


def choose_target(
    recipe: Recipe, targets: Sequence[Target], name: str | None, targets_dirs: Sequence[Path] = ()
) -> Target:
    """The target of that name, or the recipe's first with an INT8 build.

    targets  the recipe's; targets_dirs  folders in which others are searched
    raises   UsageError if there is no INT8 build, or the recipe makes none in that target's number scheme.
    """
    if recipe.quantize.method == "none":
        raise UsageError("quantize.method is none: this recipe has no INT8 builds, so there are no layers to rank")
    if name is None:
        found = next((target for target in targets if "int8" in target.precisions), None)
        if found is None:
            raise UsageError(f"none of the recipe's targets ({', '.join(recipe.targets)}) has an INT8 build")
        return found
    target = next((each for each in targets if each.name == name), None)
    target = target or load_target(name, targets_dirs, recipe.front)
    if "int8" not in target.precisions:
        raise UsageError(f"target {target.name} has no INT8 build; choose another one with --target")
    made = {scheme_id(each.scheme) for each in targets if "int8" in each.precisions}
    if scheme_id(target.scheme) not in made:
        others = ", ".join([*recipe.targets, target.name])
        raise UsageError(
            f"target {target.name} needs the INT8 scheme {scheme_id(target.scheme)}; the recipe's targets "
            f"({', '.join(recipe.targets)}) have {', '.join(sorted(made)) or 'none'}: add it, --set targets=[{others}]"
        )
    return target


def blame(build: Build, target: Target, request: Request, progress: Progress) -> Blame:
    """Rank the layers; write blame-<target>.html and blame-<target>.json into the output folder. Measurements are
    cached."""
    with open_store(build.out, "blame", progress.note) as store:
        found = _blame(store, build, _subject(store, build, target, progress), request, progress)
        place = page_path(build.out, found)
        with disk_errors(build.out):
            text = json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
            write_text(place.with_suffix(".json"), text + "\n")
            write_page(found, place)
    return found


def page_path(out: Path, found: Blame) -> Path:
    """The path of a target's page."""
    return out / f"blame-{found.target}.html"


@dataclass(frozen=True)
class _Subject:
    """The subject of the ranking. model  the INT8 pivot's file"""

    target: Target
    split: Split
    preprocessing: Preprocessing
    model: Path
    networks: Networks


def _subject(store: Store, build: Build, target: Target, progress: Progress) -> _Subject:
    description = read_pivot(build.pivot)
    networks = open_networks(build.pivot, description, target, store.cache / "blame", progress)
    model = build.pivot / model_for(description, target, "int8").file
    return _Subject(target, build.split, description.preprocessing, model, networks)


def _blame(store: Store, build: Build, subject: _Subject, request: Request, progress: Progress) -> Blame:
    shots, val = subject.split.shots[: request.images], subject.split.val
    networks, preprocessing = subject.networks, subject.preprocessing
    error, layers = measure_layers(networks, Pixels(shots, preprocessing), progress)
    groups = val_groups(Run(store, build.job, subject.split, progress))
    validation = Validation(Pixels(val, preprocessing), len(subject.split.classes), groups)
    scores, layers = measure_accuracy(networks, layers, request.top, validation, progress)
    obstacle = cannot_use(subject.target, "int8") if request.latency else None
    timed = _timed(store, build, subject, layers[: request.top], progress) if request.latency and not obstacle else None
    found = Blame(
        recipe=build.job.recipe.name,
        task=networks.task.name,
        metric=networks.task.metric,
        target=subject.target.name,
        model=subject.model.name,
        weights="own" if networks.originals is None else "float network",
        shots=len(shots),
        val=len(val),
        error=error,
        float_score=scores.float_score,
        int8_score=scores.int8_score,
        drop_points=scores.drop_points,
        p50_ms=timed.p50_ms if timed else None,
        unmeasured=f"{obstacle.reason}; {obstacle.remedy}" if obstacle else "",
        front=preprocessing.front,
        layers=tuple(replace(each, latency=timed.layers.get(each.name)) if timed else each for each in layers),
    )
    return replace(found, verdict=sentence(found))


def _timed(store: Store, build: Build, subject: _Subject, layers: Sequence[BlamedLayer], progress: Progress) -> Timed:
    return time_layers(
        store,
        subject.target,
        subject.networks.quantized,
        file_digest(subject.model),
        subject.networks.originals,
        [layer.name for layer in layers],
        load_batch(spread(subject.split.val), subject.preprocessing),
        build.job.recipe.bench,
        progress,
    )
