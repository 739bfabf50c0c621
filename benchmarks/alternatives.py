"""INT8 by edgetl against the plain alternatives, from the same float network and the same shots.

    python benchmarks/alternatives.py --work WORK OUT [OUT ...]

OUT is the output folder of a finished `edgetl build`. onnxruntime's `quantize_static` and NNCF make their models from
its float pivot; all builds of one runtime then answer the same validation images and are timed in the same rounds,
through the same engine code. Models and measurements are kept in WORK/<recipe name>; --again measures once more.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from comparison import Comparison, Settings, compare_builds, read_comparison
from comparison_text import section
from finished_build import FinishedBuild, read_build
from pydantic import TypeAdapter
from result_file import Result, machine_facts, machine_now, write_result

from edgetl.errors import EdgetlError
from edgetl.store.results import open_store

_BUILDS = """\
All builds start from the same adapted float network (the float pivot) and the same shots. `quantize_static`: QDQ,
per-channel int8 weights, uint8 activations, after `quant_pre_process`, with each of its calibration methods. NNCF:
`nncf.quantize` after `openvino.convert_model`, on all shots with fast bias correction, with each of its presets. The
preprocessing inside the graph stays float in theirs; edgetl's uint8 scheme takes the bytes as they are where it can."""
_COLUMNS = """\
Drop: top-1 of the float torch network minus the build's, paired, in points. `edgetl faster`: the build's time over that
of edgetl's INT8; `edgetl better`: top-1 of edgetl's INT8 minus the build's, paired, in points; below 1 and below 0
edgetl is behind. Making: wall time on this machine; for edgetl the training of the number scheme, for the others the
calibration (the first one of each tool includes loading it)."""


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    settings = Settings(arguments.runs, arguments.warmup, arguments.repeats, arguments.threads, arguments.max_val)
    found: list[Comparison] = []
    try:
        for out in arguments.outs:
            found += _compare(read_build(out), arguments.work.resolve(), settings, arguments.again)
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    sections = (_method(settings), *map(section, found))
    data = {"comparisons": [_data(comparison) for comparison in found]}
    result = Result("alternatives", "INT8: edgetl against quantize_static and NNCF", sections, data)
    print(write_result(result, machine))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outs", type=Path, nargs="+", metavar="OUT")
    parser.add_argument("--work", type=Path, required=True, help="folder for models and measurements")
    parser.add_argument("--runs", type=int, default=300, help="timed rounds per repeat (default 300)")
    parser.add_argument("--warmup", type=int, default=30, help="untimed rounds per repeat (default 30)")
    parser.add_argument("--repeats", type=int, default=5, help="repeats, each with engines opened afresh (default 5)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-val", type=int, help="use at most this many validation images, classes taking turns")
    parser.add_argument("--again", action="store_true", help="measure again; models are kept")
    return parser.parse_args()


def _compare(build: FinishedBuild, work: Path, settings: Settings, again: bool) -> list[Comparison]:
    name = build.report.name
    with open_store(work / name) as store:
        targets = _targets(build)
        if not targets:
            raise EdgetlError(f"{build.out}: no target that was measured here on onnxruntime or openvino")
        folders = [compare_builds(store, build, target, settings, again) for target in targets]
    return [read_comparison(folder) for folder in folders]


def _data(comparison: Comparison) -> dict[str, Any]:
    values: dict[str, Any] = TypeAdapter(Comparison).dump_python(comparison, mode="json")
    return {**values, "machine": machine_facts(comparison.machine)}


def _targets(build: FinishedBuild) -> tuple[str, ...]:
    """The first measured target of each runtime that has a plain alternative."""
    chosen: dict[str, str] = {}
    for bundle in build.report.bundles:
        if bundle.measured and bundle.backend in ("onnxruntime", "openvino"):
            chosen.setdefault(bundle.backend, bundle.target)
    return tuple(chosen.values())


def _method(settings: Settings) -> str:
    latency = (
        f"Latency: one image, {settings.threads} thread(s), builds interleaved, {settings.repeats} repeats of\n"
        f"{settings.runs} rounds after {settings.warmup} untimed ones; every repeat opens the engines afresh.\n"
        "Quantiles are over all rounds; a ratio is the geometric mean of the repeats' ratios of medians, and\n"
        "`repeats` beside it their range. Repeats are the sample of both intervals: that of a ratio is Student's over\n"
        "the logarithms of the repeats' ratios. Of a single repeat rounds are the sample."
    )
    return f"{_BUILDS}\n\n{latency}\n{_COLUMNS}"


if __name__ == "__main__":
    sys.exit(main())
