"""TensorRT, in two steps: the pivot is checked here, the engine is built on the machine that has the GPU.

An engine fits one GPU model and one TensorRT version. `finish` builds it and records both; `open` compares.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgetl.backends.tensors import check_threads, model_file
from edgetl.backends.toolchain import Needs, Toolchain, refuse_unknown
from edgetl.errors import BackendError
from edgetl.files.durable import write_bytes
from edgetl.types import Compiled, Engine, Precision, Target

PIVOT_FILE, ENGINE_FILE, CACHE_FILE = "model.onnx", "model.engine", "timing.cache"
REMEDY = "pip install 'edgetl[tensorrt]', or JetPack's python3-libnvinfer on a Jetson"
OLDEST_MAJOR = 8


class TensorRTBackend(Toolchain):
    """compile -> unfinished bundle with the pivot; finish -> engine; open -> run it."""

    name = "tensorrt"
    needs = Needs(
        formats=("int8", "float16", "float32"),
        module="tensorrt",
        remedy=REMEDY,
        distributions=(
            "tensorrt",
            "tensorrt_cu13",
            "tensorrt_cu12",
            "tensorrt_cu13_bindings",
            "tensorrt_cu12_bindings",
        ),
        to_compile=False,  # the first step only checks and copies
        gpu=True,
        options=("max_batch", "workspace_bytes"),
    )

    def compile(self, pivot: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        from edgetl.backends.onnx_rules import check_precision, check_tensorrt, load_pivot
        from edgetl.backends.trt_common import build_settings

        self.require_to_compile(target, precision)
        build_settings(target)
        model, facts = load_pivot(pivot)
        check_precision(facts, precision, pivot)
        check_tensorrt(model, pivot)
        shutil.copyfile(pivot, out / PIVOT_FILE)
        found = {"opset": str(facts.opset), "tf32": "off"}
        return Compiled(self.name, "", precision, PIVOT_FILE, (PIVOT_FILE,), finished=False, facts=found)

    def finish(self, folder: Path, compiled: Compiled, target: Target) -> Compiled:
        """Build the engine on this machine's GPU, or rebuild it for another one. Takes minutes on small devices.

        Writes model.engine and timing.cache into `folder`; the kernel timings there make the next build fast.
        raises  BackendError if this machine lacks TensorRT or the GPU, or the build fails; nothing is written then.
        """
        self.require_to_run(folder, compiled, target)
        pivot = model_file(folder, PIVOT_FILE)
        import tensorrt as trt

        from edgetl.backends import trt_common

        refuse_unknown(target, self.needs.options)
        settings = trt_common.build_settings(target)
        fingerprint = _fingerprint(str(trt.__version__))
        cache = _TimingCache(folder / CACHE_FILE)
        log = trt_common.make_logger(trt)
        plan = trt_common.build(trt, pivot, compiled.precision, settings, cache.attach, log)
        _replace(folder / CACHE_FILE, cache.content())
        _replace(folder / ENGINE_FILE, plan)
        facts = {**compiled.facts, **fingerprint, "max_batch": str(settings.max_batch)}
        return replace(
            compiled,
            backend_version=str(trt.__version__),
            model=ENGINE_FILE,
            files=(PIVOT_FILE, ENGINE_FILE, CACHE_FILE),
            finished=True,
            facts=facts,
        )

    @contextmanager
    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> Iterator[Engine]:
        check_threads(threads)
        if not compiled.finished:
            raise BackendError(f"{folder}: not finished; on the machine with the GPU: edgetl compile --finish {folder}")
        plan = model_file(folder, compiled.model)
        self.require_to_run(folder, compiled, target)
        import tensorrt as trt

        from edgetl.backends import trt_common

        check_fingerprint(compiled.facts, _fingerprint(str(trt.__version__)), folder)
        log = trt_common.make_logger(trt)
        engine = trt_common.TensorRTEngine(
            trt, plan.read_bytes(), str(plan), lambda engine: engine.create_execution_context(), log
        )
        try:
            yield engine
        finally:
            engine.close()


def check_fingerprint(built: Mapping[str, str], here: Mapping[str, str], folder: Path) -> None:
    """Raise BackendError if an engine was built for something else. A newer driver is accepted, an older one is not."""
    names = {"gpu": "GPU", "compute_capability": "compute capability", "tensorrt": "TensorRT"}
    different = [
        f"{word} {built.get(key, 'unknown')} (here {here[key]})"
        for key, word in names.items()
        if built.get(key) != here[key]
    ]
    if _number(here["cuda_driver"]) < _number(built.get("cuda_driver", "0")):
        different.append(f"CUDA driver {built['cuda_driver']} (here {here['cuda_driver']}, older)")
    if different:
        found = ", ".join(different)
        raise BackendError(
            f"{folder}: the engine was built for {found}; build it again: edgetl compile --finish {folder}"
        )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _fingerprint(tensorrt_version: str) -> dict[str, str]:
    from edgetl.backends.cuda_driver import Gpu

    if _number(tensorrt_version)[:1] < (OLDEST_MAJOR,):
        raise BackendError(f"TensorRT {tensorrt_version} is too old; expected {OLDEST_MAJOR}.6 or later: {REMEDY}")
    gpu = Gpu()
    try:
        facts = gpu.facts()
    finally:
        gpu.close()
    return {
        "gpu": facts.name,
        "compute_capability": facts.compute_capability,
        "cuda_driver": facts.cuda_driver,
        "tensorrt": tensorrt_version,
    }


class _TimingCache:
    """Kernel timings that the builder measured, kept beside the engine."""

    def __init__(self, path: Path) -> None:
        self._before = path.read_bytes() if path.is_file() else b""
        self._config: Any = None

    def attach(self, config: Any) -> None:
        """Give the configuration the stored timings; if they are refused (another GPU or version), start with none."""
        self._config = config
        cache = config.create_timing_cache(self._before)
        if cache is None or not config.set_timing_cache(cache, False):
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def content(self) -> bytes:
        cache = self._config.get_timing_cache()
        return bytes(cache.serialize()) if cache is not None else b""


def _replace(path: Path, content: bytes) -> None:
    try:
        write_bytes(path, content)  # an interrupted build leaves the old file intact
    except OSError as error:
        raise BackendError(f"{path}: cannot write the engine: {error.strerror or error}") from error
