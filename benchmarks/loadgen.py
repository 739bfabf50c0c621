"""What does edgetl add to a query of MLPerf LoadGen? And are all four scenarios VALID on a real network?

    python benchmarks/loadgen.py BUNDLE --write

With the null engine, which computes nothing, edgetl and an empty system under test, which only answers, take turns.
Then BUNDLE runs every scenario as `edgetl loadgen` does. About four minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from result_file import NOTHING, Result, add_write_option, deliver, interval, machine_now, number, table

from edgetl.backends.fresh_process import LIMITS
from edgetl.bench import time_stats
from edgetl.bench.bundles import timed_examples
from edgetl.bench.loadgen import SCENARIOS, LoadGenResult, Scenario, Wanted, read_log, run_loadgen
from edgetl.bench.loadgen_child import answering, drive, settings_for
from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import EdgetlError
from edgetl.types import Interval, Silent, fed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from pivot_folder import make_pivot

LIMIT_US = 5.0
_SIDES = ("edgetl", "empty")
_EXAMPLES = 8
_FASTEST_S = 2e-6  # of a query, for LoadGen's list of them
_RATES = {"server": 500.0, "offline": 300_000.0}  # a second
_BATCH = {"multi-stream": 8, "offline": 32}
_NOTES = f"""\
`empty` is the smallest system under test in Python: it answers. edgetl also infers with the null engine, which checks
its inputs and makes zeros; its own time, measured alone, is taken off: `added` is edgetl less empty less engine, the
median of the pairs with a distribution-free interval. The sides take turns. Single-stream, multi-stream and server: p50
of LoadGen's latency of a query; in multi-stream that is 8 samples in one inference. The server gets
{_RATES["server"]:g} queries a second: caches are cold, and waking up counts on both sides; the engine alone pauses as
long. Offline: time of a sample, {_BATCH["offline"]} in an inference."""


@dataclass(frozen=True)
class Added:
    """Microseconds of a query (offline: of a sample), per pair; engine_us  of the null engine alone"""

    scenario: str
    edgetl_us: tuple[float, ...]
    empty_us: tuple[float, ...]
    engine_us: float

    @property
    def added_us(self) -> Interval:
        differences = np.array(self.edgetl_us) - np.array(self.empty_us) - self.engine_us
        found = time_stats.quantile(differences, 0.5, block=None)
        if found is None:
            raise EdgetlError(f"{len(self.edgetl_us)} pairs are too few for an interval; expected at least 6")
        return found


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            pivot = make_pivot(Path(scratch) / "pivot", golden=_EXAMPLES)
            null = compile_targets(pivot, ["null"], Path(scratch) / "bundles")[0]
            added = [_added(scenario, null, arguments.pairs, arguments.seconds) for scenario in SCENARIOS]
        runs = _runs(arguments.bundle, arguments.duration, arguments.queries)
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    data = {
        "limit_us": LIMIT_US,
        "added": [asdict(each) | {"added_us": asdict(each.added_us)} for each in added],
        "runs": [_without_places(each) for each in runs],
    }
    deliver(
        Result("loadgen", "MLPerf LoadGen", (_NOTES, _table(added), _runs_table(runs)), data), machine, arguments.write
    )
    holds = all(each.added_us.value <= LIMIT_US for each in added) and all(each.result == "VALID" for each in runs)
    return 0 if holds else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--pairs", type=int, default=11, help="of each scenario with the null engine (default 11)")
    parser.add_argument("--seconds", type=float, default=1, help="of each run with the null engine (default 1)")
    parser.add_argument("--duration", type=float, default=10, help="of each run of BUNDLE, in seconds (default 10)")
    parser.add_argument("--queries", type=int, help="of each run of BUNDLE, at least (default: what LoadGen needs)")
    add_write_option(parser)
    return parser.parse_args()


def _added(scenario: Scenario, null: Path, pairs: int, seconds: float) -> Added:
    import mlperf_loadgen as loadgen

    bundle, batch = read_bundle(null), _BATCH.get(scenario, 1)
    shown = timed_examples(bundle, None, Silent())
    wanted = Wanted(scenario, seconds, 100, _RATES.get(scenario), latency_ms=1000, batch=batch)
    settings, _ = settings_for(loadgen, wanted, len(shown), _FASTEST_S)
    group = max(batch, settings.multi_stream_samples_per_query if scenario == "multi-stream" else 1)
    inputs = fed(np.stack([shown[index % len(shown)] for index in range(batch)]))
    found: dict[str, list[float]] = {side: [] for side in _SIDES}
    engine_us: list[float] = []
    with open_bundle(bundle, threads=1) as engine, tempfile.TemporaryDirectory() as logs:
        issues = {
            "edgetl": answering(engine.infer, shown, batch, group, loadgen),
            "empty": _empty(loadgen, group),
        }
        for pair in range(pairs):
            for side in _SIDES if pair % 2 else reversed(_SIDES):
                drive(loadgen, settings, issues[side], len(shown), Path(logs))
                found[side].append(_query_us(scenario, read_log(Path(logs))))
            engine_us.append(
                _median_us(lambda: engine.infer(inputs), 1 / _RATES["server"] if scenario == "server" else 0)
            )
    of_sample = batch if scenario == "offline" else 1
    return Added(scenario, tuple(found["edgetl"]), tuple(found["empty"]), median(engine_us) / of_sample)


def _query_us(scenario: Scenario, log: Mapping[str, Any]) -> float:
    """Of LoadGen's log: p50 of latency, or the time of a sample."""
    if scenario == "offline":
        return 1e6 / float(log["result_samples_per_second"])
    kind = "per_query_latency" if scenario == "multi-stream" else "latency"
    return float(log[f"result_50.00_percentile_{kind}_ns"]) / 1e3


def _empty(loadgen: Any, group: int) -> Callable[[list[int], list[int]], None]:
    complete = loadgen.QuerySamplesComplete
    responses = [loadgen.QuerySampleResponse(0, 0, 0) for _ in range(group)]

    def issue(ids: list[int], indexes: list[int]) -> None:
        if len(ids) > group:  # offline
            complete([loadgen.QuerySampleResponse(each, 0, 0) for each in ids])
            return
        for response, each in zip(responses, ids, strict=True):
            response.id = each
        complete(responses)

    return issue


def _median_us(call: Callable[[], object], pause_s: float) -> float:
    """After a pause, in which caches are lost, as between the queries of a server."""
    times = []
    for _ in range(200 if pause_s else 5000):
        if pause_s:
            time.sleep(pause_s)
        begin = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin)
    return float(np.median(times)) / 1e3


def _runs(bundle: Path, duration_s: float, queries: int | None) -> list[LoadGenResult]:
    """Every scenario; the server has half the load of single-stream, and ten times its p90 as its bound."""
    with tempfile.TemporaryDirectory() as scratch:

        def run(wanted: Wanted) -> LoadGenResult:
            return run_loadgen(bundle, wanted, Path(scratch) / wanted.scenario, None, LIMITS, Silent())

        single = run(Wanted("single-stream", duration_s, queries))
        rate, bound = 500 / single.latency_ms["50.00"], 10 * single.latency_ms["90.00"]
        return [
            single,
            run(Wanted("multi-stream", duration_s, queries, batch=8)),
            run(Wanted("server", duration_s, queries, target_qps=rate, latency_ms=bound)),
            run(Wanted("offline", duration_s, queries, batch=8)),
        ]


def _without_places(found: LoadGenResult) -> dict[str, Any]:
    return {key: value for key, value in asdict(found).items() if key not in ("bundle", "log_dir", "machine")}


def _table(added: Sequence[Added]) -> str:
    head = ("scenario", "edgetl µs", "empty µs", "engine µs", "added µs", f"at most {LIMIT_US:g}")
    rows = [
        (
            each.scenario,
            number(float(np.median(each.edgetl_us)), 2),
            number(float(np.median(each.empty_us)), 2),
            number(each.engine_us, 2),
            interval(each.added_us, 2),
            "yes" if each.added_us.value <= LIMIT_US else "no",
        )
        for each in added
    ]
    return table(head, rows)


def _runs_table(runs: Sequence[LoadGenResult]) -> str:
    first = runs[0]
    head = ("scenario", "LoadGen says", "result", "p50 ms", "p99 ms", "queries")
    rows = [
        (
            _name(each),
            " ".join((each.result, *each.reasons)),
            f"{number(each.value, 2)} {each.unit}",
            *(number(each.latency_ms[q], 2) if each.latency_ms else NOTHING for q in ("50.00", "99.00")),
            str(each.queries),
        )
        for each in runs
    ]
    said = (
        f"`edgetl loadgen` on {first.target}, {first.precision}, {first.backend} {first.backend_version}, LoadGen "
        f"{first.loadgen_version}, at least {first.wanted.duration_s:g} s each, {first.examples} examples. No official "
        "MLPerf submission: network, examples and bound are our own, and MLPerf asks for 600 s."
    )
    return f"{said}\n\n{table(head, rows, left=3)}"


def _name(found: LoadGenResult) -> str:
    wanted = found.wanted
    if wanted.scenario == "server":
        return f"server, {wanted.target_qps:.4g} queries/s, bound {wanted.latency_ms:.4g} ms"
    return wanted.scenario + (f", batch {wanted.batch}" if wanted.batch > 1 else "")


if __name__ == "__main__":
    sys.exit(main())
