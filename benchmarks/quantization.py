"""From float to INT8: edgetl's builds compared with the float network and with the tools that users have otherwise.

    python benchmarks/quantization.py --data DATA --weights-dir WEIGHTS --work WORK
    python benchmarks/quantization.py --data DATA --weights-dir WEIGHTS --work WORK --what latency
    python benchmarks/quantization.py --work WORK --only-table --write

Every cell (one build of one network, set and draw; or all builds of a target timed in the same rounds) is a line in a
file in WORK. A stopped run continues, several runs may share one WORK, and finished cells can be shown at any time.
Latency needs a quiet machine and can be measured later than accuracy: the builds are kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cell_file import CellFile, claim
from quantization_cases import CASES, STANDARD
from quantization_cells import Cell, Group, Key, Times, TimesKey, Versions, groups, is_rival, plan, plan_times
from quantization_edgetl import GATE_POINTS, Chain
from quantization_made import Making
from quantization_measure import TIMED_TARGETS, Timing, accuracy_cell, times_cell
from quantization_rivals import missing
from quantization_text import METHOD, data, sections
from result_file import NOTHING, Result, add_write_option, deliver, machine_now, read_result, versions
from transfer_version import code_version, parts_without

from edgetl.bench import qemu
from edgetl.bench.machine import describe
from edgetl.errors import EdgetlError
from edgetl.files.digest import value_digest

NETWORKS = ("mobilenetv2_100", "resnet50", "tf_mobilenetv3_small_100", "squeezenet1_1")
SETS = ("neu_steel", "trash", "sign_digits")
ARM = "arm64-cpu"
_NOT_QUANTIZATION = (
    "checks",
    "cli",
    "explore",
    "report",
)
RIVALS_VERSION = 1
"""Of the alternatives' settings."""
_TOOLS = ("numpy", "torch", "torchvision", "timm", "torchao", "onnx", "onnxruntime", "openvino")
_RIVAL_TOOLS = ("onnx", "onnxruntime", "openvino", "nncf")
_ACCURACIES, _LATENCIES = "accuracy.jsonl", "latency.jsonl"
_METHODS = tuple(dict.fromkeys(name for case in CASES for names in case.methods.values() for name in names))


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    work: Path = arguments.work.resolve()
    fine = True
    try:
        if arguments.cells_from:
            written = read_result(arguments.cells_from, "quantization")
            CellFile(work / _ACCURACIES, Cell).begin_with(written["cells"], arguments.cells_from)
            CellFile(work / _LATENCIES, Times).begin_with(written["times"], arguments.cells_from)
        if not arguments.only_table:
            fine = _run(arguments, work)
        deliver(_result(arguments, work), machine, arguments.write)
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if fine else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="folder of the sets, each with {train,val}/<class>/")
    add("--weights-dir", type=Path, help="folder of pretrained weights")
    add("--work", type=Path, required=True, help="folder for finished cells and builds")
    add("--networks", nargs="+", default=list(NETWORKS), help=f"default: {' '.join(NETWORKS)}")
    add("--sets", nargs="+", default=list(SETS), help=f"default: {' '.join(SETS)}")
    add("--shots", type=int, default=10, help="per class (default 10)")
    add("--draws", type=int, default=3, help="draws of every set (default 3)")
    add("--first-draw", type=int, default=0, metavar="SEED", help="seed of the first one (default 0)")
    add("--targets", nargs="+", choices=STANDARD.targets, default=list(STANDARD.targets), metavar="TARGET")
    add("--methods", nargs="+", choices=_METHODS, metavar="METHOD", help=f"default: all of {', '.join(_METHODS)}")
    add("--hard", action="store_true", help="make the hard cases as well")
    add("--what", nargs="+", choices=("accuracy", "latency"), default=["accuracy", "latency"])
    add("--adapt", default="auto", metavar="HOW", help="auto, probe, or a number: minutes of search (default auto)")
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="for every recipe")
    add("--version", metavar="NAME",
        help="name of edgetl's code and settings that run or are shown (default: a digest; the newest)")  # fmt: skip
    add("--max-val", type=int, help="use at most this many validation images, for trying out")
    add("--emulated-images", type=int, default=32, help="validation images under emulation (default 32)")
    add("--forecast-images", type=int, default=32, help="validation images with saturation computed (default 32)")
    add("--runs", type=int, default=300, help="timed rounds per repeat (default 300)")
    add("--warmup", type=int, default=30, help="untimed rounds per repeat (default 30)")
    add("--repeats", type=int, default=5, help="repeats, each with engines opened afresh (default 5)")
    add("--latency-draws", type=int, default=1, help="draws whose latency is measured (default 1)")
    add("--threads", type=int, default=1, help="threads of training and of accuracy (default 1)")
    add("--cells-from", type=Path, metavar="RESULT.json", help="begin an empty WORK with the cells of a written result")
    add("--only-table", action="store_true", help="run nothing")
    add_write_option(parser)
    found = parser.parse_args()
    if not found.only_table and not (found.data and found.weights_dir):
        parser.error("--data and --weights-dir are needed to run; --only-table shows what is finished")
    counts = ("shots", "draws", "emulated_images", "forecast_images", "runs", "warmup", "repeats", "threads")
    if found.first_draw < 0 or found.latency_draws < 0 or any(getattr(found, name) < 1 for name in counts):
        parser.error("expected numbers of at least 1, and of at least 0 for --first-draw and --latency-draws")
    found.overrides = [*found.overrides, *_adapt(parser, found.adapt), *_max_val(found.max_val)]
    return found


def _adapt(parser: argparse.ArgumentParser, how: str) -> list[str]:
    if how in ("auto", "probe"):
        return [] if how == "auto" else ["adapt.strategy=probe"]
    try:
        minutes = float(how)
    except ValueError:
        parser.error(f"--adapt: expected auto, probe or minutes; found {how}")
    return [f"adapt.budget_minutes={minutes}"]


def _max_val(count: int | None) -> list[str]:
    return [] if count is None else [f"data.max_val_images={count}"]


def _run(arguments: argparse.Namespace, work: Path) -> bool:
    """Make the missing cells. False if one failed."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(arguments.threads)
    threadpool_limits(arguments.threads)
    made_by = _versions(arguments)
    making = Making(
        data=arguments.data.resolve(),
        weights=arguments.weights_dir.resolve(),
        work=work,
        threads=arguments.threads,
        overrides=tuple(arguments.overrides),
        emulated=arguments.emulated_images,
        forecast=arguments.forecast_images,
        version=made_by.ours,
        adapt_version=arguments.version or code_version(()),
    )
    draws = range(arguments.first_draw, arguments.first_draw + arguments.draws)
    found = groups(arguments.networks, arguments.sets, arguments.shots, draws)
    fine = True
    if "accuracy" in arguments.what:
        targets = _targets(arguments.targets)
        cases = [case for case in CASES if arguments.hard or not case.hard]
        methods = [name for name in arguments.methods or _METHODS if not missing(name)]
        for group in found:
            fine &= work_through(making, group, plan(group, cases, targets, methods, made_by))
    if "latency" in arguments.what:
        fine &= _measure_times(arguments, making, found, made_by)
    return fine


def work_through(making: Making, group: Group, keys: Sequence[Key]) -> bool:
    """Make the group's missing accuracies, unless another process works on the group. A cell that fails is named and
    left out. Returns whether none failed."""
    file = CellFile(making.work / _ACCURACIES, Cell)
    fine = True
    with claim(making.work / "claims", group) as ours:
        done = file.done()
        open_keys = [key for key in keys if key not in done] if ours else []
        if not open_keys:
            return True
        chain = Chain(making, group)
        for key in open_keys:
            try:
                cell = accuracy_cell(chain, key)
            except EdgetlError as error:
                _say(f"{_name(key)}: {error}")
                fine = False
                continue
            file.append(cell)
            note = f" ({cell.note})" if cell.note else ""
            _say(f"{_name(key)}: {100 * cell.top1.value:.1f} %, drop {cell.drop_points.value:.2f} points{note}")
    return fine


def time_through(
    making: Making, group: Group, keys: Sequence[TimesKey], timing: Timing, methods: Sequence[str]
) -> bool:
    """Measure the group's latencies that are missing or were measured with fewer rounds or methods. False if one failed
    or another process works on the group."""
    file = CellFile(making.work / _LATENCIES, Times)
    done = {cell.key: cell for cell in file.read()}
    open_keys = [key for key in keys if key not in done or not done[key].covers(methods, timing.runs, timing.repeats)]
    if not open_keys:
        return True
    fine = True
    with claim(making.work / "claims", group) as ours:
        if not ours:
            _say(f"{group.network}, {group.dataset}, draw {group.draw}: latency waits: another run makes its builds")
            return False
        chain = Chain(making, group)
        for key in open_keys:
            try:
                before = done[key].asked if key in done else ()
                file.append(times_cell(chain, key, timing, list(dict.fromkeys([*methods, *before]))))
            except EdgetlError as error:
                _say(f"{_name(key)}: {error}")
                fine = False
                continue
            _say(f"{_name(key)}: timed")
    return fine


def _measure_times(arguments: argparse.Namespace, making: Making, found: Sequence[Group], made_by: Versions) -> bool:
    timing = Timing(arguments.runs, arguments.warmup, arguments.repeats)
    targets = [name for name in arguments.targets if name in TIMED_TARGETS]
    last = arguments.first_draw + arguments.latency_draws
    with claim(making.work / "claims", _Turn("latency")) as ours:
        if not ours:
            _say("latency is left to the other run that is measuring it")
            return True
        fine = True
        for group in (each for each in found if each.draw < last):
            keys = plan_times(group, targets, _thread_counts(), made_by)
            fine &= time_through(making, group, keys, timing, arguments.methods or _METHODS)
        return fine


@dataclass(frozen=True)
class _Turn:
    """One process at a time measures latency."""

    what: str


def _thread_counts() -> tuple[int, ...]:
    """One, and all cores."""
    return tuple(sorted({1, int(describe().usable_cores or 1)}))


def _targets(names: Sequence[str]) -> list[str]:
    obstacle = qemu.missing() if ARM in names else None
    if obstacle:
        _say(f"{ARM} is left out: {obstacle.reason}; {obstacle.remedy}")
    return [name for name in names if name != ARM or obstacle is None]


def _versions(arguments: argparse.Namespace) -> Versions:
    """A digest of the code and settings of each, or the given name of edgetl's code instead.

    The same float network from the same tools gives the same alternatives, whatever else changed in edgetl.
    """
    tools = {name: version for name, version in versions().items() if name in _RIVAL_TOOLS}
    settings = [f"emulated {arguments.emulated_images}", f"forecast {arguments.forecast_images}"]
    settings += [f"{name} {version}" for name, version in versions().items() if name in _TOOLS]
    code = code_version([*arguments.overrides, *settings], parts=parts_without(_NOT_QUANTIZATION))
    ours = arguments.version or code
    network = arguments.version or code_version(arguments.overrides)
    return Versions(ours, value_digest([network, tools, RIVALS_VERSION])[:8])


def _result(arguments: argparse.Namespace, work: Path) -> Result:
    cells = _newest(CellFile(work / _ACCURACIES, Cell).read(), arguments)
    if not cells:
        raise EdgetlError(f"{work}: no finished cell of {arguments.shots} shots; run without --only-table first")
    shown = Versions(_last(cells, rival=False), _last(cells, rival=True))
    times = [cell for cell in CellFile(work / _LATENCIES, Times).read() if cell.key.shots == arguments.shots]
    times = [cell for cell in times if shown.fits(cell.key.version)]
    absent = dict.fromkeys(reason for name in _METHODS if (reason := missing(name)))
    said = [f"Versions: edgetl's code {shown.ours}, the alternatives {shown.rivals or NOTHING}.", *absent]
    obstacle = qemu.missing()
    if obstacle:
        said.append(f"{ARM}: not measured here: {obstacle.reason}.")
    parts = [METHOD.format(gate=GATE_POINTS), "\n".join(said), *sections(cells, times)]
    facts: dict[str, Any] = {"shots": arguments.shots, "versions_of_code": asdict(shown)}
    origins = (*(cell.made_with for cell in cells), *(cell.made_with for cell in times))
    return Result("quantization", "From float to integers", tuple(parts), facts | data(cells, times), origins)


def _newest(cells: Sequence[Cell], arguments: argparse.Namespace) -> list[Cell]:
    """The cells of one version of edgetl and one of the alternatives: the given version, or the one finished last."""
    mine = [cell for cell in cells if cell.key.shots == arguments.shots]
    shown = Versions(arguments.version or _last(mine, rival=False), _last(mine, rival=True))
    return sorted((cell for cell in mine if cell.key.version == shown.of(cell.key.method)), key=_place)


def _last(cells: Sequence[Cell], *, rival: bool) -> str:
    return next((cell.key.version for cell in reversed(cells) if is_rival(cell.key.method) == rival), "")


def _place(cell: Cell) -> tuple[int, int, int, int]:
    """Targets, networks and sets in the order of their lists, others last."""
    key = cell.key
    lists = ((STANDARD.targets, key.target), (NETWORKS, key.network), (SETS, key.dataset))
    first, second, third = (names.index(name) if name in names else len(names) for names, name in lists)
    return first, second, third, key.draw


def _name(key: Key | TimesKey) -> str:
    what = (
        f"{key.case}, {key.target}, {key.method}" if isinstance(key, Key) else f"{key.target}, threads: {key.threads}"
    )
    return f"{key.network}, {key.dataset}, draw {key.draw}, {what}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
