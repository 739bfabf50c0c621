"""Networks of one's own in INT8: what `edgetl import` loses and gains, beside `quantize_static` and NNCF.

    python benchmarks/imports.py --pictures PICTURES --weights-dir WEIGHTS --work WORK --write

PICTURES is a folder of ImageNet pictures, `<class index>_<anything>.jpg`. Every fifth calibrates, the others judge.
Each network in WEIGHTS is exported by PyTorch's two exporters and imported; the rivals quantize the float model that
edgetl made of the file. Each finished network is a line of `WORK/imports.jsonl`; a run
that was stopped continues, and `--only-table` shows what is finished. All builds are timed in the same rounds, on one
thread. Without NNCF its column is left out.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from cell_file import CellFile
from import_cells import Cell, Key, Settings, measure
from pydantic import TypeAdapter
from result_file import Result, add_write_option, deliver, interval, machine_now, number, table
from transfer_version import code_version

from edgetl.errors import EdgetlError

NETWORKS = ("mobilenetv2_100", "tf_mobilenetv3_small_100", "resnet50", "squeezenet1_1", "tf_efficientnet_lite0")
EXPORTERS = ("dynamo", "script")
METHODS = ("quantize_static minmax", "quantize_static percentile", "nncf performance", "nncf mixed")
_CODE = ("backends", "imported", "pivot", "quant", "types", "../targets", "../calibration")


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    cells = CellFile(arguments.work / "imports.jsonl", Cell)
    methods = tuple(name for name in arguments.methods if find_spec("nncf") or not name.startswith("nncf"))
    settings = Settings(arguments.pictures, arguments.weights_dir, arguments.runs, arguments.repeats, methods)
    version = code_version([], parts=_CODE)
    keys = [Key(network, exporter, version) for network in arguments.networks for exporter in arguments.exporters]
    if not arguments.only_table:
        cells.fill(
            keys, lambda key: measure(key, settings, arguments.work / "builds" / f"{key.network}-{key.exporter}")
        )
    found = list({(cell.key.network, cell.key.exporter): cell for cell in cells.read()}.values())
    if not found:
        raise EdgetlError(f"{cells.path}: no network is finished yet")
    deliver(result_of(found), machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--pictures", type=Path, help="folder of ImageNet pictures, <class index>_<anything>.jpg")
    add("--weights-dir", type=Path, help="folder of pretrained weights, classifiers included")
    add("--work", type=Path, required=True, help="folder for builds and finished networks")
    add("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, metavar="NAME")
    add("--exporters", nargs="+", default=list(EXPORTERS), choices=EXPORTERS)
    add("--methods", nargs="*", default=list(METHODS), choices=METHODS, metavar="NAME", help="rivals")
    add("--runs", type=int, default=40, help="timed runs of each build per repeat (default 40)")
    add("--repeats", type=int, default=3, help="times the engines are opened afresh (default 3)")
    add("--only-table", action="store_true", help="measure nothing, show what is finished")
    add_write_option(parser)
    found = parser.parse_args()
    for name in () if found.only_table else ("pictures", "weights_dir"):
        folder = getattr(found, name)
        if folder is None or not folder.is_dir():
            parser.error(f"--{name.replace('_', '-')}: expected a folder; found {folder or 'nothing'}")
    if min(found.runs, found.repeats) < 1:
        parser.error("--runs, --repeats: expected at least 1")
    return found


def result_of(cells: list[Cell]) -> Result:
    loads = [load for cell in cells for load in cell.loads if load is not None]
    load = f"{min(loads):.1f} to {max(loads):.1f}" if loads else "not known"
    method = (
        "Top-1 on the judged pictures, in percent; drop: float minus INT8, in points; faster: time of the float build "
        f"on the same runtime as edgetl's over that of the INT8 build. Load average while measuring: {load}; on a busy "
        "machine read the ratios."
    )
    header = ["network", "exporter", "target", "method", "top-1, float", "top-1, INT8", "drop, points", "faster"]
    rows = [
        [
            *(cell.key.network, cell.key.exporter, cell.target, build.method),
            *(number(100 * cell.float_top1, 1), number(100 * build.top1, 1)),
            *(interval(build.drop_points, 1), interval(build.faster, 2)),
        ]
        for cell in cells
        for build in cell.builds
    ]
    data = {"cells": TypeAdapter(list[Cell]).dump_python(cells, mode="json")}
    sections = (method, table(header, rows, left=4))
    return Result("imports", "Imported networks in INT8", sections, data, tuple(cell.made_with for cell in cells))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgetlError as error:
        sys.exit(f"imports.py: {error}")
