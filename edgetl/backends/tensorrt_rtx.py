"""TensorRT for RTX: compiled here, without a GPU, into a plan for several GPU generations.

The plan has no final kernels: the runtime compiles them on the device when the plan is opened, so the first inference
takes longer there. Two builds of one pivot are the same function, but not always the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgetl.backends.tensors import check_threads, model_file
from edgetl.backends.toolchain import Needs, Toolchain, words
from edgetl.errors import BackendError, UsageError
from edgetl.types import Compiled, Engine, Precision, Target

MODEL_FILE = "model.plan"
LIBRARY_DEFAULT = "library default"


class TensorRTRTXBackend(Toolchain):
    """Builds the plan if the toolchain is installed; opens it if there is an NVIDIA GPU."""

    name = "tensorrt_rtx"
    needs = Needs(
        formats=("int8", "float16", "float32"),
        module="tensorrt_rtx",
        remedy="pip install 'edgetl[rtx]' (x86-64)",
        distributions=("tensorrt_rtx", "tensorrt_rtx_cu13", "tensorrt_rtx_cu12"),
        gpu=True,
        options=("compute_capabilities", "max_batch", "workspace_bytes"),
    )

    def compile(self, pivot: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        self.require_to_compile(target, precision)
        from edgetl.backends import trt_common
        from edgetl.backends.onnx_rules import check_precision, check_tensorrt, load_pivot

        model, facts = load_pivot(pivot)
        check_precision(facts, precision, pivot)
        check_tensorrt(model, pivot)
        settings = trt_common.build_settings(target)
        import tensorrt_rtx as trt

        capabilities = words(target, "compute_capabilities")
        configure = _select_capabilities(trt, capabilities, target)
        plan = trt_common.build(trt, pivot, precision, settings, configure, trt_common.make_logger(trt))
        (out / MODEL_FILE).write_bytes(plan)
        found = {
            "compute_capabilities": ", ".join(capabilities) or LIBRARY_DEFAULT,
            "max_batch": str(settings.max_batch),
            "opset": str(facts.opset),
            "tensorrt_rtx": str(trt.__version__),
            "tf32": "off",
        }
        return Compiled(self.name, str(trt.__version__), precision, MODEL_FILE, (MODEL_FILE,), facts=found)

    @contextmanager
    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> Iterator[Engine]:
        check_threads(threads)
        plan = model_file(folder, compiled.model)
        self.require_to_run(folder, compiled, target)
        import tensorrt_rtx as trt

        from edgetl.backends import trt_common

        _check_version(compiled, str(trt.__version__), folder)
        log = trt_common.make_logger(trt)
        engine = trt_common.TensorRTEngine(trt, plan.read_bytes(), str(plan), _context_maker(trt), log)
        try:
            yield engine
        finally:
            engine.close()


def _select_capabilities(trt: Any, capabilities: tuple[str, ...], target: Target) -> Callable[[Any], None]:
    """Sets the GPU generations that a plan is for: `8.6` is trt.ComputeCapability.SM86."""
    names = [name for name in dir(trt.ComputeCapability) if name.startswith("SM")]
    offered = {_dotted(name): name for name in sorted(names, key=lambda name: int(name[2:]))}
    for capability in capabilities:
        if capability not in offered:
            raise UsageError(
                f"target {target.name}: compute capability `{capability}` is not one that TensorRT for RTX "
                f"{trt.__version__} builds for; valid are: {', '.join(offered)}"
            )

    def configure(config: Any) -> None:
        if not capabilities:
            return
        config.num_compute_capabilities = len(capabilities)
        for index, capability in enumerate(capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, offered[capability]), index)

    return configure


def _dotted(name: str) -> str:
    digits = name.removeprefix("SM")
    return f"{digits[:-1]}.{digits[-1]}"


def _check_version(compiled: Compiled, installed: str, folder: Path) -> None:
    # a plan opens only with the minor version that built it; the runtime's own message does not say so
    built = compiled.facts.get("tensorrt_rtx", compiled.backend_version)
    if built.split(".")[:2] != installed.split(".")[:2]:
        raise BackendError(
            f"{folder}: the plan was built by TensorRT for RTX {built}; {installed} is installed; "
            f"compile again, or pip install tensorrt_rtx=={built}"
        )


def _context_maker(trt: Any) -> Callable[[Any], Any]:
    def make(engine: Any) -> Any:
        # by default, kernels for a new input shape are compiled in the background, and latency changes when they are
        # ready
        config = engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        return engine.create_execution_context(config)

    return make
