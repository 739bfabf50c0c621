"""Evaluates a detector on images: the utility of each, and comparisons between ways of training on the same images.

AP needs many images, so candidates are compared by the mean over images of their F1.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.adapt.detection.shots import Shots
from edgetl.backbones.pixels import normalize
from edgetl.tasks.bootstrap import count_units, interval_of, resampled
from edgetl.tasks.detection.detections import Detections, Postprocess
from edgetl.tasks.detection.match import HIT, IGNORED, Matches, match
from edgetl.tasks.detection.networks.base import Detector
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.tasks.detection.working_point import best_threshold
from edgetl.types import Interval

Floats = NDArray[np.float64]
_AT_ONCE = 4  # images: activations of more do not fit the cache of a core


@dataclass(frozen=True)
class Judged:
    """A candidate on held-out images: the utility (N,) of each at the best threshold for all of them together."""

    utility: Floats
    threshold: float


@torch.inference_mode()
def detect(detector: Detector, shots: Shots, indices: Sequence[int]) -> list[Detections]:
    """The objects in the images `indices`, at every score that counts for average precision."""
    device = next(detector.parameters()).device
    found: list[Detections] = []
    for start in range(0, len(indices), _AT_ONCE):
        part = indices[start : start + _AT_ONCE]
        images = normalize(shots.images(part).to(device), shots.preprocessing)
        outputs: tuple[Tensor, Tensor] = detector(images.contiguous(memory_format=torch.channels_last))
        boxes, scores = (each.float().cpu().numpy() for each in outputs)
        found += postprocess(boxes, scores, [shots.frames[index] for index in part], Postprocess())
    return found


def judge(found: Sequence[Detections], shots: Shots, indices: Sequence[int], classes: int) -> Judged:
    """`found` in the images `indices`."""
    matches = match(found, [shots.truths[index] for index in indices], classes)
    threshold = best_threshold(matches)
    return Judged(utilities(matches, threshold), threshold)


def utilities(matches: Matches, threshold: float) -> Floats:
    """(N,) F1 of each image at a threshold of the score, the mean over overlaps from 0.5 to 0.95, so that the fit of
    the boxes counts as it does in AP. 1 for an image without labeled and without found objects."""
    shown = matches.score >= np.float32(threshold)
    rows = []
    for outcome in matches.outcome[0]:
        hits = np.bincount(matches.image[shown & (outcome == HIT)], minlength=matches.images)
        found = np.bincount(matches.image[shown & (outcome != IGNORED)], minlength=matches.images)
        both = found + matches.truths[0].sum(axis=1)
        rows.append(np.divide(2.0 * hits, both, out=np.ones(matches.images), where=both > 0))
    mean: Floats = np.mean(rows, axis=0)
    return mean


def mean_of(values: Floats, groups: Sequence[Hashable] | None, lowest: float = 0.0) -> Interval:
    """The mean of values (N,) of images, from `lowest` to 1, with a bootstrap interval over images, or over groups."""
    names = None if groups is None else [repr(group) for group in groups]
    draws = resampled(lambda weights: weights @ values / np.maximum(weights.sum(axis=1), 1), len(values), names)
    return interval_of(float(values.mean()), draws, count_units(len(values), names), lowest, 1.0)


def mean_difference(candidate: Floats, rival: Floats, groups: Sequence[Hashable] | None) -> Interval:
    """The mean of the paired differences of two utilities (N,), with such an interval."""
    return mean_of(candidate - rival, groups, -1.0)


def lead(candidate: Floats, rival: Floats) -> float:
    """By how many standard errors of the paired differences the first is better; 0 if they are equal."""
    difference = candidate - rival
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5 if len(difference) > 1 else 0.0
    mean = float(difference.mean())
    return mean / error if error > 0 else float(np.sign(mean)) * float("inf") if mean else 0.0
