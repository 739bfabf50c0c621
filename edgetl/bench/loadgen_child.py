"""The process in which LoadGen calls a network: `python -m edgetl.bench.loadgen_child`, a JSON request on stdin, one
JSON line to stdout.

LoadGen waits forever for a query that is not answered, and aborts if an exception passes through it. So a network that
fails ends this process, after its error was written; and Ctrl-C is the parent's, which kills it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors.numpy import load_file

from edgetl.backends.fresh_process import why
from edgetl.bench.latency import no_garbage_collection
from edgetl.bench.loadgen import FEWEST_QUERIES, Answer, Request, Rule, Scenario, Wanted
from edgetl.bench.quiet import conditions, snapshot
from edgetl.bench.steady import WarmUp, warm_up
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.types import Engine, fed

if TYPE_CHECKING:
    from edgetl.types import Tensors

_NAMES: dict[Scenario, str] = {
    "single-stream": "SingleStream",
    "multi-stream": "MultiStream",
    "server": "Server",
    "offline": "Offline",
}
_RULES = ("min_duration_ms", "min_query_count")
_TIMED = 30  # runs from which the expected rate is taken
_SLACK = 1.1  # of the expected rate over the fastest run: offline must not end too early
Issue = Callable[[list[int], list[int]], None]
GiveUp = Callable[[BaseException], NoReturn]


def settings_for(loadgen: Any, wanted: Wanted, examples: int, fastest_s: float) -> tuple[Any, tuple[Rule, ...]]:
    """LoadGen's settings, beginning with its own `mlperf.conf`, and where they ask for less.

    fastest_s  of one inference, from which LoadGen sizes its list of queries
    """
    name = _NAMES[wanted.scenario]
    settings = loadgen.TestSettings()
    settings.FromConfig(os.devnull, "edgetl", name, 1)  # only the first call in a process reads mlperf.conf
    before = {rule: getattr(settings, rule) for rule in _RULES}
    settings.scenario = getattr(loadgen.TestScenario, name)
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = round(1000 * wanted.duration_s)
    if wanted.queries is not None:
        settings.min_query_count = wanted.queries
    elif wanted.scenario == "server":
        settings.min_query_count = max(settings.min_query_count, FEWEST_QUERIES)
    settings.performance_sample_count_override = examples
    inferences = settings.multi_stream_samples_per_query / wanted.batch
    settings.single_stream_expected_latency_ns = round(1e9 * fastest_s)
    settings.multi_stream_expected_latency_ns = round(1e9 * fastest_s * inferences)
    settings.offline_expected_qps = wanted.target_qps or _SLACK * wanted.streams * wanted.batch / fastest_s
    if wanted.scenario == "server":
        settings.server_target_qps = wanted.target_qps
        settings.server_target_latency_ns = round(1e6 * (wanted.latency_ms or 0))
    after = {rule: getattr(settings, rule) for rule in _RULES}
    return settings, tuple(Rule(rule, before[rule], after[rule]) for rule in _RULES if after[rule] < before[rule])


def drive(loadgen: Any, settings: Any, issue: Issue, examples: int, log_dir: Path) -> None:
    """Run LoadGen's test in this thread; it calls `issue` with the ids of samples and the numbers of examples."""
    output = loadgen.LogOutputSettings()
    output.outdir, output.copy_summary_to_stdout = str(log_dir), False
    logs = loadgen.LogSettings()
    logs.log_output, logs.enable_trace = output, False
    system = loadgen.ConstructFastSUT(issue, _nothing)
    library = loadgen.ConstructQSL(examples, examples, _nothing, _nothing)
    try:
        with no_garbage_collection():
            loadgen.StartTestWithLogSettings(system, library, settings, logs, os.devnull)
    finally:
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)


def answering(
    infer: Callable[[Tensors], object], shown: Sequence[NDArray[Any]], batch: int, group: int, loadgen: Any
) -> Issue:
    """What LoadGen calls: infers and completes `group` samples at once, at most `batch` of them in an inference.

    Inputs and responses are made before; LoadGen copies the responses.
    """
    complete = loadgen.QuerySamplesComplete
    responses = [loadgen.QuerySampleResponse(0, 0, 0) for _ in range(group)]
    infer_all = _one_by_one(infer, shown) if batch == 1 else _in_batches(infer, shown, batch)

    def issue(ids: list[int], indexes: list[int]) -> None:
        for first in range(0, len(ids), group):
            part = ids[first : first + group]
            infer_all(indexes[first : first + group])
            for response, number in zip(responses, part, strict=False):
                response.id = number
            complete(responses if len(part) == group else responses[: len(part)])

    return issue


def _one_by_one(infer: Callable[[Tensors], object], shown: Sequence[NDArray[Any]]) -> Callable[[list[int]], None]:
    inputs = [fed(np.ascontiguousarray(each[None])) for each in shown]

    def infer_all(indexes: list[int]) -> None:
        for index in indexes:
            infer(inputs[index])

    return infer_all


def _in_batches(
    infer: Callable[[Tensors], object], shown: Sequence[NDArray[Any]], batch: int
) -> Callable[[list[int]], None]:
    """Examples are copied into a buffer that is used again."""
    stack = np.stack(shown)
    buffer = np.empty((batch, *stack.shape[1:]), stack.dtype)
    views = [fed(buffer[:count]) for count in range(batch + 1)]

    def infer_all(indexes: list[int]) -> None:
        for first in range(0, len(indexes), batch):
            part = indexes[first : first + batch]
            np.take(stack, part, axis=0, out=buffer[: len(part)], mode="clip")
            infer(views[len(part)])

    return infer_all


def guarded(issue: Issue, give_up: GiveUp) -> Issue:
    """No exception reaches LoadGen."""

    def call(ids: list[int], indexes: list[int]) -> None:
        try:
            issue(ids, indexes)
        except BaseException as error:
            give_up(error)

    return call


def shared_out(issues: Sequence[Issue], group: int) -> tuple[Issue, Callable[[], None]]:
    """Hands `group` samples each to whichever stream is free, all at the same time; and what ends the streams."""
    waiting: queue.SimpleQueue[tuple[list[int], list[int]] | None] = queue.SimpleQueue()

    def stream(issue: Issue) -> None:
        while (query := waiting.get()) is not None:
            issue(*query)

    def hand_out(ids: list[int], indexes: list[int]) -> None:
        for first in range(0, len(ids), group):
            waiting.put((ids[first : first + group], indexes[first : first + group]))

    threads = [threading.Thread(target=stream, args=(each,), daemon=True) for each in issues]
    for thread in threads:
        thread.start()

    def end() -> None:
        for _ in threads:
            waiting.put(None)
        for thread in threads:
            thread.join()

    return hand_out, end


def run(request: Request, give_up: GiveUp) -> Answer:
    """Open the bundle's engines, warm them up, and let LoadGen call them. Raises EdgetlError."""
    import mlperf_loadgen as loadgen

    wanted = request.wanted
    named = load_file(request.examples)
    shown = [named[str(number)] for number in range(len(named))]
    bundle = read_bundle(Path(request.folder))
    with ExitStack() as stack:
        engines = [stack.enter_context(open_bundle(bundle, threads=wanted.threads)) for _ in range(wanted.streams)]
        warm = [_warm(engine, shown, wanted) for engine in engines]
        settings, rules = settings_for(loadgen, wanted, len(shown), _fastest_s(engines[0], shown, wanted.batch))
        together = settings.multi_stream_samples_per_query if wanted.scenario == "multi-stream" else 1
        group = max(wanted.batch, together)
        issues = [guarded(answering(engine.infer, shown, wanted.batch, group, loadgen), give_up) for engine in engines]
        issue, end = shared_out(issues, group) if len(issues) > 1 else (issues[0], _nothing)
        before = snapshot()
        drive(loadgen, settings, issue, len(shown), Path(request.log_dir))
        met = conditions(before, snapshot(), wanted.threads * wanted.streams)
        end()
    return Answer(rules=rules, conditions=met, warm_up=warm[0])


def _warm(engine: Engine, shown: Sequence[NDArray[Any]], wanted: Wanted) -> WarmUp | None:
    batches = _batches(shown, wanted.batch)
    if wanted.warmup is None:
        return warm_up(engine.infer, batches)
    for turn in range(wanted.warmup):
        engine.infer(batches[turn % len(batches)])
    return None


def _fastest_s(engine: Engine, shown: Sequence[NDArray[Any]], batch: int) -> float:
    batches, times = _batches(shown, batch), []
    for turn in range(_TIMED):
        begin = time.perf_counter_ns()
        engine.infer(batches[turn % len(batches)])
        times.append(time.perf_counter_ns() - begin)
    return max(min(times), 1000) / 1e9


def _batches(shown: Sequence[NDArray[Any]], batch: int) -> list[Tensors]:
    if batch == 1:
        return [fed(np.ascontiguousarray(each[None])) for each in shown]
    return [fed(np.stack([shown[index % len(shown)] for index in range(batch)]))]


def _nothing(*_: object) -> None:
    return None


def main() -> int:
    """Runtimes and LoadGen that print to stdout end up on stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer_stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = TypeAdapter(Request).validate_json(sys.stdin.read())
    first = threading.Lock()

    def give_up(error: BaseException) -> NoReturn:
        first.acquire()  # of several streams that fail, one speaks
        answer_stream.write(json.dumps(asdict(Answer(why(error, request.folder)))) + "\n")
        answer_stream.flush()
        os._exit(0)

    try:
        answer = run(request, give_up)
    except Exception as error:
        answer = Answer(why(error, request.folder))
    with answer_stream:
        answer_stream.write(json.dumps(asdict(answer)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
