"""Few shots with and without `edgetl pretrain` on the same training examples without their labels.

    python benchmarks/pretraining.py --data DATA --work WORK --write

The network is pretrained once for a set, on all its training examples. Every cell is one draw of the shots and the
whole adapt stage: from random weights as a recipe without `weights` runs it, and from the pretrained ones. Finished
cells are kept in WORK; a killed run continues. Nothing is chosen by the validation examples.
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
from result_file import Result, add_write_option, deliver, interval, machine_now, made_here, table

from edgetl.adapt.pretrain.pretrain import Request, pretrain
from edgetl.adapt.pretrain.train import Limits
from edgetl.adapt.record import read_adapt
from edgetl.backbones.examples import as_exported
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
from edgetl.types import Silent
from edgetl.types.stats import wilson

SETS = {
    "agnews": ("text", "text_lstm", "text/agnews_train.csv", "text/agnews_val.csv", (16, 50)),
    "ecg_beats": ("series", "resnet_1d", "ecg_beats/series.npz", "ecg_beats/series.npz", (5, 10)),
}
WAYS = ("random weights", "pretrained")
_AT_ONCE = 50


@dataclass(frozen=True)
class Key:
    dataset: str
    shots: int
    draw: int
    way: str


@dataclass(frozen=True)
class Cell:
    """right  of `val` examples;  chosen  what the adapt stage did"""

    key: Key
    right: int
    val: int
    chosen: str
    seconds: float
    made: str


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    torch.set_num_threads(1)
    cells = CellFile(arguments.work.resolve() / "pretraining.jsonl", Cell)
    keys = [
        Key(name, shots, draw, way)
        for draw in range(arguments.draws)
        for name in arguments.sets
        for shots in arguments.shots or SETS[name][4]
        for way in WAYS
    ]
    try:
        found = cells.fill(keys, lambda key: _measure(key, arguments))
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    deliver(_result(found), machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with the sets")
    add("--work", type=Path, required=True, help="folder for weights and finished cells")
    add("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    add("--shots", nargs="+", type=int, default=None, help="per class (default: those of the set)")
    add("--draws", type=int, default=3)
    add("--epochs", type=int, default=12, help="of pretraining at most")
    add_write_option(parser)
    return parser.parse_args()


def _weights(name: str, arguments: argparse.Namespace) -> Path:
    """Those of a set, trained the first time."""
    out: Path = arguments.work.resolve() / f"{name}-weights"
    path = arguments.data.resolve() / SETS[name][2]
    pretrain(Request(path, SETS[name][1], out, Limits(arguments.epochs, None, 0)), Silent())
    return out


def _measure(key: Key, arguments: argparse.Namespace) -> Cell:
    front, network, train, val, _ = SETS[key.dataset]
    backbone = {"name": network}
    if key.way == "pretrained":
        backbone["weights"] = str(_weights(key.dataset, arguments))
    settings = {"pretrained": False} if front == "text" and key.way != "pretrained" else {}
    folder = arguments.work.resolve() / "builds" / "-".join(map(str, asdict(key).values())).replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe = Recipe.model_validate(
        {
            "name": key.dataset,
            "front": front,
            "data": {
                "train": str(arguments.data.resolve() / train),
                "val": str(arguments.data.resolve() / val),
                "shots": key.shots,
                "seed": key.draw,
            },
            "check": {"allow_leak": True, "features": False},
            "backbone": {**backbone, **settings},
            "adapt": {"seed": key.draw, "folds": 2, "sanity": "warn"},
            "targets": ["x86-cpu"],
        }
    )
    job = make_job(recipe, folder, out=folder / "out")
    with open_store(job.out) as store:
        split, _ = split_stage(store, job, Silent())
        result = adapt_stage(Run(store, job, split, Silent()))
        record = read_adapt(result.folder)
        spec = read_spec(result.folder / "network.json")
        network_ = rebuild(spec, result.folder / "network.safetensors").eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(split.val), _AT_ONCE):
            part = split.val[start : start + _AT_ONCE]
            logits = network_(as_exported(load_batch(part, spec.preprocessing), spec.preprocessing)).numpy()
            right += int((logits.argmax(1) == np.array([sample.label for sample in part])).sum())
    shutil.rmtree(folder)
    chosen = f"{record.strategy}, {record.head}"
    print(f"{asdict(key)}: {100 * right / len(split.val):.1f} % ({chosen}), {result.seconds:.0f} s", file=sys.stderr)
    return Cell(key, right, len(split.val), chosen, result.seconds, made_here())


def _result(cells: Sequence[Cell]) -> Result:
    rows = []
    for name, shots in sorted({(cell.key.dataset, cell.key.shots) for cell in cells}):
        here = [cell for cell in cells if (cell.key.dataset, cell.key.shots) == (name, shots)]
        by_way = [[cell for cell in here if cell.key.way == way] for way in WAYS]
        rows.append([name, SETS[name][1], str(shots), *map(_share, by_way), _difference(*by_way)])
    method = (
        "Accuracy on the validation examples in percent, pooled over the draws, with 95 % Wilson intervals over all "
        "their examples. All draws have the same validation examples, so the intervals do not hold the spread between "
        "draws; the last column has the difference of each draw, in points."
    )
    header = ["set", "network", "shots", *WAYS, "pretrained minus random, by draw"]
    data = {"cells": [json.loads(json.dumps(asdict(cell))) for cell in cells]}
    origins = tuple(cell.made for cell in cells)
    return Result("pretraining", "Few shots after pretraining", (method, table(header, rows, left=2)), data, origins)


def _share(cells: Sequence[Cell]) -> str:
    right, total = sum(cell.right for cell in cells), sum(cell.val for cell in cells)
    return interval(wilson(right, total), 1, 100) if cells else "–"


def _difference(random: Sequence[Cell], pretrained: Sequence[Cell]) -> str:
    before = {cell.key.draw: cell.right / cell.val for cell in random}
    after = {cell.key.draw: cell.right / cell.val for cell in pretrained}
    found = [f"{100 * (after[draw] - before[draw]):+.1f}" for draw in sorted(before.keys() & after.keys())]
    return ", ".join(found).replace("-", "−") or "–"


if __name__ == "__main__":
    sys.exit(main())
