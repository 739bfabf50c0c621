"""Few-shot transfer: edgetl's `adapt` compared with common practice, on six small image sets.

    python benchmarks/transfer.py --data DATA --weights-dir WEIGHTS --work WORK
    python benchmarks/transfer.py --work WORK --only-table --write

Every cell (one method on one draw of one set) is a line of WORK/cells.jsonl. A stopped run continues, several runs may
share one WORK, and finished cells can be shown at any time. A changed `adapt` makes its own cells again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from result_file import Result, add_write_option, deliver, machine_now, made_here, read_result
from transfer_cells import Cell, CellFile, Key, plan
from transfer_draws import Draw, images_digest
from transfer_text import board_data, boards, newest_versions, section, shown_cells, version_text
from transfer_version import code_version

from edgetl.errors import EdgetlError
from edgetl.files.digest import value_digest
from edgetl.files.durable import write_text
from edgetl.recipes.recipe import Backbone

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transfer_baselines import Pretrained

    from edgetl.types import Split

SETS = ("neu_steel", "rsscn7", "trash", "hymenoptera", "brain_mri", "sign_digits")
METHODS = ("logistic", "last_layer", "tutorial", "probe", "auto")
OURS = ("probe", "auto")

_METHOD = """\
Every draw is edgetl's own split with another `data.seed`: the shots from `train`, all of `val` measured. All methods
start from the same weights and learn from the same shots; none sees `val` before it is measured.

- logistic: scikit-learn's logistic regression with its defaults on the features of the frozen network from the center
  crop (shorter side resized, the weights' own crop, mean and std); as they are, which beat standardising them
- last_layer: a new last layer on the frozen network, trained with Adam ({last_layer}) on new random resized crops and
  flips in every epoch, as in the PyTorch transfer-learning tutorial
- tutorial: all layers fine-tuned as in that tutorial, with AdamW ({full}) and frozen batch-norm statistics; trained on
  RandomResizedCrop and flips, measured on Resize(256) and CenterCrop(224)
- probe, auto: the `adapt` stage of a recipe with its defaults but for the strategy's name; the written network is
  measured with the preprocessing it was written with. Features are extracted anew in each cell, within its seconds

± is half a 95 % interval over draws (Student's); a mean over the sets is one number per draw first. Seconds are of
adaptation alone: reading the shots, extracting, searching, training; not the validation."""


@dataclass(frozen=True)
class Setting:
    """What a worker needs besides a cell's key. Paths are absolute."""

    data: Path
    weights: Path
    work: Path
    threads: int
    overrides: tuple[str, ...]

    @property
    def cells(self) -> CellFile:
        return CellFile(self.work / "cells.jsonl")


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    work: Path = arguments.work.resolve()
    failed = False
    try:
        if arguments.cells_from:
            found = read_result(arguments.cells_from, "transfer")["boards"]
            CellFile(work / "cells.jsonl").begin_with(
                [cell for board in found for cell in board["cells"]], arguments.cells_from
            )
        if not arguments.only_table:
            failed = not _run(arguments, work)
        cells = [cell for cell in CellFile(work / "cells.jsonl").read() if cell.key.backbone == arguments.backbone]
        if not cells:
            raise EdgetlError(f"{work}: no finished cell of {arguments.backbone}; run without --only-table first")
        deliver(_result(arguments, work, cells), machine, arguments.write)
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="folder of the sets, each with {train,val}/<class>/")
    add("--weights-dir", type=Path, help="folder of pretrained weights")
    add("--work", type=Path, required=True, help="folder for finished cells and caches")
    add("--backbone", default="mobilenetv2_100")
    add("--shots", type=int, nargs="+", default=[10, 5, 1, 20], help="in the order to work on (default 10 5 1 20)")
    add("--draws", type=int, default=5, help="draws of every set (default 5)")
    add("--first-draw", type=int, default=0, metavar="SEED", help="seed of the first one (default 0)")
    add("--sets", nargs="+", default=list(SETS), help=f"default: {' '.join(SETS)}")
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD", help=", ".join(METHODS))
    add("--order", choices=("draws", "shots"), default="draws", help="what is finished first: a draw, or a shot count")
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="for the recipe of ours")
    add("--version", dest="versions", action="append", default=[], metavar="METHOD=NAME",
        help="name of the code that runs or is shown (default: a digest of it; shown: the newest); given again: shown "
        "where the ones before it have no cell")  # fmt: skip
    add("--threads", type=int, default=1, help="threads of each worker (default 1)")
    add("--jobs", type=int, default=1, help="workers (default 1)")
    add("--cells-from", type=Path, metavar="RESULT.json", help="begin an empty WORK with the cells of a written result")
    add("--only-table", action="store_true", help="run nothing")
    add_write_option(parser)
    found = parser.parse_args()
    if not found.only_table and not (found.data and found.weights_dir):
        parser.error("--data and --weights-dir are needed to run; --only-table shows what is finished")
    if found.first_draw < 0:
        parser.error("--first-draw: expected a seed of at least 0")
    if found.draws < 1 or found.jobs < 1 or found.threads < 1 or min(found.shots) < 1:
        parser.error("--shots, --draws, --jobs and --threads: expected numbers of at least 1")
    if any("=" not in word or word.partition("=")[0] not in METHODS for word in found.versions):
        parser.error(f"--version: expected METHOD=NAME with one of {', '.join(METHODS)}")
    return found


def _run(arguments: argparse.Namespace, work: Path) -> bool:
    """Make what is missing. False when a cell failed."""
    work.mkdir(parents=True, exist_ok=True)
    setting = Setting(
        arguments.data.resolve(), arguments.weights_dir.resolve(), work, arguments.threads, tuple(arguments.overrides)
    )
    versions = _versions(arguments.methods, setting.overrides) | {
        method: names[0] for method, names in _named_versions(arguments).items()
    }
    keys = plan(
        arguments.backbone,
        arguments.sets,
        list(dict.fromkeys(arguments.shots)),
        range(arguments.first_draw, arguments.first_draw + arguments.draws),
        arguments.methods,
        versions,
        draws_first=arguments.order == "draws",
    )
    ours = next((key for key in keys if key.method in OURS), None)
    if ours:
        _measure_extraction(setting, ours)
    if arguments.jobs == 1:
        return work_through(setting, keys, parent=None)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_worker, args=(setting, keys, os.getpid()), name=f"transfer-{index}")
        for index in range(arguments.jobs)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return all(worker.exitcode == 0 for worker in workers)


def _worker(setting: Setting, keys: Sequence[Key], parent: int) -> None:
    sys.exit(0 if work_through(setting, keys, parent) else 1)


def work_through(setting: Setting, keys: Sequence[Key], parent: int | None) -> bool:
    """Make every cell that is neither finished nor claimed by another process; stop when the process `parent` is gone.

    A cell that fails is named and left out. Returns whether none failed.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(setting.threads)
    threadpool_limits(setting.threads)  # for scikit-learn: torch's setting does not reach its linear algebra
    fine = True
    for key in keys:
        if parent is not None and os.getppid() != parent:
            return fine
        with setting.cells.claimed(key) as ours:
            if not ours:
                continue
            try:
                cell = _cell(setting, key)
            except EdgetlError as error:
                print(f"{_name(key)}: {error}", file=sys.stderr, flush=True)
                fine = False
                continue
            setting.cells.append(cell)
        said = f" ({cell.strategy})" if cell.strategy else ""
        print(f"{_name(key)}: {100 * cell.top1:.1f} % in {cell.seconds:.1f} s{said}", file=sys.stderr, flush=True)
    return fine


def _cell(setting: Setting, key: Key) -> Cell:
    from transfer_baselines import BASELINES

    pretrained = _pretrained(setting, key.backbone)
    if key.method in BASELINES:
        split = _split(setting.data, key.dataset, key.shots, key.draw)
        answer = BASELINES[key.method](pretrained, split, key.draw)
        return _judged(setting, key, split, answer.predicted, answer.seconds, "")
    from transfer_edgetl import run_adapt

    folder = setting.work / "adapt" / value_digest(asdict(key))[:16]
    draw = Draw(setting.data / key.dataset, key.shots, key.draw)
    adapted = run_adapt(pretrained, setting.weights, draw, key.method, setting.overrides, folder)
    return _judged(setting, key, adapted.split, adapted.predicted, adapted.seconds, adapted.strategy)


def _judged(
    setting: Setting, key: Key, split: Split, predicted: NDArray[np.int64], seconds: float, strategy: str
) -> Cell:
    right = sum(int(found) == sample.label for found, sample in zip(predicted, split.val, strict=True))
    images = len(split.val)
    return Cell(
        key, right / images, images, round(seconds, 3), setting.threads, images_digest(split), strategy, made_here()
    )


@lru_cache(maxsize=32)
def _split(data: Path, dataset: str, shots: int, draw: int) -> Split:
    return Draw(data / dataset, shots, draw).split()


def _pretrained(setting: Setting, name: str) -> Pretrained:
    from transfer_baselines import Pretrained

    from edgetl.backbones.weights import locate

    backbone = Backbone(name=name)
    return Pretrained(backbone, locate(backbone, setting.weights, (setting.weights,)), setting.work / "cache")


def _versions(methods: Sequence[str], overrides: Sequence[str]) -> dict[str, str]:
    from transfer_baselines import VERSIONS

    found = {method: VERSIONS[method] for method in methods if method in VERSIONS}
    return found | {method: code_version(overrides) for method in methods if method in OURS}


def _named_versions(arguments: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    named: dict[str, tuple[str, ...]] = {}
    for word in arguments.versions:
        method, name = word.split("=", 1)
        named[method] = (*named.get(method, ()), name)
    return named


def _measure_extraction(setting: Setting, key: Key) -> None:
    """Once per WORK, backbone and version of edgetl, before the cells."""
    path = _extraction_path(setting.work, key.backbone, key.version)
    if path.exists():
        return
    import torch
    from transfer_edgetl import measure_extraction

    torch.set_num_threads(setting.threads)
    split = _split(setting.data, key.dataset, key.shots, key.draw)
    found = measure_extraction(_pretrained(setting, key.backbone), split.val[:128], len(split.classes))
    write_text(path, json.dumps(asdict(found)) + "\n")


def _extraction_path(work: Path, backbone: str, version: str) -> Path:
    return work / f"extraction-{_plain(backbone)}-{_plain(version)}.json"


def _result(arguments: argparse.Namespace, work: Path, cells: Sequence[Cell]) -> Result:
    versions = {**newest_versions(cells), **_named_versions(arguments)}
    shown = sorted(shown_cells(cells, versions), key=_place)
    found = boards(shown)
    ours = versions.get("auto") or versions.get("probe") or ()
    measured = [path for name in ours if (path := _extraction_path(work, arguments.backbone, name)).exists()]
    extraction = json.loads(measured[0].read_text(encoding="utf-8")) if measured else None
    sections = [
        _method(),
        f"Versions of the methods: {version_text(shown)}.",
    ]
    if extraction:
        share = extraction["plain"] / extraction["network"]
        sections.append(
            f"Feature extraction, {extraction['threads']} thread(s): {extraction['plain']:.1f} images/s from files to "
            f"cached features, {extraction['network']:.1f} for the bare network on tensors ({share:.0%})."
        )
    sections += [section(board) for board in found]
    name = "transfer" if arguments.backbone == "mobilenetv2_100" else f"transfer-{_plain(arguments.backbone)}"
    data = {
        "backbone": arguments.backbone,
        "versions": versions,
        "extraction": extraction,
        "boards": [board_data(board) for board in found],
    }
    origins = tuple(cell.made_with for cell in shown)
    return Result(name, f"Few-shot transfer with {arguments.backbone}", tuple(sections), data, origins)


def _method() -> str:
    from transfer_baselines import FULL, LAST_LAYER

    return _METHOD.format(last_layer=LAST_LAYER.words(), full=FULL.words())


def _place(cell: Cell) -> int:
    """Sets in the order of SETS, others last."""
    return SETS.index(cell.key.dataset) if cell.key.dataset in SETS else len(SETS)


def _plain(name: str) -> str:
    """A backbone's name as part of a file name: `local-dir:` and `edgetl:` names have other characters."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def _name(key: Key) -> str:
    return f"{key.dataset}, {key.shots} shots, draw {key.draw}, {key.method} {key.version}"


if __name__ == "__main__":
    sys.exit(main())
