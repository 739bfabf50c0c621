"""Shots held out to choose strategy and epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# With fewer held-out images than this one lucky guess decides, so the trial is repeated on other parts of the shots;
# few images also make it cheap.
_FEWEST_JUDGED = 16


@dataclass(frozen=True)
class Part:
    """Indices of the shots that a trial trains on, and of those that judge it."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]


def hold_out(labels: Sequence[int], share: float, seed: int) -> list[Part]:
    """Stratified parts: each holds out `share` of every class, at least one image and never all of them.

    One part, or as many disjoint ones as it takes to judge 16 images. Empty when a class has a single shot: then there
    is nothing to judge by.
    """
    generator = np.random.default_rng(seed)
    orders = [
        generator.permutation([index for index, value in enumerate(labels) if value == label]).tolist()
        for label in sorted(set(labels))
    ]
    if min(map(len, orders), default=0) < 2:
        return []
    counts = [min(max(1, math.floor(share * len(order) + 0.5)), len(order) - 1) for order in orders]
    disjoint = min(len(order) // count for order, count in zip(orders, counts, strict=True))
    wanted = math.ceil(_FEWEST_JUDGED / sum(counts))
    return [_part(orders, counts, number) for number in range(min(wanted, disjoint))]


def _part(orders: Sequence[Sequence[int]], counts: Sequence[int], number: int) -> Part:
    held_out = [
        index
        for order, count in zip(orders, counts, strict=True)
        for index in order[number * count : (number + 1) * count]
    ]
    everything = {index for order in orders for index in order}
    return Part(tuple(sorted(everything - set(held_out))), tuple(sorted(held_out)))
