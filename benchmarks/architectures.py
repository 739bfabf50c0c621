"""How much faster every named architecture is in INT8 than in float at its own input size, and what it loses.

    python benchmarks/architectures.py --pictures PICTURES --weights-dir WEIGHTS --work WORK --write

PICTURES is a folder of ImageNet pictures, `<class index>_<anything>.jpg`. Every fifth calibrates; the others judge
those networks whose pretrained weights, classifier included, are in WEIGHTS. The other networks have random weights:
their time is right, their answers mean nothing, and no accuracy is given. Each finished network is a line of
`WORK/architectures.jsonl`; a run that was stopped continues, and `--only-table` shows what is finished. Networks are
calibrated, not trained, and compiled and timed by the library's own code: float and INT8 in the same rounds, on one
thread.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from architecture_cells import FLOAT_BUILDS, INT8, TARGETS, Built, Cell, Key, Settings, measure
from cell_file import CellFile
from pydantic import TypeAdapter
from result_file import NOTHING, Result, add_write_option, deliver, interval, machine_now, number, read_result, table
from transfer_version import code_version

from edgetl.errors import EdgetlError

ARCHITECTURES = (
    "tv_alexnet", "tv_vgg11", "tv_vgg11_bn", "tv_vgg16", "tv_vgg16_bn", "tv_googlenet", "tv_inception_v3",
    "tv_resnet18", "resnet50", "tv_densenet121", "mobilenetv1_100", "mobilenetv2_100", "tf_mobilenetv3_small_100",
    "mobilenetv4_conv_small", "efficientnet_b0", "tf_efficientnet_lite0", "regnetx_002", "repvgg_a0", "convnext_atto",
    "vit_tiny_patch16_224", "deit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "tv_swin_t", "tv_squeezenet1_1",
    "tv_shufflenet_v2_x1_0",
)  # fmt: skip
_CODE = ("backends", "backbones", "pivot", "quant", "types", "../targets", "../calibration")


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    cells = CellFile(arguments.work / "architectures.jsonl", Cell)
    if arguments.cells_from:
        cells.begin_with(read_result(arguments.cells_from, "architectures")["cells"], arguments.cells_from)
    settings = Settings(arguments.pictures, arguments.weights_dir, arguments.runs, arguments.repeats)
    version = code_version([], parts=_CODE)
    for network in () if arguments.only_table else arguments.networks:
        with cells.claimed(Key(network, version)) as ours:
            if ours:
                cell = measure(Key(network, version), settings, arguments.work / "builds" / network)
                cells.append(cell)
                print(f"{network}: {cell.refused or _spoken(cell.builds)}", flush=True)
    found = newest(cells.read())
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
    add("--networks", nargs="+", default=list(ARCHITECTURES), choices=ARCHITECTURES, metavar="NAME")
    add("--runs", type=int, default=40, help="timed runs of each build per repeat (default 40)")
    add("--repeats", type=int, default=3, help="times the engines are opened afresh (default 3)")
    add("--cells-from", type=Path, metavar="RESULT.json", help="begin an empty WORK with the cells of a written result")
    add("--only-table", action="store_true", help="measure nothing, show what is finished")
    add_write_option(parser)
    found = parser.parse_args()
    if not found.only_table:
        for name in ("pictures", "weights_dir"):
            folder = getattr(found, name)
            if folder is None or not folder.is_dir():
                parser.error(f"--{name.replace('_', '-')}: expected a folder; found {folder or 'nothing'}")
    if min(found.runs, found.repeats) < 1:
        parser.error("--runs, --repeats: expected at least 1")
    return found


def newest(cells: Sequence[Cell]) -> list[Cell]:
    """The last cell of every network for each set of targets, because CPUs of several kinds have their own; a refused
    cell only if there is no other."""
    last = {(cell.key.network, tuple(built.target for built in cell.builds)): cell for cell in cells}
    made = {cell.key.network for cell in last.values() if cell.builds}
    kept = [cell for cell in last.values() if cell.builds or cell.key.network not in made]
    return sorted(kept, key=lambda cell: ARCHITECTURES.index(cell.key.network))


def result_of(cells: Sequence[Cell]) -> Result:
    loads = [load for cell in cells for load in cell.loads if load is not None]
    load = f"{min(loads):.1f} to {max(loads):.1f}" if loads else "not known"
    method = (
        "Times over the INT8 build's, one thread, in the same rounds: above 1 INT8 is faster. Repeats are the sample "
        f"of the intervals. Load average while measuring: {load}; on a busy machine read the ratios, not the "
        "milliseconds. Layers: the precisions of convolutions and matrix products, products of two activations "
        "(attention) among them. Drop: top-1 of the float network minus that of the INT8 build on the judged pictures, "
        f"in points; {NOTHING}: random weights, whose predictions mean nothing."
    )
    measured = [name for name in TARGETS if any(built.target == name for cell in cells for built in cell.builds)]
    sections = [method, *(f"## {target}\n\n{_table(cells, target)}" for target in measured)]
    refused = [f"- {cell.key.network}: {cell.refused}" for cell in cells if cell.refused]
    if refused:
        sections.append("\n".join(["## Not made", "", *refused]))
    data = {"cells": TypeAdapter(list[Cell]).dump_python(list(cells), mode="json")}
    origins = tuple(cell.made_with for cell in cells)
    return Result("architectures", "INT8 beside float, architecture by architecture", tuple(sections), data, origins)


def _table(cells: Sequence[Cell], target: str) -> str:
    floats = FLOAT_BUILDS[target]
    header = ["network", "input", "weights", *(f"over {name}" for name in floats), "INT8, ms", "layers", "drop, points"]
    rows = []
    for cell in cells:
        built = next((each for each in cell.builds if each.target == target), None)
        if built is None:
            continue
        ratios = [interval(built.ratios.get(name), 2) for name in floats]
        weights = "pretrained" if cell.pretrained else "random"
        milliseconds = number(built.p50_ms.get(INT8), 2)
        rows.append([cell.key.network, f"{cell.pixels}", weights, *ratios, milliseconds, built.layers,
                     interval(built.drop_points, 2)])  # fmt: skip
    return table(header, rows)


def _spoken(builds: Sequence[Built]) -> str:
    said = []
    for built in builds:
        ratios = ", ".join(f"{interval(each, 2)} over {name}" for name, each in built.ratios.items())
        said.append(f"{built.target}: {ratios}; {built.layers}")
    return "; ".join(said)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgetlError as error:
        sys.exit(f"architectures.py: {error}")
