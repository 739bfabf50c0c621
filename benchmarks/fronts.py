"""Accuracy from few shots on sounds, texts and series: `auto` beside the best plain way, draw by draw.

    python benchmarks/fronts.py --data DATA --weights-dir WEIGHTS --work WORK --write
    python benchmarks/fronts.py --work WORK --only-table --write

Sounds are measured here: a cell is one draw of the shots and the whole adapt stage. Texts and series are those of the
newest results of texts.py and series.py, or of `--texts` and `--series`. Finished cells are kept in WORK; a stopped run
continues.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cell_file import CellFile
from numpy.typing import NDArray
from result_file import (
    RESULTS,
    Result,
    add_write_option,
    deliver,
    machine_now,
    made_here,
    mean_over_draws,
    read_result,
    table,
)
from transfer_version import code_version

from edgetl.errors import EdgetlError

CELLS = "sounds.jsonl"
SETS = ("spoken_digits", "keywords")
BACKBONE = "speech_embedding"
AUTO = "auto"
_LOGISTIC, _OF_VIEWS = "logistic regression", "logistic regression on views"
_SERIES = {"minirocket": AUTO, "resnet_1d": "from scratch"}


@dataclass(frozen=True)
class Key:
    """Identifies a cell. `version` names the code of adaptation."""

    dataset: str
    shots: int
    draw: int
    version: str


@dataclass(frozen=True)
class Cell:
    """right  of `val` clips, by the way;  chosen  what `auto` chose"""

    key: Key
    chosen: str
    right: dict[str, int]
    val: int
    seconds: float
    made: str


@dataclass(frozen=True)
class Place:
    """Accuracies in percent on one set with one number of shots, by way and draw."""

    front: str
    dataset: str
    shots: str
    ways: Mapping[str, Mapping[int, float]]


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    cells = CellFile(arguments.work.resolve() / CELLS, Cell)
    version = code_version(())
    keys = [
        Key(name, shots, draw, version)
        for draw in range(arguments.draws)
        for shots in arguments.shots
        for name in arguments.sets
    ]
    try:
        found = cells.read() if arguments.only_table else cells.fill(keys, lambda key: _measure(key, arguments))
        places = (*_sounds(found), *_texts(arguments.texts), *_series(arguments.series))
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    data = {"places": [asdict(place) for place in places], "cells": [asdict(cell) for cell in found]}
    origins = tuple(cell.made for cell in found)
    deliver(Result("fronts", "Sounds, texts and series from few shots", sections(places), data, origins), machine,
        arguments.write)  # fmt: skip
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="folder with spoken_digits and keywords")
    add("--weights-dir", type=Path, help=f"folder with {BACKBONE}")
    add("--work", type=Path, required=True, help="folder for finished cells")
    add("--sets", nargs="+", default=list(SETS), choices=SETS)
    add("--shots", nargs="+", type=int, default=[5, 10, 25], help="clips per class (default 5 10 25)")
    add("--draws", type=int, default=3, help="draws of every set (default 3)")
    add("--budget", type=float, help="minutes for fine-tuning (default: that of a build)")
    add("--texts", type=Path, default=_newest("texts"), help="result of texts.py, .json (default: the newest)")
    add("--series", type=Path, default=_newest("series"), help="result of series.py, .json (default: the newest)")
    add("--only-table", action="store_true", help="run nothing")
    add_write_option(parser)
    found = parser.parse_args()
    if not found.only_table and not (found.data and found.weights_dir):
        parser.error("--data and --weights-dir are needed to run; --only-table shows what is finished")
    return found


def _newest(benchmark: str) -> Path | None:
    return max(RESULTS.glob(f"????-??-??-{benchmark}.json"), default=None)


def _measure(key: Key, arguments: argparse.Namespace) -> Cell:
    import torch

    from edgetl.adapt.records import read_adaptation
    from edgetl.backbones.examples import load_raw, normalize
    from edgetl.backbones.load import rebuild
    from edgetl.backbones.spec import read_spec
    from edgetl.pivot.adapted import NETWORK_SPEC, NETWORK_STATE
    from edgetl.recipes.job import make_job
    from edgetl.recipes.recipe import Recipe
    from edgetl.recipes.run import Run
    from edgetl.stages.adapt import adapt_stage
    from edgetl.stages.split import split_stage
    from edgetl.store.results import open_store
    from edgetl.types import Silent

    folder = arguments.work.resolve() / "build" / f"{key.dataset}-{key.shots}-{key.draw}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clips = arguments.data.resolve() / key.dataset
    recipe = {
        "name": key.dataset,
        "front": "audio",
        "data": {"train": str(clips / "train"), "val": str(clips / "val"), "shots": key.shots, "seed": key.draw},
        "backbone": {"name": BACKBONE, "weights_dir": [str(arguments.weights_dir.resolve())]},
        "adapt": {"seed": key.draw, **({"budget_minutes": arguments.budget} if arguments.budget else {})},
        "targets": ["x86-cpu"],
    }
    job = make_job(Recipe.model_validate(recipe), folder, out=folder / "out")
    with open_store(job.out) as store:
        split, _ = split_stage(store, job, Silent())
        run = Run(store, job, split, Silent())
        made = adapt_stage(run)
        chosen = read_adaptation(made.folder).chosen
        spec = read_spec(made.folder / NETWORK_SPEC)
        network = rebuild(spec, made.folder / NETWORK_STATE).eval()
        with torch.no_grad():
            logits = network(normalize(load_raw(split.val, spec.preprocessing), spec.preprocessing))
        guesses = {AUTO: logits.argmax(1).numpy(), **_plain_ways(run)}
    shutil.rmtree(folder)
    truth = np.array([sample.label for sample in split.val])
    right = {way: int((found == truth).sum()) for way, found in guesses.items()}
    title = chosen.name if chosen else ""
    print(f"{key.dataset}, {key.shots} shots, draw {key.draw}: {right} of {len(truth)} ({title})", file=sys.stderr)
    return Cell(key, title, right, len(truth), round(made.seconds, 1), made_here())


def _plain_ways(run: Any) -> dict[str, NDArray[np.int64]]:
    """Logistic regression of scikit-learn on standardized features of the frozen network, alone and with the same
    augmented views of the shots that `auto` has."""
    from edgetl.backbones.extract import Point, View, activations, open_frozen
    from edgetl.backbones.input_choice import input_choice
    from edgetl.backbones.weights import locate
    from edgetl.fronts.views import augment_of

    backbone, split, cache = run.job.recipe.backbone, run.split, run.store.cache / "features"
    frozen = open_frozen(
        backbone, locate(backbone, run.job.base, run.job.weights_folders), len(split.classes), input_choice(run)
    )
    views = [View(), *(View(number + 1, augment_of(run)) for number in range(run.job.recipe.adapt.views))]

    def features(samples: Sequence[Any], view: Any) -> NDArray[np.float32]:
        return activations(frozen, samples, cache, (Point(),), view, progress=run.progress)[0].read()

    shots = [features(split.shots, view) for view in views]
    labels = np.array([sample.label for sample in split.shots])
    val = features(split.val, View())
    return {
        _LOGISTIC: _logistic(shots[0], labels, val),
        _OF_VIEWS: _logistic(np.concatenate(shots), np.tile(labels, len(shots)), val),
    }


def _logistic(rows: NDArray[np.float32], labels: NDArray[np.int64], val: NDArray[np.float32]) -> NDArray[np.int64]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows, labels)
    return np.asarray(fitted.predict(val), np.int64)


def _sounds(cells: Sequence[Cell]) -> list[Place]:
    """The newest version alone, if there are cells of several."""
    newest = [cell for cell in cells if cell.key.version == cells[-1].key.version]
    rows = [
        ("sound", cell.key.dataset, str(cell.key.shots), way, cell.key.draw, 100 * right / cell.val)
        for cell in newest
        for way, right in cell.right.items()
    ]
    return _gathered(rows)


def _texts(path: Path | None) -> list[Place]:
    cells = read_result(path, "texts")["cells"] if path else []
    rows = [
        ("text", key["dataset"], str(key["shots"]), key["way"], key["draw"], 100 * cell["right"] / cell["texts"])
        for cell in cells
        for key in [cell["key"]]
    ]
    return _gathered(rows)


def _series(path: Path | None) -> list[Place]:
    cells = read_result(path, "series")["cells"] if path else []
    rows = [
        ("series", key["dataset"], key["shots"], _SERIES.get(way, way), key["draw"], 100 * right / cell["val"])
        for cell in cells
        for key in [cell["key"]]
        if key["network"] in _SERIES and key["shots"] != "all"
        for way, right in cell["right"].items()
    ]
    return _gathered(rows)


def _gathered(rows: Sequence[tuple[str, str, str, str, int, float]]) -> list[Place]:
    found: dict[tuple[str, str, str], dict[str, dict[int, float]]] = {}
    for front, dataset, shots, way, draw, accuracy in rows:
        found.setdefault((front, dataset, shots), {}).setdefault(way, {})[draw] = accuracy
    order = sorted(found, key=lambda key: (key[0], key[1], int(key[2])))
    return [Place(*key, found[key]) for key in order]


def sections(places: Sequence[Place]) -> tuple[str, ...]:
    """One table: means over the draws that a way shares with `auto`, and the lead over each, paired."""
    rows = []
    for place in places:
        auto = place.ways.get(AUTO, {})
        rows.append(
            [place.front, place.dataset, place.shots, AUTO, str(len(auto)), mean_over_draws(list(auto.values())), ""]
        )
        for way, draws in place.ways.items():
            common = sorted(set(auto) & set(draws))
            if way != AUTO and common:
                lead = mean_over_draws([auto[draw] - draws[draw] for draw in common], sign="+")
                shown = mean_over_draws([draws[draw] for draw in common])
                rows.append(["", "", "", way, str(len(common)), shown, lead])
    header = ["front", "set", "shots", "way", "draws", "accuracy", "`auto` leads by"]
    note = (
        "Accuracy on validation examples in percent, the mean over draws of the shots with a 95 % interval over draws "
        "(Student's t) in brackets; leads are paired by draw. All draws of a set have the same validation examples. "
        "Speakers of the validation clips occur in no shot."
    )
    return (note, table(header, rows, left=4))


if __name__ == "__main__":
    sys.exit(main())
