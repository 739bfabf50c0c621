"""Cosine similarity to class prototypes."""

from __future__ import annotations

import numpy as np

from edgetl.tasks.classification.heads.head import Floats, Head, Labels
from edgetl.tasks.classification.heads.ncm import class_means, means_without
from edgetl.tasks.classification.heads.rounds import has_company, rounds
from edgetl.tasks.classification.heads.temperature import best_scale, blind_scale

NAME = "cosine"


def fit(views: Floats, labels: Labels, num_classes: int, seed: int) -> Head:
    """The class with the largest cosine between the centered feature x - m and its unit prototype w_c, the mean
    direction of the class's images. (Gidaris and Komodakis 2018, arXiv:1804.09458, eq. 3; centring: Wang et al.
    2019, "SimpleShot", arXiv:1911.04623, sec. 3.2.)

    cos(x - m, w_c) = (x - m) w_c / |x - m|, and |x - m| is the same for all classes: dividing by it scales all logits
    of one image alike and never changes which is largest. So the layer has weight w_c and bias -m w_c, decides
    exactly as the cosine does, and no norm is needed on the device. Only how sure it sounds depends on |x - m|; the
    scale that makes it sound right is the best one for this layer's logits of images that were left out of the
    prototypes (not of the center, which knows no labels); `seed` orders the rounds.
    """
    center = views.mean(axis=(0, 1))
    centered = views - center
    directions = _unit(centered).mean(axis=0)
    means = class_means(directions, labels, num_classes)
    prototypes = _unit(means)
    company = has_company(labels)
    if company.any():
        left_out = np.empty((len(labels), num_classes))
        for held_out in rounds(labels, seed):
            left_out[held_out] = centered[0, held_out] @ _unit(means_without(means, directions, labels, held_out)).T
        scale = best_scale(left_out[company], labels[company])
    else:
        scale = blind_scale(centered[0] @ prototypes.T, labels)
    weight = scale * prototypes
    return Head(NAME, weight, -weight @ center, f"scale {scale:.3g}")


def _unit(vectors: Floats) -> Floats:
    """To length 1 along the last axis; a zero vector (an image at the very center) stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
