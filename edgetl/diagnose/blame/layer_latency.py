"""Latency of one layer in float on the target's own runtime: INT8 and the builds with one float layer, alternating."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from pydantic import TypeAdapter

from edgetl.backends.base import load as load_backend
from edgetl.bench import time_stats
from edgetl.bench.latency import BLOCK, interleaved
from edgetl.bench.machine import describe
from edgetl.diagnose.blame.result import LayerLatency
from edgetl.errors import BackendError
from edgetl.files.durable import write_text
from edgetl.files.temporary import temporary_folder
from edgetl.pivot.mixed import Originals, float_layers
from edgetl.pivot.serialize import serialize
from edgetl.recipes.recipe import Bench
from edgetl.store.results import Store
from edgetl.types import Engine, Interval, Progress, Target

_RESULT = "latency.json"
_BASE = "INT8"


@dataclass(frozen=True)
class Timed:
    """p50_ms  of the INT8 build; layers  by name"""

    p50_ms: float
    layers: dict[str, LayerLatency]


def time_layers(
    store: Store,
    target: Target,
    model: onnx.ModelProto,
    digest: str,
    originals: Originals | None,
    names: Sequence[str],
    images: NDArray[np.generic],
    bench: Bench,
    progress: Progress,
) -> Timed:
    """Compile and time; kept in the store for this machine.

    model, digest  the INT8 pivot and its SHA-256; names  of the layers, each alone in float
    images         uint8 (K, H, W, 3)
    raises         BackendError if the toolchain refuses a build, or its last step runs on the device.
    """
    backend = load_backend(target.backend)

    def run(out: Path) -> None:
        with temporary_folder() as scratch, ExitStack() as stack:
            engines: dict[str, Engine] = {}
            placements: dict[str, str] = {}
            for index, name in enumerate(("", *names)):
                folder = scratch / str(index)
                folder.mkdir()
                pivot = scratch / f"{index}.onnx"
                pivot.write_bytes(serialize(float_layers(model, (name,), originals) if name else model))
                compiled = backend.compile(pivot, target, "int8", folder)
                if not compiled.finished:
                    raise BackendError(f"target {target.name}: its last build step runs on the device")
                engine = stack.enter_context(backend.open(folder, compiled, target, threads=bench.threads))
                engines[name or _BASE] = engine
                placements[name] = engine.placement().summary()
            with progress.task("blame: latency", total=bench.runs) as advance:
                times = interleaved(engines, images, runs=bench.runs, warmup=bench.warmup, seed=0, advance=advance)
        layers = {name: _latency(times[_BASE], times[name], placements[name]) for name in names}
        write_text(out / _RESULT, TypeAdapter(Timed).dump_json(Timed(_p50_ms(times[_BASE]), layers)).decode() + "\n")

    machine = describe()
    config = {
        "target": asdict(target),
        "layers": list(names),
        "weights": "own" if originals is None else "float network",
        "bench": [bench.runs, bench.warmup, bench.threads],
        "backend_version": backend.version(),
        "here": [platform.node(), machine.architecture, machine.cpu, *machine.instruction_sets],
    }
    done = store.once("blame-latency", 2, config, run, inputs={"model": digest}, what=target.name)
    return TypeAdapter(Timed).validate_json((done.folder / _RESULT).read_bytes())


def _latency(base: NDArray[np.int64], floated: NDArray[np.int64], placement: str) -> LayerLatency:
    ratio = time_stats.speedup(floated, base, block=BLOCK)  # time over that of INT8
    cost = Interval(*(100 * (value - 1) for value in (ratio.value, ratio.low, ratio.high)))
    return LayerLatency(cost, _p50_ms(floated), placement)


def _p50_ms(times: NDArray[np.int64]) -> float:
    return float(np.quantile(times, 0.5, method="inverted_cdf")) / 1e6
