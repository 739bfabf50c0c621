"""Does `edgetl throughput` find the best setting? Against all settings, and beside OpenVINO's benchmark_app.

    python benchmarks/throughput.py BUNDLE --write

Every split of up to twice the cores into streams and threads is measured with every batch. Then the search runs as the
command does, without a limit of p99 and with one; and what both found is measured again, in turns. A bundle of OpenVINO
is also run by `benchmark_app -hint throughput`, with batches of one. About five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from result_file import Result, add_write_option, deliver, interval, machine_now, number, table

from edgetl.bench import time_stats
from edgetl.bench.bundles import timed_examples
from edgetl.bench.throughput import BATCHES, Point, Setting, best, measure_setting, powers, search
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.errors import EdgetlError
from edgetl.types import Interval, Silent

LEAST = 0.95
"""Share of the best throughput that the search must reach."""
_LIMIT_OF_P50 = 4  # the limit of p99, by default, over the p50 of one stream with one thread and single examples


@dataclass(frozen=True)
class Goal:
    """One limit of p99, or none.

    searched, exhaustive  what each way found;  ratio  searched over exhaustive, measured again in turns; None if both
    are one setting
    """

    limit_ms: float | None
    searched: Point
    exhaustive: Point
    ratio: Interval | None

    @property
    def holds(self) -> bool:
        return self.ratio is None or self.ratio.value >= LEAST


@dataclass(frozen=True)
class App:
    """benchmark_app: frames a second and p99 of one run."""

    per_second: float
    p99_ms: float


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    try:
        bundle = read_bundle(arguments.bundle)
        examples = timed_examples(bundle, None, Silent())
        cores = max(1, round(machine.usable_cores or 1))

        def measure(setting: Setting, seconds: float) -> Point:
            point = measure_setting(bundle, examples, setting, seconds)
            print(_words(point), file=sys.stderr)
            return point

        every = [measure(setting, arguments.seconds) for setting in settings(cores, arguments.batches)]
        alone = next(point for point in every if point.setting == Setting(1, 1, min(arguments.batches)))
        limits = (None, arguments.p99_limit_ms or round(_LIMIT_OF_P50 * alone.p50_ms, 1))
        pairs = [(limit, _found(arguments, limit), _best(every, limit)) for limit in limits]
        finalists = list(dict.fromkeys(point.setting for _, *both in pairs for point in both))
        again: dict[Setting, list[Point]] = {setting: [] for setting in finalists}
        apps: list[App] = []
        for _ in range(arguments.repeats):
            for setting in finalists:
                again[setting].append(measure(setting, arguments.again_seconds))
            if bundle.manifest.compiled.backend == "openvino":
                apps.append(_benchmark_app(bundle, arguments.again_seconds))
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    goals = [Goal(limit, found, most, _ratio(again, found, most)) for limit, found, most in pairs]
    sections = (_said(arguments), _goals(goals), _finalists(again, apps), _every(every))
    data = {
        "goals": [asdict(goal) for goal in goals],
        "exhaustive": [asdict(point) for point in every],
        "again": [asdict(point) for points in again.values() for point in points],
        "benchmark_app": [asdict(app) for app in apps],
    }
    deliver(Result("throughput", "The search for throughput", sections, data), machine, arguments.write)
    return 0 if all(goal.holds for goal in goals) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--p99-limit-ms", type=float, help="default: four times the p50 of a single example")
    parser.add_argument("--seconds", type=float, default=1.5, help="for each of all settings (default 1.5)")
    parser.add_argument("--search-seconds", type=float, default=2, help="for each setting of the search (default 2)")
    parser.add_argument("--repeats", type=int, default=5, help="of what was found, in turns (default 5)")
    parser.add_argument("--again-seconds", type=float, default=3, help="for each of them (default 3)")
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), help="of all settings")
    add_write_option(parser)
    return parser.parse_args()


def settings(cores: int, batches: Sequence[int]) -> list[Setting]:
    """Also those with more threads than cores, which the search leaves out."""
    return [
        Setting(streams, threads, batch)
        for streams in powers(2 * cores)
        for threads in powers(cores)
        if streams * threads <= 2 * cores
        for batch in batches
    ]


def _found(arguments: argparse.Namespace, limit_ms: float | None) -> Point:
    found = search(arguments.bundle, limit_ms, arguments.search_seconds, Silent()).best
    if found is None:
        raise EdgetlError(f"the search found nothing within {limit_ms} ms: give a larger --p99-limit-ms")
    print("search:", _words(found), file=sys.stderr)
    return found


def _best(points: Sequence[Point], limit_ms: float | None) -> Point:
    found = best(points, limit_ms)
    if found is None:
        raise EdgetlError(f"no setting is within {limit_ms} ms: give a larger --p99-limit-ms")
    return found


def _ratio(again: dict[Setting, list[Point]], searched: Point, exhaustive: Point) -> Interval | None:
    if searched.setting == exhaustive.setting:
        return None
    pairs = zip(again[searched.setting], again[exhaustive.setting], strict=True)
    return time_stats.over_repeats([one.per_second / other.per_second for one, other in pairs])


def _benchmark_app(bundle: Bundle, seconds: float) -> App:
    port = bundle.manifest.preprocessing.port
    shape = ",".join(str(size or 1) for size in port.shape)
    words = ["-m", str(bundle.folder / bundle.manifest.compiled.model), "-d", "CPU", "-hint", "throughput"]
    words += ["-shape", f"[{shape}]", "-t", str(max(1, round(seconds))), "-latency_percentile", "99"]
    program = "import sys; from openvino.tools.benchmark.main import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    rate, p99 = (re.search(rf"{name}:\s*([\d.]+)", done.stdout) for name in ("Throughput", "99 percentile"))
    if done.returncode or rate is None or p99 is None:
        raise EdgetlError(f"benchmark_app failed: {(done.stdout + done.stderr)[-500:]}")
    return App(float(rate[1]), float(p99[1]))


def _said(arguments: argparse.Namespace) -> str:
    return (
        f"All settings ran for {arguments.seconds:g} s each, the search's for {arguments.search_seconds:g} s. What "
        f"both found ran again, {arguments.repeats} times in turns for {arguments.again_seconds:g} s; the ratio is "
        "that of these runs, which are its sample. The best of many short runs is partly luck: the ratio has none of "
        "it. p99 is that of a run, a batch being one inference."
    )


def _goals(goals: Sequence[Goal]) -> str:
    head = ("limit of p99", "search", "all settings", "search / best of all", f"at least {LEAST:g}")
    rows = [
        (
            "none" if goal.limit_ms is None else f"{goal.limit_ms:g} ms",
            _name(goal.searched.setting),
            _name(goal.exhaustive.setting),
            "same setting" if goal.ratio is None else interval(goal.ratio, 3),
            "yes" if goal.holds else "no",
        )
        for goal in goals
    ]
    return table(head, rows, left=3)


def _finalists(again: dict[Setting, list[Point]], apps: Sequence[App]) -> str:
    rows = [
        (
            _name(setting),
            number(median(each.per_second for each in points), 1),
            number(median(each.p99_ms for each in points), 2),
        )
        for setting, points in again.items()
    ]
    if apps:
        figures = (median(app.per_second for app in apps), median(app.p99_ms for app in apps))
        rows.append(("`benchmark_app -hint throughput`", number(figures[0], 1), number(figures[1], 2)))
    return "Medians of the runs in turns:\n\n" + table(("setting", "examples/s", "p99 ms"), rows, left=1)


def _every(points: Sequence[Point]) -> str:
    rows = [
        (_name(each.setting), number(each.per_second, 1), number(each.p50_ms, 2), number(each.p99_ms, 2))
        for each in points
    ]
    return "All settings:\n\n" + table(("setting", "examples/s", "p50 ms", "p99 ms"), rows, left=1)


def _name(setting: Setting) -> str:
    return f"{setting.streams} × {setting.threads}, batch {setting.batch}"


def _words(point: Point) -> str:
    return json.dumps({"setting": _name(point.setting), "per_second": round(point.per_second, 1)}, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
