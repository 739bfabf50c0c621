"""Decides whether calibration is enough or training is worth its minutes, on the validation images of the gates.

It evaluates the quantized network in torch; the exported models and the builds on their runtimes must meet the same
gates later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl import stats
from edgetl.data.batches import BATCH, spread
from edgetl.files.text import decimal
from edgetl.quant.record import Decision, Judged
from edgetl.quant.shots import Shots
from edgetl.quant.train import snapshot
from edgetl.recipes.recipe import Gates
from edgetl.tasks.classification import accuracy_gates
from edgetl.tasks.classification.accuracy import recalls_of
from edgetl.types import Preprocessing, Progress, Sample

MOST_IMAGES = 512
"""Number of validation images for the decision."""
ROOM = 0.5
"""Share of the allowed drop that calibration alone may use, because it is measured on only a few hundred images."""

Judge = Callable[[nn.Module], Judged]


def decide(prepared: nn.Module, judge: Judge, gates: Gates, train: Callable[[], None]) -> Decision:
    """Keep the calibrated network if it is well inside the accuracy gates, else train it and keep the better one.

    prepared  calibrated, with its rounding; trained in place, or left unchanged
    gates     without an accuracy gate every network is inside, and none is trained; a gate that the float network
              itself misses is ignored, because training cannot meet it
    """
    calibrated = judge(prepared)
    out_of_reach = accuracy_gates.missed_by_float(gates, calibrated.float_top1, calibrated.recalls)
    gates = accuracy_gates.within_reach(gates, calibrated.float_top1, calibrated.recalls)
    if is_inside(calibrated, gates):
        of_float = f" The float network itself has {' and '.join(out_of_reach)}." if out_of_reach else ""
        return Decision("ptq", f"{_lost(calibrated)}; {_allowed(gates)}: not trained.{of_float}", calibrated, None)
    before = snapshot(prepared)
    train()
    trained = judge(prepared)
    start = f"{_lost(calibrated)}; {_allowed(gates)}. After quantization-aware training it is {_points(trained)}"
    if trained.drop_points.value < calibrated.drop_points.value:
        return Decision("qat", f"{start}.", calibrated, trained)
    prepared.load_state_dict(before)
    return Decision("ptq", f"{start}, which is not lower, so calibration is kept.", calibrated, trained)


def is_inside(judged: Judged, gates: Gates) -> bool:
    """Whether the accuracy gates are met, with `ROOM` left below the allowed drop."""
    return accuracy_gates.allow(gates, judged.drop_points.value, judged.top1, judged.recalls, share=ROOM)


def judge_on(
    samples: Sequence[Sample], classes: Sequence[str], teacher: nn.Module, p: Preprocessing, progress: Progress
) -> Judge:
    """Judges by top-1 on at most `MOST_IMAGES` of `samples`, evenly spread, against the float network `teacher`.

    teacher  float32 (n, 3, H, W) -> (n, classes), on the same device as the networks to evaluate
    """
    chosen = spread(samples, MOST_IMAGES)
    labels = np.array([sample.label for sample in chosen], np.int64)
    device = next(teacher.parameters()).device
    images = Shots(chosen, p, "none", 0, device)
    images.keep()

    @torch.no_grad()
    def right(network: nn.Module) -> NDArray[np.bool_]:
        parts = []
        with progress.task("quantize: validation images", len(chosen)) as advance:
            for start in range(0, len(chosen), BATCH):
                batch = range(start, min(start + BATCH, len(chosen)))
                parts.append(network(images.plain(batch)).argmax(1).cpu().numpy())
                advance(len(batch))
        return np.asarray(np.concatenate(parts) == labels)

    truth = right(teacher)

    def judge(network: nn.Module) -> Judged:
        found = right(network)
        recalls = recalls_of(classes, labels, found, truth)
        return Judged(len(chosen), float(found.mean()), stats.paired_difference(truth, found), recalls)

    return judge


def _lost(judged: Judged) -> str:
    return f"After calibration the drop is {_points(judged)} on {judged.images} validation images"


def _points(judged: Judged) -> str:
    drop = judged.drop_points
    return f"{decimal(drop.value, 2)} points ({decimal(drop.low, 2)} to {decimal(drop.high, 2)})"


def _allowed(gates: Gates) -> str:
    said = []
    if gates.max_drop_points is not None:
        said.append(f"{ROOM * gates.max_drop_points:.2f} is half of what the gate allows")
    if gates.min_top1 is not None:
        said.append(f"top-1 must be at least {gates.min_top1:.1%}")
    said += [f"recall of `{label}` must be at least {least:.1%}" for label, least in (gates.min_recall or {}).items()]
    if gates.max_recall_drop_points is not None:
        said.append(
            f"no class may lose more than {ROOM * gates.max_recall_drop_points:.2f} points of recall, half of what "
            f"its gate allows"
        )
    return " and ".join(said) or "there is no accuracy gate"
