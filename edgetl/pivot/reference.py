"""The adapted float network on the validation images: the reference for every build."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn

from edgetl.backbones.examples import as_exported
from edgetl.fronts.base import load_front
from edgetl.fronts.batches import batches, frames_of
from edgetl.pivot.adapted import open_adapted, outputs_of
from edgetl.pivot.float_answers import FILE_NAME
from edgetl.pivot.fold import fold_parts
from edgetl.pivot.literal import joined
from edgetl.recipes.run import Run
from edgetl.tasks.base import Answers, Outputs, Task, load_task
from edgetl.types import Preprocessing, Progress, Sample


def write_float_answers(run: Run, adapted: Path, out: Path) -> None:
    """Write the answers of the network in `adapted` on all validation images, in order, into the folder `out`."""
    task = load_task(run.job.recipe.task, run.split.heads)
    opened = open_adapted(task, adapted)
    p = opened.preprocessing
    network = fold_parts(opened.module, opened.parts, p.network_shape).module
    save_file({task.kept: float_answers(task, network, run.split.val, p, run.progress)}, out / FILE_NAME)


def float_answers(
    task: Task, network: nn.Module, samples: Sequence[Sample], p: Preprocessing, progress: Progress
) -> Answers:
    """Answers (N, ...) float32 of the folded float network, in order, for at least one sample."""
    parts: list[Answers] = []
    frames, done = frames_of(samples, p) if task.in_image else (), 0
    with progress.task(f"float network on the validation {load_front(p.front).noun}s", len(samples)) as advance:
        for batch in batches(samples, p):
            parts.append(task.answer(torch_outputs(task, network, batch, p), frames[done : done + len(batch)]))
            done += len(batch)
            advance(len(batch))
    return np.concatenate(parts)


def outputs_in_batches(task: Task, network: nn.Module, examples: Iterable[NDArray[Any]], p: Preprocessing) -> Outputs:
    """Outputs of the folded float network, in order, for at least one batch."""
    found = [torch_outputs(task, network, batch, p) for batch in examples]
    return joined(task.outputs, [[each[name] for name in task.outputs] for each in found])


@torch.no_grad()
def torch_outputs(task: Task, network: nn.Module, examples: NDArray[Any], p: Preprocessing) -> Outputs:
    """Of `examples` as `load_batch` gives them, float32 (N, ...) by name."""
    found = outputs_of(network(as_exported(examples, p)))
    return {name: values.float().numpy() for name, values in zip(task.outputs, found, strict=True)}
