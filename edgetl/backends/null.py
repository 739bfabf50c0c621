"""A backend without a toolchain: the model is the pivot itself, every output is zero. Runs the chain on any machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.backends.tensors import arrays_of, check_threads, model_file
from edgetl.backends.toolchain import Needs, Toolchain
from edgetl.errors import BackendError
from edgetl.types import Compiled, Engine, Placement, Precision, Signature, Target

if TYPE_CHECKING:
    from edgetl.types import Tensors

MODEL_FILE = "model.onnx"


class NullBackend(Toolchain):
    """Copies the pivot after checking it."""

    name = "null"
    needs = Needs(formats=("int8", "float16", "float32"))

    def version(self) -> str:
        from edgetl import __version__

        return __version__

    def compile(self, pivot: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        from edgetl.backends.onnx_rules import check_precision, load_pivot

        self.require_to_compile(target, precision)
        _, facts = load_pivot(pivot)
        check_precision(facts, precision, pivot)
        shutil.copyfile(pivot, out / MODEL_FILE)
        return Compiled(self.name, self.version(), precision, MODEL_FILE, (MODEL_FILE,))

    @contextmanager
    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> Iterator[Engine]:
        from edgetl.backends.onnx_placement import operators
        from edgetl.backends.onnx_rules import load_pivot

        check_threads(threads)
        self.require_to_run(folder, compiled, target)
        model, facts = load_pivot(model_file(folder, compiled.model))
        placement = Placement(operators(model, "null", as_requested=True))
        engine = NullEngine(facts.signature, placement)
        try:
            yield engine
        finally:
            engine.close()


class NullEngine:
    """Zeros of the right shape. The placement follows the pivot's Q/DQ pairs."""

    def __init__(self, signature: Signature, placement: Placement) -> None:
        self._signature, self._placement = signature, placement
        self._open = True

    def infer(self, inputs: Tensors) -> Tensors:
        if not self._open:
            raise BackendError("the null engine is closed")
        batch = len(next(iter(arrays_of(inputs, self._signature.inputs).values())))
        return {
            port.name: np.zeros((batch, *(size or 1 for size in port.shape[1:])), np.float32)
            for port in self._signature.outputs
        }

    def placement(self) -> Placement:
        return self._placement

    def close(self) -> None:
        self._open = False
