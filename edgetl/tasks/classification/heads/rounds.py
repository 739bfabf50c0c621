"""Leave one image of every class out: the rounds that closed-form heads are judged in."""

from __future__ import annotations

import numpy as np

from edgetl.tasks.classification.heads.head import Labels


def rounds(labels: Labels, seed: int) -> tuple[Labels, ...]:
    """Indices of the images that each round leaves out: one of every class that still has any, each image once.

    Leaving out a single image would leave its class the smallest of all: with few shots heads then prefer the other
    classes and look worse than chance. One of every class leaves the classes as balanced as they were.
    """
    generator = np.random.default_rng(seed)
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        images = generator.permutation(np.flatnonzero(labels == label))
        turn[images] = np.arange(len(images))
    order = np.argsort(turn, kind="stable")
    return tuple(np.split(order, np.flatnonzero(np.diff(turn[order])) + 1))


def has_company(labels: Labels) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(N,) bool: does the class of image i have another image, so that leaving i out leaves the class known?"""
    return np.asarray(np.bincount(labels)[labels] > 1)
