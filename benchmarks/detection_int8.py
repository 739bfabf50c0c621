"""Detectors in INT8: what they lose and how fast they are, compared with `quantize_static` and NNCF.

    python benchmarks/detection_int8.py --data DATA --weights-dir WEIGHTS --work WORK
    python benchmarks/detection_int8.py --work WORK --only-table --write

The detectors are those that `detection.py` trained with `auto` in the same WORK; `coco` stands for the published ones
in WEIGHTS, without training. Builds are for the targets of this CPU's kind: with VNNI or without. Every cell (one
detector on one target) is a line of WORK/detection-int8.jsonl; a stopped run continues.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import detection_cells
from cell_file import CellFile
from detection import CELLS, folder_name
from detection_builds import COCO, COCO_NETWORKS, Cell, Key, Timing, measure, published, targets_here, trained
from detection_cells import AUTO, SETS, Draw
from detection_edgetl import detection_job
from detection_int8_text import sections_of
from result_file import Result, add_write_option, deliver, machine_now

from edgetl.errors import EdgetlError

if TYPE_CHECKING:
    from edgetl.recipes.run import Run
    from edgetl.store.results import StageResult

_METHODS = ("quantize_static minmax", "quantize_static percentile", "nncf performance", "nncf mixed")


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    cells = CellFile(arguments.work.resolve() / "detection-int8.jsonl", Cell)
    try:
        if not arguments.only_table:
            _run(arguments, cells)
        found = cells.read()
        if not found:
            raise EdgetlError(f"{cells.path}: no cell is finished yet; run without --only-table first")
        data = {"cells": [asdict(cell) for cell in found]}
        origins = tuple(cell.made_with for cell in found)
        result = Result("detection-int8", "Detectors in INT8", sections_of(found), data, origins)
        deliver(result, machine, arguments.write)
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    names = (COCO, *SETS)
    add("--data", type=Path, help="folder of the sets")
    add("--weights-dir", type=Path, help="folder of pretrained weights")
    add("--work", type=Path, required=True, help="the folder that detection.py worked in")
    add("--sets", nargs="+", choices=names, default=list(names), metavar="SET", help=f"default: {' '.join(names)}")
    add("--shots", default="10", help="of the detectors, objects per class or `all` (default 10)")
    add("--draw", type=int, default=0, help="of the detectors (default 0)")
    add("--methods", nargs="+", choices=_METHODS, default=list(_METHODS), metavar="METHOD", help=", ".join(_METHODS))
    add("--runs", type=int, default=100, help="timed runs of each build per repeat (default 100)")
    add("--repeats", type=int, default=3, help="times the engines are opened afresh (default 3)")
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="as detection.py was given")
    add("--version", default="1", help="name of the code that is measured")
    add("--only-table", action="store_true", help="run nothing")
    add_write_option(parser)
    found = parser.parse_args()
    if not found.only_table and not (found.data and found.weights_dir):
        parser.error("--data and --weights-dir are needed to run; --only-table shows what is finished")
    if min(found.runs, found.repeats) < 1:
        parser.error("--runs, --repeats: expected at least 1")
    return found


def _run(arguments: argparse.Namespace, cells: CellFile[Cell]) -> None:
    import torch

    torch.set_num_threads(1)
    timing = Timing(arguments.runs, arguments.repeats)
    for dataset, network, opening in _detectors(arguments):
        shots, draw = ("", 0) if dataset == COCO else (arguments.shots, arguments.draw)
        keys = [Key(dataset, shots, draw, network, target, arguments.version) for target in targets_here()]
        missing = [key for key in keys if key not in cells.done()]
        if not missing:
            continue
        with opening as (run, adapted):
            for cell in measure(run, adapted, missing, arguments.methods, timing):
                cells.append(cell)
                losses = ", ".join(f"{name} {built.drop_points.value:+.1f}" for name, built in cell.builds.items())
                print(f"{dataset}, {network}, {cell.key.target}: {losses}", file=sys.stderr, flush=True)


def _detectors(
    arguments: argparse.Namespace,
) -> Iterator[tuple[str, str, AbstractContextManager[tuple[Run, StageResult]]]]:
    """Set, network, and how to open it. Raises EdgetlError for a detector that was not trained yet."""
    work: Path = arguments.work.resolve()
    trained_cells = CellFile(work / CELLS, detection_cells.Cell).read()
    for dataset in arguments.sets:
        if dataset == COCO:
            for network in COCO_NETWORKS:
                folder = work / "published" / network
                yield dataset, network, published(arguments.data, arguments.weights_dir, network, folder)
            continue
        wanted = (dataset, arguments.shots, arguments.draw, AUTO)
        keys = (cell.key for cell in trained_cells)
        mine = [key for key in keys if (key.dataset, str(key.shots), key.draw, key.way) == wanted]
        if not mine:
            raise EdgetlError(
                f"{work / CELLS}: no detector of {dataset} with {arguments.shots} shots; run detection.py first"
            )
        key = mine[-1]
        draw, folder = Draw(dataset, key.shots, key.draw), work / "networks" / folder_name(key)
        job = detection_job(
            arguments.data, arguments.weights_dir, draw, SETS[dataset].network, folder, tuple(arguments.overrides),
            targets_here(),
        )  # fmt: skip
        yield dataset, key.network, trained(job)


if __name__ == "__main__":
    sys.exit(main())
