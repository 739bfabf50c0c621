"""MLPerf's four scenarios, driven by LoadGen in a process of its own (`loadgen_child`), and what its logs say.

LoadGen decides what is VALID. A result is no MLPerf submission: network, examples and latency bound are the user's,
only performance is measured, and `Rule` lists settings in which a run asks for less than LoadGen's own `mlperf.conf`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors.numpy import save_file

from edgetl.backends.base import load as load_backend
from edgetl.backends.fresh_process import Limits, output_of
from edgetl.bench.bundles import timed_examples
from edgetl.bench.hardware import Hardware, between, counters, doubts
from edgetl.bench.machine import Machine, clock_mhz, describe, temperature_c
from edgetl.bench.quiet import Conditions, busy, too_many_threads
from edgetl.bench.steady import WarmUp
from edgetl.bundle.manifest import FILE_NAME
from edgetl.bundle.read import read_bundle
from edgetl.errors import BackendError, EdgetlError, UsageError
from edgetl.files.digest import file_digest
from edgetl.files.temporary import temporary_folder
from edgetl.types import Progress

Scenario = Literal["single-stream", "multi-stream", "server", "offline"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
MODULE, EXTRA = "mlperf_loadgen", "loadgen"
DETAIL, SUMMARY = "mlperf_log_detail.txt", "mlperf_log_summary.txt"
LOGS = (DETAIL, SUMMARY, "mlperf_log_accuracy.json", "mlperf_log_trace.json")
RESULT = "result.json"
FEWEST_QUERIES = 662
"""From so many queries LoadGen can tell a 99th percentile with 99 % confidence (its early stopping)."""
_PERCENTILES = ("50.00", "90.00", "95.00", "97.00", "99.00", "99.90")


@dataclass(frozen=True)
class Wanted:
    """One run of LoadGen.

    duration_s   at least so long;  queries  at least so many (offline: samples); None: what the scenario needs
    target_qps   server: queries that arrive a second; offline: samples a second that are expected, None: measured
    latency_ms   server: the bound of the 99th percentile
    threads      inside one inference;  streams  engines at the same time;  batch  samples of one inference
    warmup       untimed runs of each engine; None: until steady
    """

    scenario: Scenario
    duration_s: float
    queries: int | None = None
    target_qps: float | None = None
    latency_ms: float | None = None
    threads: int = 1
    streams: int = 1
    batch: int = 1
    warmup: int | None = None


@dataclass(frozen=True)
class Request:
    """What the child is asked. examples  file of single examples, named by their numbers"""

    folder: str
    examples: str
    log_dir: str
    wanted: Wanted


@dataclass(frozen=True)
class Rule:
    """A setting in LoadGen's `mlperf.conf`, and the one of this run."""

    setting: str
    rule: float
    here: float


@dataclass(frozen=True)
class Answer:
    """What the child found beside LoadGen's logs; `error` says why there are none."""

    error: str = ""
    rules: tuple[Rule, ...] = ()
    conditions: Conditions | None = None
    warm_up: WarmUp | None = None


@dataclass(frozen=True)
class LoadGenResult:
    """One scenario.

    result     LoadGen's own verdict;  reasons  as its summary gives them, if INVALID
    figure     what MLPerf ranks by, in `unit`: percentile of latency, or queries or samples a second
    estimate_ms  LoadGen's early stopping estimate of that percentile (single-stream, multi-stream)
    latency_ms   percentiles of queries: "50.00" -> milliseconds; server: from the scheduled arrival; offline: none
    differs    settings below those of LoadGen's `mlperf.conf`;  examples  number that queries draw from
    """

    bundle: str
    bundle_sha256: str
    target: str
    precision: str
    backend: str
    backend_version: str
    wanted: Wanted
    result: Literal["VALID", "INVALID"]
    reasons: tuple[str, ...]
    figure: str
    value: float
    unit: str
    estimate_ms: float | None
    queries: int
    samples_per_query: int
    latency_ms: Mapping[str, float]
    differs: tuple[Rule, ...]
    examples: int
    loadgen_version: str
    log_dir: str
    created: str
    machine: Machine
    conditions: Conditions | None
    hardware: Hardware
    warm_up: WarmUp | None
    warnings: tuple[str, ...]
    schema: Literal[1] = 1


def check_wanted(wanted: Wanted) -> None:
    """Raise UsageError for settings that do not belong to the scenario."""
    scenario = wanted.scenario
    if scenario == "server" and (wanted.target_qps is None or wanted.latency_ms is None):
        raise UsageError("server needs --target-qps (queries that arrive a second) and --latency-ms (their bound)")
    if scenario != "server" and wanted.latency_ms is not None:
        raise UsageError(f"--latency-ms is the bound of server; {scenario} has none")
    if scenario not in ("server", "offline") and wanted.target_qps is not None:
        raise UsageError(f"--target-qps is for server and offline; in {scenario} the next query waits for the last one")
    if scenario not in ("server", "offline") and wanted.streams > 1:
        raise UsageError(f"--streams is for server and offline; {scenario} has one query at a time")
    if scenario not in ("multi-stream", "offline") and wanted.batch > 1:
        raise UsageError(f"--batch is for multi-stream and offline; a query of {scenario} is one example")


def run_loadgen(
    folder: Path, wanted: Wanted, log_dir: Path, data: Path | None, limits: Limits, progress: Progress
) -> LoadGenResult:
    """Run one scenario on a bundle; LoadGen's logs stay in the folder `log_dir`, which is made if need be.

    data    examples that queries draw from; None: the golden ones
    limits  of the process in which network and LoadGen run, beyond `wanted.duration_s`
    Raises UsageError; BundleError; DataError; BackendError if LoadGen is missing or the network fails.
    """
    check_wanted(wanted)
    if find_spec(MODULE) is None:
        raise BackendError(f"LoadGen is not installed; run: pip install 'edgetl[{EXTRA}]'")
    bundle = read_bundle(folder)
    examples = timed_examples(bundle, data, progress)
    log_dir.mkdir(parents=True, exist_ok=True)
    for name in (*LOGS, RESULT):
        (log_dir / name).unlink(missing_ok=True)
    before, clock = counters(), clock_mhz()
    limit = Limits(limits.time_s + wanted.duration_s, limits.option)
    with progress.task(f"{wanted.scenario}, at least {wanted.duration_s:g} s", total=None):
        answer = _ask(folder, examples, wanted, log_dir, limit)
    hardware, machine, heat = between(before, counters()), describe(), temperature_c()
    found, compiled = read_log(log_dir), bundle.manifest.compiled
    figure, value, unit = _figure(wanted, found)
    valid = found["result_validity"] == "VALID"
    return LoadGenResult(
        bundle=str(folder),
        bundle_sha256=file_digest(folder / FILE_NAME),
        target=bundle.manifest.target.name,
        precision=compiled.precision,
        backend=compiled.backend,
        backend_version=load_backend(compiled.backend).version(),
        wanted=wanted,
        result="VALID" if valid else "INVALID",
        reasons=() if valid else reasons(_text(log_dir / SUMMARY)),
        figure=figure,
        value=value,
        unit=unit,
        estimate_ms=_estimate_ms(wanted, found),
        queries=int(found["result_query_count"]),
        samples_per_query=int(found["effective_samples_per_query"]),
        latency_ms=_latencies(wanted, found),
        differs=answer.rules,
        examples=len(examples),
        loadgen_version=str(found["loadgen_version"]).partition(" ")[0],
        log_dir=str(log_dir),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=machine,
        conditions=answer.conditions,
        hardware=hardware,
        warm_up=answer.warm_up,
        warnings=_warnings(wanted, answer, machine, doubts(machine, (clock, clock_mhz()), heat, hardware)),
    )


def _ask(
    folder: Path, examples: Sequence[NDArray[np.generic]], wanted: Wanted, log_dir: Path, limits: Limits
) -> Answer:
    where = f"{folder}: LoadGen"
    with temporary_folder() as scratch:
        path = scratch / "examples.safetensors"
        save_file({str(number): np.ascontiguousarray(each) for number, each in enumerate(examples)}, path)
        request = Request(str(folder.resolve()), str(path), str(log_dir.resolve()), wanted)
        text = output_of("edgetl.bench.loadgen_child", (), json.dumps(asdict(request)), limits, where)
    try:
        answer = TypeAdapter(Answer).validate_json(text)
    except ValueError as error:
        raise BackendError(f"{where} wrote {text[:200]!r}; expected one JSON line") from error
    if answer.error:
        raise BackendError(answer.error)
    return answer


def read_log(log_dir: Path) -> dict[str, Any]:
    """The values of LoadGen's detailed log by their keys, the last one of each."""
    found: dict[str, Any] = {}
    for line in _text(log_dir / DETAIL).splitlines():
        _, mark, text = line.partition(":::MLLOG ")
        if not mark:
            continue
        try:
            entry = json.loads(text)
            found[entry["key"]] = entry["value"]
        except (ValueError, KeyError):  # messages may hold what is not JSON
            continue
    if "result_validity" not in found:
        raise EdgetlError(f"{log_dir / DETAIL}: LoadGen wrote no result; is the disk full? run it again")
    return found


def reasons(summary: str) -> tuple[str, ...]:
    """Why a run is INVALID, in the words of LoadGen's summary: conditions that are not met, and what it recommends."""
    lines = [line.strip() for line in summary.partition("Result is")[2].partition("====")[0].splitlines()]
    unmet = [" ".join(line.split()) for line in lines if line.endswith(": NO")]
    return (*unmet, *(line.removeprefix("* ") for line in lines if line.startswith("* ")))


def _figure(wanted: Wanted, found: Mapping[str, Any]) -> tuple[str, float, str]:
    match wanted.scenario:
        case "single-stream":
            return "90th percentile of latency", found["result_90.00_percentile_latency_ns"] / 1e6, "ms"
        case "multi-stream":
            return "99th percentile of latency", found["result_99.00_percentile_per_query_latency_ns"] / 1e6, "ms"
        case "server":
            return "completed", float(found["result_completed_samples_per_sec"]), "queries/s"
        case _:
            return "completed", float(found["result_samples_per_second"]), "samples/s"


def _estimate_ms(wanted: Wanted, found: Mapping[str, Any]) -> float | None:
    key = {"single-stream": "early_stopping_latency_ss", "multi-stream": "early_stopping_latency_ms"}
    value = found.get(key.get(wanted.scenario, ""))
    return value / 1e6 if value else None


def _latencies(wanted: Wanted, found: Mapping[str, Any]) -> dict[str, float]:
    if wanted.scenario == "offline":  # one query: the whole run
        return {}
    kind = "per_query_latency" if wanted.scenario == "multi-stream" else "latency"
    return {each: found[f"result_{each}_percentile_{kind}_ns"] / 1e6 for each in _PERCENTILES}


def _warnings(wanted: Wanted, answer: Answer, machine: Machine, doubted: Sequence[str]) -> tuple[str, ...]:
    threads = wanted.threads * wanted.streams
    unsteady = answer.warm_up is not None and answer.warm_up.steady_from is None
    lines = (
        "never became steady while warming up" if unsteady else "",
        too_many_threads(machine, threads),
        busy(machine, answer.conditions, (), threads),
        *doubted,
    )
    return tuple(line for line in lines if line)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise EdgetlError(f"{path}: cannot be read: {error.strerror}") from error
