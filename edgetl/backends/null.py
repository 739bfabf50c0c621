"""A backend without a toolchain: the model is the pivot itself, every logit is zero. Runs the chain on any machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.backends import requirements
from edgetl.backends.options import refuse_unknown
from edgetl.backends.tensors import check_threads, images_of, model_file
from edgetl.errors import BackendError
from edgetl.types import OUTPUT_NAME, WITH_INTEGERS, Compiled, Engine, Missing, Placement, Precision, Target

if TYPE_CHECKING:
    from edgetl.types import Tensors

MODEL_FILE = "model.onnx"
PRECISIONS: tuple[Precision, ...] = (*WITH_INTEGERS, "float16", "float32")


class NullBackend:
    """Copies the pivot after checking it."""

    name = "null"

    def version(self) -> str:
        from edgetl import __version__

        return __version__

    def missing(self) -> Missing | None:
        return None

    def cannot_run(self, target: Target, precision: Precision | None = None) -> Missing | None:
        return requirements.wrong_precision(precision, PRECISIONS, self.name) or requirements.wrong_machine(target)

    def compile(self, pivot: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        from edgetl.backends.onnx_rules import check_precision, load_pivot

        refuse_unknown(target, ())
        requirements.require(f"target {target.name}", requirements.wrong_precision(precision, PRECISIONS, self.name))
        _, facts = load_pivot(pivot)
        check_precision(facts, precision, pivot)
        shutil.copyfile(pivot, out / MODEL_FILE)
        return Compiled(self.name, self.version(), precision, MODEL_FILE, (MODEL_FILE,))

    @contextmanager
    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> Iterator[Engine]:
        from edgetl.backends.onnx_placement import operators
        from edgetl.backends.onnx_rules import load_pivot

        check_threads(threads)
        requirements.require(str(folder), self.cannot_run(target, compiled.precision))
        model, facts = load_pivot(model_file(folder, compiled.model))
        placement = Placement(operators(model, "null", as_requested=True))
        engine = NullEngine(facts.height, facts.width, facts.classes, placement)
        try:
            yield engine
        finally:
            engine.close()


class NullEngine:
    """Zeros of the right shape. The placement follows the pivot's Q/DQ pairs."""

    def __init__(self, height: int, width: int, classes: int, placement: Placement) -> None:
        self._height, self._width, self._classes = height, width, classes
        self._placement = placement
        self._open = True

    def infer(self, inputs: Tensors) -> Tensors:
        if not self._open:
            raise BackendError("the null engine is closed")
        images = images_of(inputs, self._height, self._width)
        return {OUTPUT_NAME: np.zeros((len(images), self._classes), np.float32)}

    def placement(self) -> Placement:
        return self._placement

    def close(self) -> None:
        self._open = False
