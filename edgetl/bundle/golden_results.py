"""The golden results that a bundle takes from its pivot: those of its own model, and how much others may differ."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgetl.bundle.golden_detection import Rows, distance, write_golden
from edgetl.bundle.manifest import Tolerance
from edgetl.bundle.write import detector_tolerance, tolerance_for
from edgetl.errors import BundleError
from edgetl.files.arrays import UnreadableArray, read_array, read_tensors
from edgetl.pivot.pivot import Pivot
from edgetl.tasks.detection.detections import BOXES, SCORES, Postprocess
from edgetl.types import Precision, as_image
from edgetl.types.frames import Frame, frame_of

Floats = NDArray[np.float32]
_EXACT = "float32"


class GoldenResults(Protocol):
    """Of one model of a pivot."""

    def tolerance(self, precision: Precision) -> Tolerance:
        """For a build of this precision from it."""
        ...

    def write(self, folder: Path) -> None:
        """Write the files that replaying needs besides the images."""
        ...


class GoldenLogits:
    """stem     of the model's file, by which the pivot names its logits
    rounded  that of the target's INT8 model; None if there is none. bfloat16 also keeps 8 bits of every number, so the
             loss of INT8 sets the tolerance for both
    raises   BundleError if the pivot's golden logits do not fit it.
    """

    def __init__(self, folder: Path, pivot: Pivot, stem: str, rounded: str | None) -> None:
        self._stem, self._rounded = stem, rounded
        shape = (len(pivot.golden_files), len(pivot.labels))
        path = folder / "golden" / "logits.safetensors"
        self._logits = _tensors(path, dict.fromkeys(_stems(pivot), shape))

    def tolerance(self, precision: Precision) -> Tolerance:
        rounded = self._logits[self._rounded] if self._rounded else None
        return tolerance_for(precision, rounded, self._logits[_EXACT])

    def write(self, folder: Path) -> None:
        kept = {"logits": self._logits[self._stem], "float_logits": self._logits[_EXACT]}
        save_file({name: np.ascontiguousarray(values) for name, values in kept.items()}, folder / "logits.safetensors")


class GoldenObjects:
    """The same of a detector: all anchors of its outputs, of which the bundle gets the best.

    settings  of the build, by which they become the golden objects
    """

    def __init__(self, folder: Path, pivot: Pivot, stem: str, rounded: str | None, settings: Postprocess) -> None:
        self._stem, self._rounded, self._settings, self._input = stem, rounded, settings, as_image(pivot.preprocessing)
        count, path = len(pivot.golden_files), folder / "golden" / "outputs.safetensors"
        shapes: dict[str, tuple[int | None, ...]] = {}
        for name in _stems(pivot):
            shapes |= {f"{name}.{BOXES}": (count, None, 4), f"{name}.{SCORES}": (count, None, len(pivot.labels))}
        self._outputs = _tensors(path, shapes)
        self._frames = [self._frame(folder / "golden" / f"{index}.rgb.npy") for index in range(count)]

    def tolerance(self, precision: Precision) -> Tolerance:
        if self._rounded is None:
            return detector_tolerance(precision, 0.0)
        longer = max(self._input.height, self._input.width)
        rounded, exact = (map(Rows, *self._of(stem)) for stem in (self._rounded, _EXACT))
        lost = [distance(a, b, np.arange(len(a.scores)), longer) for a, b in zip(rounded, exact, strict=True)]
        return detector_tolerance(precision, max(lost))

    def write(self, folder: Path) -> None:
        write_golden(folder, *self._of(self._stem), self._frames, self._settings)

    def _of(self, stem: str) -> tuple[Floats, Floats]:
        return self._outputs[f"{stem}.{BOXES}"], self._outputs[f"{stem}.{SCORES}"]

    def _frame(self, path: Path) -> Frame:
        try:
            height, width = read_array(path).shape[:2]
        except (UnreadableArray, ValueError) as error:
            raise BundleError(f"{path}: {error}; export the pivot again") from error
        return frame_of(height, width, self._input)


def _stems(pivot: Pivot) -> set[str]:
    return {Path(model.file).stem for model in pivot.models} | {_EXACT}


def _tensors(path: Path, shapes: dict[str, tuple[int | None, ...]]) -> dict[str, Floats]:
    """The tensors of these names and shapes, where None is any size. Raises BundleError."""
    try:
        tensors = read_tensors(path)
    except UnreadableArray as error:
        raise BundleError(f"{path}: {error}; export the pivot again") from error
    for name, shape in shapes.items():
        found = tensors.get(name)
        if found is None or found.dtype != np.float32 or not _fits(found.shape, shape):
            seen = "nothing" if found is None else f"{found.dtype} {found.shape}"
            expected = str(shape).replace("None", "?")
            raise BundleError(f"{path}: expected `{name}`, float32 {expected}; found {seen}; export the pivot again")
    return {name: np.asarray(values, np.float32) for name, values in tensors.items()}


def _fits(found: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(found) == len(expected) and all(b is None or a == b for a, b in zip(found, expected, strict=True))
