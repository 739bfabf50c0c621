"""Runs an engine on batches of images and keeps its answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import BackendError
from edgetl.tasks.base import Answers, Outputs, Task
from edgetl.types import Advance, Engine, fed

if TYPE_CHECKING:
    from edgetl.types import Tensors
    from edgetl.types.frames import Frame


def answer(task: Task, engine: Engine, images: NDArray[np.generic], frames: Sequence[Frame], name: str = "") -> Answers:
    """Answers (n, ...) to images (n, H, W, 3).

    frames  as `Task.answer` takes them; name  of the engine, for errors
    Raises BackendError when an output is absent or has another shape.
    """
    return task.answer(checked(task, engine.infer(fed(images)), len(images), name), frames)


def answer_all(
    task: Task,
    engines: Mapping[str, Engine],
    batches: Iterable[NDArray[np.generic]],
    frames: Sequence[Frame] = (),
    advance: Advance | None = None,
) -> dict[str, Answers]:
    """Answers of several engines to all images in `batches`, in order, while reading the images once."""
    parts: dict[str, list[Answers]] = {name: [] for name in engines}
    done = 0
    for images in batches:
        for name, engine in engines.items():
            parts[name].append(answer(task, engine, images, frames[done : done + len(images)], name))
        done += len(images)
        if advance is not None:
            advance(len(images))
    if any(not rows for rows in parts.values()):
        raise ValueError("expected at least one batch of images; found none")
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def checked(task: Task, outputs: Tensors, images: int, name: str = "") -> Outputs:
    """The task's outputs as float32 copies: a runtime may use its buffers again. Raises BackendError."""
    where = f"{name} build: " if name else ""
    found: dict[str, NDArray[np.float32]] = {}
    for output in task.outputs:
        values = outputs.get(output)
        if values is None:
            raise BackendError(f"{where}the model has no output named `{output}`")
        if values.ndim < 2 or values.shape[0] != images:
            raise BackendError(
                f"{where}expected {output} of shape ({images}, ...); the runtime returned {values.shape}"
            )
        found[output] = values.astype(np.float32)
    return found
