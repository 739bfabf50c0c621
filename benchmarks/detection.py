"""Detectors from few shots: edgetl's `auto` compared with plain fine-tuning of the same network, on four small sets.

    python benchmarks/detection.py --data DATA --weights-dir WEIGHTS --work WORK
    python benchmarks/detection.py --work WORK --only-table --write

Every cell (one way of training on one draw of one set) is a line of WORK/detection.jsonl. A stopped run continues,
several runs may share one WORK, and finished cells can be shown at any time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cell_file import CellFile
from detection_cells import DRAWS_OF_IMAGES, PLAIN, SETS, WAYS, Cell, Draw, Key, Shots, network_of, plan
from detection_text import accuracy_sections
from result_file import Result, add_write_option, deliver, machine_now, made_here
from transfer_version import code_version

from edgetl.bench.machine import describe
from edgetl.errors import EdgetlError
from edgetl.files.digest import value_digest

CELLS = "detection.jsonl"


@dataclass(frozen=True)
class Setting:
    """steps  of plain fine-tuning, of eight images each"""

    data: Path
    weights: Path
    work: Path
    threads: int
    steps: int
    overrides: tuple[str, ...]


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    cells = CellFile(arguments.work.resolve() / CELLS, Cell)
    failed = False
    try:
        if not arguments.only_table:
            failed = not _run(arguments, cells)
        found = cells.read()
        if not found:
            raise EdgetlError(f"{cells.path}: no cell is finished yet; run without --only-table first")
        sections = accuracy_sections(found)
        data = {"cells": [asdict(cell) for cell in found]}
        origins = tuple(cell.made_with for cell in found)
        deliver(Result("detection", "Detectors from few shots", sections, data, origins), machine, arguments.write)
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="folder of the sets")
    add("--weights-dir", type=Path, help="folder of pretrained weights")
    add("--work", type=Path, required=True, help="folder for finished cells and trained networks")
    add("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET", help=f"default: {' '.join(SETS)}")
    add("--shots", nargs="+", type=_shots, default=[10, 30, "all"], help="objects per class (default 10 30 all)")
    add("--draws", type=int, default=3, help="draws of every set (default 3)")
    add("--first-draw", type=int, default=0, metavar="SEED", help="seed of the first one (default 0)")
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY", help=", ".join(WAYS))
    add("--steps", type=int, default=240, help="of plain fine-tuning, eight images each (default 240)")
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="for the recipe of ours")
    add("--version", help="name of the code of ours (default: a digest of it)")
    add("--threads", type=int, default=1, help="default 1")
    add("--only-table", action="store_true", help="run nothing")
    add_write_option(parser)
    found = parser.parse_args()
    if not found.only_table and not (found.data and found.weights_dir):
        parser.error("--data and --weights-dir are needed to run; --only-table shows what is finished")
    if min(found.draws, found.threads, found.steps) < 1 or found.first_draw < 0:
        parser.error("--draws, --threads, --steps: expected at least 1; --first-draw: at least 0")
    return found


def _shots(word: str) -> Shots:
    if word == "all":
        return "all"
    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, or `all`; found {word}")
    return int(word)


def _run(arguments: argparse.Namespace, cells: CellFile[Cell]) -> bool:
    """Make every cell that is neither finished nor claimed by another process. False when one failed."""
    import torch
    from detection_plain import VERSION

    torch.set_num_threads(arguments.threads)
    overrides = tuple(arguments.overrides)
    setting = Setting(
        arguments.data, arguments.weights_dir, arguments.work.resolve(), arguments.threads, arguments.steps, overrides
    )
    ours = arguments.version or code_version(overrides)
    versions = dict.fromkeys(arguments.ways, ours) | {PLAIN: f"{VERSION}, {arguments.steps} steps"}
    draws = range(arguments.first_draw, arguments.first_draw + arguments.draws)
    fine = True
    for key in plan(arguments.sets, arguments.shots, draws, arguments.ways, versions):
        with cells.claimed(key) as mine:
            if not mine:
                continue
            try:
                cell = measure_cell(setting, key)
            except EdgetlError as error:
                print(f"{_name(key)}: {error}", file=sys.stderr, flush=True)
                fine = False
                continue
            cells.append(cell)
        print(f"{_name(key)}: {100 * cell.ap.value:.1f} AP, {cell.cpu_seconds:.0f} CPU s ({cell.chosen})",
            file=sys.stderr, flush=True)  # fmt: skip
    return fine


def measure_cell(setting: Setting, key: Key) -> Cell:
    """Train and measure one cell. Raises EdgetlError."""
    from detection_edgetl import adapted, detection_job, split_of, trained_plainly

    from edgetl.adapt.detection.held_out import detect
    from edgetl.adapt.detection.shots import Shots as Images
    from edgetl.tasks.detection.average_precision import over_classes
    from edgetl.tasks.detection.match import match
    from edgetl.tasks.detection.scores import resample, scores

    draw, network = Draw(key.dataset, key.shots, key.draw), network_of(key.dataset, key.way)
    assert network is not None
    folder = setting.work / "networks" / folder_name(key)
    shutil.rmtree(folder, ignore_errors=True)  # else a stage of a run that was stopped would look cheap
    job = detection_job(setting.data, setting.weights, draw, network, folder, setting.overrides)
    split, load = split_of(job), describe().load_average
    start, cpu_start = time.monotonic(), time.process_time()
    trained = trained_plainly(job, split, setting.steps) if key.way == PLAIN else adapted(job, split)
    seconds, cpu_seconds = time.monotonic() - start, time.process_time() - cpu_start
    val = Images(split.val, trained.spec.preprocessing)
    found = detect(trained.detector, val, range(len(val)))
    resampled = resample(match(found, val.truths, len(split.classes)), 0.5, resamples=DRAWS_OF_IMAGES)
    measured = scores(resampled)
    return Cell(
        key=key,
        ap=measured.ap.value,
        ap50=measured.ap50.value,
        drawn=tuple(over_classes(resampled.drawn_precisions[:, 0, 0]).round(5).tolist()),
        images=len(split.val),
        shots=len(split.shots),
        seconds=round(seconds, 1),
        cpu_seconds=round(cpu_seconds, 1),
        threads=setting.threads,
        load=load,
        chosen=trained.chosen,
        made_with=made_here(),
    )


def folder_name(key: Key) -> str:
    return f"{key.dataset}-{key.shots}-{key.draw}-{key.way}-{value_digest(asdict(key))[:8]}"


def _name(key: Key) -> str:
    return f"{key.dataset}, {key.shots} shots, draw {key.draw}, {key.way} {key.version}, {key.network}"


if __name__ == "__main__":
    sys.exit(main())
