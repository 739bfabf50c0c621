"""Checks on numbers of images alone: uneven and tiny classes, and how far the validation images can tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.model import Finding
from edgetl.stats import paired_difference, wilson
from edgetl.types import Split

UNEVEN = 3.0
"""Largest class over smallest, on either side, from which on it is warned of."""
FEW_VAL = 10
"""Validation images of a class below which its own accuracy says little: 10 of 10 right is 72 to 100 %."""
FEW_SHOTS = 3
"""Shots of a class below which nothing can be held out of it to choose a strategy by."""
ASSUMED_TOP1 = 0.9
ASSUMED_CHANGED = 0.02
"""Share of images that a build answers differently, half of them to its advantage: what INT8 builds usually show."""

_MOST_IMAGES = 1_000_000


def balance(split: Split) -> Finding:
    """Class sizes on both sides."""
    shots, val = _counts(split, "shots"), _counts(split, "val")
    told: list[str] = []
    for name, counts in (("training", shots), ("validation", val)):
        if counts.max() > UNEVEN * counts.min():
            told.append(
                f"uneven {name} images: {counts.max()} of `{split.classes[int(counts.argmax())]}`, "
                f"{counts.min()} of `{split.classes[int(counts.argmin())]}`"
            )
    for name, counts, least in (("training", shots, FEW_SHOTS), ("validation", val, FEW_VAL)):
        small = [f"`{split.classes[label]}` has {counts[label]}" for label in np.flatnonzero(counts < least)]
        if small:
            more = f" and {len(small) - 3} more" if len(small) > 3 else ""
            told.append(f"fewer than {least} {name} images: {', '.join(small[:3])}{more}")
    numbers = {
        "fewest_shots": float(shots.min()),
        "most_shots": float(shots.max()),
        "fewest_val": float(val.min()),
        "most_val": float(val.max()),
    }
    if not told:
        return Finding(check="balance", verdict="pass", sentence="the classes are about even", numbers=numbers)
    return Finding(
        check="balance",
        verdict="warn",
        sentence="; ".join(told),
        remedy="add images of the small classes; until then look at macro-F1 besides top-1",
        numbers=numbers,
    )


def precision(split: Split, max_drop_points: float | None) -> Finding:
    """Whether the validation images can place a build's drop within the gate `gates.max_drop_points`."""
    count = len(split.val)
    top1 = wilson(round(ASSUMED_TOP1 * count), count)
    half = drop_half_width_points(count)
    numbers = {"images": float(count), "drop_half_width_points": half}
    about = (
        f"{count} validation images place a drop within about {half:.1f} points and a top-1 of "
        f"{100 * ASSUMED_TOP1:.0f} % within {100 * top1.low:.0f} to {100 * top1.high:.0f} %"
    )
    if max_drop_points is None or half <= max_drop_points:
        return Finding(check="precision", verdict="pass", sentence=about, numbers=numbers)
    needed = images_to_settle(max_drop_points, more_than=count)
    if needed is None:
        how_many, remedy = "no number of images that is at hand would settle it", "set a wider gate"
    else:
        how_many = f"about {needed - count} more would settle it"
        remedy = f"have about {needed} validation images, or set a wider gate"
        numbers |= {"needed_images": float(needed)}
    return Finding(
        check="precision",
        verdict="warn",
        sentence=f"{about}: wider than gates.max_drop_points: {max_drop_points:g}; {how_many}",
        remedy=remedy,
        numbers=numbers,
    )


def drop_half_width_points(images: int) -> float:
    """Half-width of the 95 % interval of a drop of 0 on `images` images, in points, under the assumptions above.

    The interval is the one the report uses (`paired_difference`).
    """
    changed = round(ASSUMED_CHANGED * images / 2)
    right = max(round(ASSUMED_TOP1 * images), changed)
    changed = min(changed, images - right)
    first = np.zeros(images, dtype=np.bool_)
    first[:right] = True
    second = first.copy()
    second[:changed] = False
    second[right : right + changed] = True
    interval = paired_difference(first, second)
    return max(interval.value - interval.low, interval.high - interval.value)


def images_to_settle(points: float, *, more_than: int = 0) -> int | None:
    """The fewest images, in two digits, on which a drop is placed within `points`; None above a million.

    Counted from `more_than` on: the half-width rises where one more image makes one more changed answer, so that fewer
    images than those that do not suffice may do.
    """
    if points <= 0:
        return None
    wanted = max(10, _next_round(more_than))
    while drop_half_width_points(wanted) > points:
        wanted = _next_round(wanted)
        if wanted > _MOST_IMAGES:
            return None
    return wanted


def _next_round(number: int) -> int:
    """The next larger number whose digits after the second are 0."""
    step: int = 10 ** max(len(str(number)) - 2, 0)
    return (number // step + 1) * step


def _counts(split: Split, side: str) -> NDArray[np.int64]:
    samples = split.shots if side == "shots" else split.val
    counts = np.bincount([sample.label for sample in samples], minlength=len(split.classes))
    return counts.astype(np.int64)
