"""Texts from few shots: edgetl's `auto` compared with logistic regression on frozen vectors, plain fine-tuning and
contrastive fine-tuning of the same network.

    python benchmarks/texts.py --data DATA --network FOLDER --work WORK
    python benchmarks/texts.py --work WORK --only-table --write

Every cell (one way on one draw of one set) is a line of WORK/texts.jsonl. A stopped run continues, several runs may
share one WORK, and finished cells can be shown at any time. Nothing is chosen by the validation texts.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml
from cell_file import CellFile
from result_file import NOTHING, Result, add_write_option, deliver, machine_now, made_here, mean_over_draws
from transfer_version import code_version

from edgetl.errors import EdgetlError

CELLS = "texts.jsonl"
SETS = ("agnews", "sst2")
AUTO = "auto"
WAYS = (AUTO, "logistic", "plain", "contrastive")


@dataclass(frozen=True)
class Key:
    """Identifies a cell. `version` names the way's code."""

    dataset: str
    shots: int
    draw: int
    way: str
    version: str


@dataclass(frozen=True)
class Cell:
    """right  of `texts` validation texts;  chosen  what `auto` chose;  seconds, cpu_seconds  of training and search
    alone, None if a stopped run continued in the middle"""

    key: Key
    right: int
    texts: int
    chosen: str
    seconds: float | None
    cpu_seconds: float | None
    threads: int
    made_with: str


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    cells = CellFile(arguments.work.resolve() / CELLS, Cell)
    try:
        if not arguments.only_table:
            _run(arguments, cells)
        found = cells.read()
        if not found:
            raise EdgetlError(f"{cells.path}: no cell is finished yet; run without --only-table first")
        data = {"cells": [asdict(cell) for cell in found]}
        origins = tuple(cell.made_with for cell in found)
        result = Result("texts", "Texts from few shots", sections(found), data, origins)
        deliver(result, machine, arguments.write)
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="folder with SET_train.csv and SET_val.csv")
    add("--network", type=Path, help="folder of the network in Hugging Face layout (scripts/minilm)")
    add("--work", type=Path, required=True, help="folder for finished cells and builds")
    add("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET", help=f"default: {' '.join(SETS)}")
    add("--shots", nargs="+", type=int, default=[8, 16, 50], help="texts per class (default 8 16 50)")
    add("--draws", type=int, default=3, help="draws of every set (default 3)")
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY", help=", ".join(WAYS))
    add("--max-val", type=int, default=None, help="validation texts at most (default: all)")
    add("--threads", type=int, default=1, help="default 1")
    add("--only-table", action="store_true", help="run nothing")
    add_write_option(parser)
    found = parser.parse_args()
    if not found.only_table and not (found.data and found.network):
        parser.error("--data and --network are needed to run; --only-table shows what is finished")
    return found


def _run(arguments: argparse.Namespace, cells: CellFile[Cell]) -> None:
    """Make every cell that is neither finished nor claimed by another process."""
    import torch
    from texts_baselines import VERSION

    torch.set_num_threads(arguments.threads)
    ours = code_version(())
    for draw in range(arguments.draws):
        for shots in arguments.shots:
            for dataset in arguments.sets:
                for way in arguments.ways:
                    key = Key(dataset, shots, draw, way, ours if way == AUTO else VERSION)
                    with cells.claimed(key) as mine:
                        if not mine:
                            continue
                        cell = measure_cell(arguments, key)
                        cells.append(cell)
                    share = 100 * cell.right / cell.texts
                    cost = "continued" if cell.cpu_seconds is None else f"{cell.cpu_seconds:.0f} CPU s"
                    print(f"{dataset}, {shots} shots, draw {draw}, {way}: {share:.1f} %, {cost} ({cell.chosen})",
                        file=sys.stderr, flush=True)  # fmt: skip


def measure_cell(arguments: argparse.Namespace, key: Key) -> Cell:
    """Train and measure one cell. Raises EdgetlError."""
    import texts_baselines

    from edgetl.adapt.records import read_adaptation
    from edgetl.backbones.input_choice import input_choice
    from edgetl.backbones.load import build, rebuild
    from edgetl.backbones.spec import read_spec
    from edgetl.backbones.text.classifier import TextClassifier
    from edgetl.backbones.weights import locate
    from edgetl.pivot.adapted import NETWORK_SPEC, NETWORK_STATE
    from edgetl.recipes.job import make_job
    from edgetl.recipes.recipe_file import load_recipe
    from edgetl.recipes.run import Run
    from edgetl.stages.adapt import adapt_stage
    from edgetl.stages.split import split_stage
    from edgetl.store.results import open_store
    from edgetl.types import Silent, TextPreprocessing

    folder = arguments.work.resolve() / "builds" / f"{key.dataset}-{key.shots}-{key.draw}-{key.way}"
    continued = folder.exists()  # trials of a run that was stopped are kept, and make it look cheap
    folder.mkdir(parents=True, exist_ok=True)
    sides = {side: str(arguments.data.resolve() / f"{key.dataset}_{side}.csv") for side in ("train", "val")}
    most = {"max_val_images": arguments.max_val} if arguments.max_val else {}
    recipe = {
        "name": key.dataset,
        "front": "text",
        "data": {**sides, "shots": key.shots, "seed": key.draw, **most},
        "check": {"allow_leak": True, "features": False},
        "backbone": {"name": f"local-dir:{arguments.network.resolve()}"},
        "targets": ["x86-cpu"],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    job = make_job(load_recipe(folder / "recipe.yaml", ()), folder, out=folder / "out")
    with open_store(job.out) as store:
        split, _ = split_stage(store, job, Silent())
        run = Run(store, job, split, Silent())
        start, cpu_start = time.monotonic(), time.process_time()
        if key.way == AUTO:
            made = adapt_stage(run).folder
            chosen = read_adaptation(made).chosen
            title = chosen.name if chosen else ""
            spec = read_spec(made / NETWORK_SPEC)
            network = rebuild(spec, made / NETWORK_STATE)
            find = texts_baselines.classified
        else:
            source = locate(job.recipe.backbone, job.base, ())
            network, spec, _ = build(job.recipe.backbone, source, len(split.classes), input_choice(run))
            title, find = key.way, getattr(texts_baselines, key.way)
        assert isinstance(network, TextClassifier)
        assert isinstance(spec.preprocessing, TextPreprocessing)
        predicted = find(network.requires_grad_(False), spec.preprocessing, split.shots, split.val)
        seconds, cpu_seconds = time.monotonic() - start, time.process_time() - cpu_start
        right = int((predicted == np.array([sample.label for sample in split.val])).sum())
    shutil.rmtree(folder)
    wall, cpu = (None, None) if continued else (round(seconds, 1), round(cpu_seconds, 1))
    return Cell(key, right, len(split.val), title, wall, cpu, arguments.threads, made_here())


def sections(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The table: mean over draws with its 95 % interval, and `auto` minus the best other way on the same draws."""
    by_place: dict[tuple[str, int], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for cell in cells:
        by_place[cell.key.dataset, cell.key.shots][cell.key.way][cell.key.draw] = 100 * cell.right / cell.texts
    lines = [
        f"| set | shots | draws | {' | '.join(WAYS)} | `auto` minus the best of the others |",
        "|---|---|---|" + "---|" * (len(WAYS) + 1),
    ]
    for (dataset, shots), ways in sorted(by_place.items()):
        common = set.intersection(*(set(draws) for draws in ways.values()))
        shown = [
            mean_over_draws([ways[way][draw] for draw in sorted(common)]) if way in ways else NOTHING for way in WAYS
        ]
        others = [np.mean([ways[way][draw] for draw in common]) for way in ways if way != AUTO] if common else []
        lead = NOTHING
        if others and AUTO in ways:
            lead = f"{np.mean([ways[AUTO][draw] for draw in common]) - max(others):+.1f}".replace("-", "−")
        lines.append(f"| {dataset} | {shots} | {len(common)} | {' | '.join(shown)} | {lead} |")
    note = (
        "Accuracy on validation texts in percent, the mean over draws that every way has, with a 95 % interval over "
        "draws (Student's t) in brackets. All ways see the same shots, tokens and network."
    )
    return ("\n".join(lines), note)


if __name__ == "__main__":
    sys.exit(main())
