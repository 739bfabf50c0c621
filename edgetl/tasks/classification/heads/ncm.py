"""Nearest class mean."""

from __future__ import annotations

import numpy as np

from edgetl.tasks.classification.heads.head import Floats, Head, Labels
from edgetl.tasks.classification.heads.rounds import has_company, rounds
from edgetl.tasks.classification.heads.temperature import best_scale, blind_scale

NAME = "ncm"


def fit(views: Floats, labels: Labels, num_classes: int, seed: int) -> Head:
    """The class whose mean over all views is nearest: -|x - m|^2 / 2 = x m - |m|^2 / 2 - |x|^2 / 2, linear but for
    the last part, which all classes share. (Mensink et al. 2013, "Distance-based image classification", eq. 2-4.)

    The scale is the best one for logits of images that were left out of the means; `seed` orders the rounds.
    """
    images = views.mean(axis=0)
    means = class_means(images, labels, num_classes)
    company = has_company(labels)
    if company.any():
        left_out = np.empty((len(labels), num_classes))
        for held_out in rounds(labels, seed):
            left_out[held_out] = _logits(views[0, held_out], means_without(means, images, labels, held_out))
        scale = best_scale(left_out[company], labels[company])
    else:
        scale = blind_scale(_logits(views[0], means), labels)
    return Head(NAME, scale * means, -0.5 * scale * (means**2).sum(axis=1), f"scale {scale:.3g}")


def class_means(images: Floats, labels: Labels, num_classes: int) -> Floats:
    """(N, D) -> (C, D)."""
    return np.stack([images[labels == label].mean(axis=0) for label in range(num_classes)])


def means_without(means: Floats, images: Floats, labels: Labels, held_out: Labels) -> Floats:
    """Class means (C, D) of the images but for `held_out`, which has at most one of each class; a class that would
    be left without an image keeps its own."""
    counts = np.bincount(labels, minlength=len(means))[labels[held_out]]
    held_out, counts = held_out[counts > 1], counts[counts > 1][:, None]
    changed = means.copy()
    changed[labels[held_out]] = (counts * means[labels[held_out]] - images[held_out]) / (counts - 1)
    return changed


def _logits(features: Floats, means: Floats) -> Floats:
    return np.asarray(features @ means.T - 0.5 * (means**2).sum(axis=1))
