"""Accuracy of edgetl on windows of sensor channels, beside a nearest neighbor and logistic regression on raw windows.

    python benchmarks/series.py --data DATA --work WORK --write

Every cell is one draw of the shots (`all` takes every training window, so only the seed of the search differs), one
network and the whole adapt stage as a build runs it. All methods of a draw see the same shots and are judged on the
same validation windows, cut or continued in the same way. Finished cells are kept in WORK; a killed run continues.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from cell_file import CellFile
from numpy.typing import NDArray
from result_file import Result, add_write_option, deliver, interval, machine_now, made_here, table
from sklearn.linear_model import LogisticRegression

from edgetl.adapt.record import read_adapt
from edgetl.backbones.examples import normalize, raw
from edgetl.backbones.load import rebuild
from edgetl.backbones.spec import read_spec
from edgetl.errors import EdgetlError
from edgetl.fronts.batches import load_batch
from edgetl.recipes.job import make_job
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.run import Run
from edgetl.stages.adapt import adapt_stage
from edgetl.stages.split import split_stage
from edgetl.store.results import open_store
from edgetl.types import NetworkSpec, Sample, Silent
from edgetl.types.stats import wilson

SETS = ("smartwatch_motions", "ecg_beats", "vowel_speakers")
NETWORKS = ("minirocket", "resnet_1d", "gru", "lstm")
SHOTS = ("5", "10", "all")
_NEIGHBOR, _LOGISTIC = "nearest neighbor", "logistic regression"


@dataclass(frozen=True)
class Key:
    dataset: str
    network: str
    shots: str
    draw: int


@dataclass(frozen=True)
class Cell:
    """right  of `val` windows: of edgetl's network and of the baselines on the same shots, by name"""

    key: Key
    strategy: str
    right: dict[str, int]
    val: int
    seconds: float
    made: str


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    cells = CellFile(arguments.work / "series.jsonl", Cell)
    keys = [
        Key(name, network, shots, draw)
        for network in arguments.networks
        for name in arguments.sets
        for shots in arguments.shots
        for draw in range(arguments.draws)
    ]
    try:
        found = cells.fill(keys, lambda key: _measure(key, arguments.data, arguments.work / "build"))
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    deliver(_result(found), machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with the three sets")
    add("--work", type=Path, required=True, help="folder for finished cells")
    add("--sets", nargs="+", default=list(SETS), choices=SETS)
    add("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    add("--shots", nargs="+", default=list(SHOTS))
    add("--draws", type=int, default=3)
    add_write_option(parser)
    return parser.parse_args()


def _measure(key: Key, data: Path, scratch: Path) -> Cell:
    folder = scratch / "-".join(map(str, asdict(key).values()))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    table_of_windows = str((data / key.dataset / "series.npz").resolve())
    recipe = Recipe.model_validate(
        {
            "name": key.dataset,
            "front": "series",
            "data": {
                "train": table_of_windows,
                "val": table_of_windows,
                "shots": key.shots if key.shots == "all" else int(key.shots),
                "seed": key.draw,
            },
            "backbone": {"name": key.network},
            "adapt": {"seed": key.draw},
            "targets": ["x86-cpu"],
        }
    )
    job = make_job(recipe, folder, out=folder / "out")
    with open_store(job.out) as store:
        split, _ = split_stage(store, job, Silent())
        result = adapt_stage(Run(store, job, split, Silent()))
        record = read_adapt(result.folder)
        spec = read_spec(result.folder / "network.json")
        network = rebuild(spec, result.folder / "network.safetensors").eval()
    val, truth = _windows(split.val, spec)
    shots, labels = _windows(split.shots, spec)
    with torch.no_grad():
        predicted = network(normalize(raw(val, spec.preprocessing), spec.preprocessing)).argmax(1).numpy()
    guesses = {
        key.network: predicted,
        _NEIGHBOR: _nearest(shots, labels, val),
        _LOGISTIC: _logistic(shots, labels, val),
    }
    shutil.rmtree(folder)
    right = {name: int((found == truth).sum()) for name, found in guesses.items()}
    return Cell(key, record.strategy, right, len(truth), result.seconds, made_here())


def _windows(samples: Sequence[Sample], spec: NetworkSpec) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return load_batch(samples, spec.preprocessing), np.array([sample.label for sample in samples], np.int64)


def _nearest(shots: NDArray[np.float32], labels: NDArray[np.int64], val: NDArray[np.float32]) -> NDArray[np.int64]:
    known = shots.reshape(len(shots), -1)
    distances = np.stack([np.linalg.norm(known - each.reshape(-1), axis=1) for each in val])
    found: NDArray[np.int64] = labels[distances.argmin(axis=1)]
    return found


def _logistic(shots: NDArray[np.float32], labels: NDArray[np.int64], val: NDArray[np.float32]) -> NDArray[np.int64]:
    """On values scaled by channel, with scikit-learn's usual penalty."""
    mean, std = shots.mean((0, 1)), shots.std((0, 1)) + 1e-9
    rows, others = (((each - mean) / std).reshape(len(each), -1) for each in (shots, val))
    return np.asarray(LogisticRegression(max_iter=500).fit(rows, labels).predict(others), np.int64)


def _result(cells: Sequence[Cell]) -> Result:
    networks = [name for name in NETWORKS if any(cell.key.network == name for cell in cells)]
    rows = []
    for name in SETS:
        for shots in sorted({cell.key.shots for cell in cells}, key=lambda text: (len(text), text)):
            here = [cell for cell in cells if (cell.key.dataset, cell.key.shots) == (name, shots)]
            if not here:
                continue
            by_network = [[cell for cell in here if cell.key.network == each] for each in networks]
            first = next(part for part in by_network if part)
            texts = [_share(part, each) if part else "–" for part, each in zip(by_network, networks, strict=True)]
            rows.append([name, shots, *texts, _share(first, _NEIGHBOR), _share(first, _LOGISTIC)])
    method = (
        "Accuracy on the validation windows in percent, pooled over the draws, with 95 % Wilson intervals over all "
        f"their windows; {max((cell.key.draw for cell in cells), default=0) + 1} draws. All draws have the same "
        "validation windows, so the intervals are narrower than those of new data, and they do not hold the spread "
        "between draws, which the JSON has cell by cell. With `all` every draw has the same shots, and the "
        "baselines the same result."
    )
    header = ["set", "shots", *networks, _NEIGHBOR, _LOGISTIC]
    data = {"cells": [json.loads(json.dumps(asdict(cell))) for cell in cells]}
    origins = tuple(cell.made for cell in cells)
    return Result("series", "Windows of sensor channels", (method, table(header, rows, left=2)), data, origins)


def _share(cells: Sequence[Cell], method: str) -> str:
    right, total = sum(cell.right[method] for cell in cells), sum(cell.val for cell in cells)
    return interval(wilson(right, total), 1, 100)


if __name__ == "__main__":
    sys.exit(main())
