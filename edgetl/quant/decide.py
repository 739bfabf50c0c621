"""Decides whether calibration is enough or training is worth its minutes, on the validation images of the gates.

It evaluates the quantized network in torch; the exported models and the builds on their runtimes must meet the same
gates later.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl.files.text import decimal
from edgetl.fronts.base import load_front
from edgetl.fronts.batches import BATCH, frames_of, spread
from edgetl.pivot.adapted import outputs_of
from edgetl.quant.record import Decision, Judged
from edgetl.quant.shots import Shots
from edgetl.quant.train import snapshot
from edgetl.recipes.gates import Gates
from edgetl.tasks import accuracy_gates
from edgetl.tasks.base import Task
from edgetl.types import Preprocessing, Progress, Split

MOST_IMAGES = 512
"""Number of validation images for the decision."""
ROOM = 0.5
"""Share of the allowed drop that calibration alone may use, because it is measured on only a few hundred images."""

Judge = Callable[[nn.Module], Judged]


def decide(
    prepared: nn.Module,
    judge: Judge,
    gates: Gates,
    train: Callable[[], None],
    metric: str = "top-1",
    noun: str = "image",
) -> Decision:
    """Keep the calibrated network if it is well inside the accuracy gates, else train it and keep the better one.

    prepared  calibrated, with its rounding; trained in place, or left unchanged
    gates     without an accuracy gate every network is inside, and none is trained; a gate that the float network
              itself misses is ignored, because training cannot meet it
    """
    calibrated = judge(prepared)
    found = calibrated.float_score, calibrated.recalls
    out_of_reach = accuracy_gates.missed_by_float(gates, metric, *found, calibrated.heads)
    gates = accuracy_gates.within_reach(gates, *found, calibrated.heads)
    allowed = _allowed(gates, metric)
    if is_inside(calibrated, gates):
        of_float = f" The float network itself has {' and '.join(out_of_reach)}." if out_of_reach else ""
        return Decision("ptq", f"{_lost(calibrated, noun)}; {allowed}: not trained.{of_float}", calibrated, None)
    before = snapshot(prepared)
    train()
    trained = judge(prepared)
    start = f"{_lost(calibrated, noun)}; {allowed}. After quantization-aware training it is {_points(trained)}"
    if trained.drop_points.value < calibrated.drop_points.value:
        return Decision("qat", f"{start}.", calibrated, trained)
    prepared.load_state_dict(before)
    return Decision("ptq", f"{start}, which is not lower, so calibration is kept.", calibrated, trained)


def is_inside(judged: Judged, gates: Gates) -> bool:
    """Whether the accuracy gates are met, with `ROOM` left below the allowed drop."""
    drop = judged.drop_points.value
    return accuracy_gates.allow(gates, drop, judged.score, judged.recalls, share=ROOM, heads=judged.heads)


def judge_on(task: Task, split: Split, teacher: nn.Module, p: Preprocessing, progress: Progress) -> Judge:
    """Judges by the task's first metric on at most `MOST_IMAGES` validation images, evenly spread, against the float
    network `teacher`.

    teacher  float32 (n, 3, H, W) -> the task's outputs, on the same device as the networks to evaluate
    """
    chosen = spread(split.val, MOST_IMAGES)
    frames = frames_of(chosen, p) if task.in_image else ()
    device = next(teacher.parameters()).device
    images = Shots(chosen, p, "none", 0, device)
    images.keep()

    @torch.no_grad()
    def answers(network: nn.Module) -> NDArray[np.float32]:
        parts = []
        with progress.task(f"quantize: validation {load_front(p.front).noun}s", len(chosen)) as advance:
            for start in range(0, len(chosen), BATCH):
                batch = range(start, min(start + BATCH, len(chosen)))
                found = (values.float().cpu().numpy() for values in outputs_of(network(images.plain(batch))))
                parts.append(task.answer(dict(zip(task.outputs, found, strict=True)), frames[start : batch.stop]))
                advance(len(batch))
        return np.concatenate(parts)

    reference = answers(teacher)
    truths = [sample.truth for sample in chosen]

    def judge(network: nn.Module) -> Judged:
        found = task.measure(answers(network), truths, reference, len(split.classes))
        recalls = dict(zip(split.classes, found.recalls, strict=False))
        heads = accuracy_gates.heads_of(found)
        return Judged(found.images, found.score.value.value, found.drop_points, recalls, heads)

    return judge


def _lost(judged: Judged, noun: str) -> str:
    return f"After calibration the drop is {_points(judged)} on {judged.images} validation {noun}s"


def _points(judged: Judged) -> str:
    drop = judged.drop_points
    return f"{decimal(drop.value, 2)} points ({decimal(drop.low, 2)} to {decimal(drop.high, 2)})"


def _allowed(gates: Gates, metric: str) -> str:
    said = []
    if gates.max_drop_points is not None:
        said.append(f"{ROOM * gates.max_drop_points:.2f} is half of what the gate allows")
    if gates.least_score is not None:
        said.append(f"{metric} must be at least {gates.least_score:.1%}")
    said += [f"head {name} has limits of its own" for name in gates.heads or {}]
    said += [f"recall of `{label}` must be at least {least:.1%}" for label, least in (gates.min_recall or {}).items()]
    if gates.max_recall_drop_points is not None:
        said.append(
            f"no class may lose more than {ROOM * gates.max_recall_drop_points:.2f} points of recall, half of what "
            f"its gate allows"
        )
    return " and ".join(said) or "there is no accuracy gate"
