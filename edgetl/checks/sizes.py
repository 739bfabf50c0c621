"""Checks on the numbers of images: unbalanced and tiny classes, and the precision of the validation images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.model import Finding
from edgetl.checks.subject import by_head, noun_of
from edgetl.data.split_heads import each_head
from edgetl.types import Split
from edgetl.types.stats import paired_difference, wilson

UNEVEN = 3.0
"""Largest class over smallest, on either side, that gives a warning."""
FEW_VAL = 10
"""With fewer validation images the accuracy of a class says little: 10 of 10 right is 72 to 100 %."""
FEW_SHOTS = 3
"""With fewer shots in a class none can be held out to choose a strategy."""
ASSUMED_TOP1 = 0.9
ASSUMED_CHANGED = 0.02
"""Share of predictions that a build changes, half of them to its advantage: usual for INT8 builds."""

_MOST_IMAGES = 1_000_000


def balance(split: Split) -> Finding:
    """Class sizes on both sides; of several heads one by one."""
    if split.heads:
        return by_head([(name, balance(own)) for name, own in each_head(split)])
    shots, val = _counts(split, "shots"), _counts(split, "val")
    problems: list[str] = []
    noun = f"{noun_of(split)}s"
    for name, counts in (("training", shots), ("validation", val)):
        if counts.max() > UNEVEN * counts.min():
            problems.append(
                f"unbalanced {name} {noun}: {counts.max()} of `{split.classes[int(counts.argmax())]}`, "
                f"{counts.min()} of `{split.classes[int(counts.argmin())]}`"
            )
    for name, counts, least in (("training", shots, FEW_SHOTS), ("validation", val, FEW_VAL)):
        small = [f"`{split.classes[label]}` has {counts[label]}" for label in np.flatnonzero(counts < least)]
        if small:
            more = f" and {len(small) - 3} more" if len(small) > 3 else ""
            problems.append(f"fewer than {least} {name} {noun}: {', '.join(small[:3])}{more}")
    numbers = {
        "fewest_shots": float(shots.min()),
        "most_shots": float(shots.max()),
        "fewest_val": float(val.min()),
        "most_val": float(val.max()),
    }
    if not problems:
        return Finding(check="balance", verdict="pass", sentence="the classes are roughly balanced", numbers=numbers)
    return Finding(
        check="balance",
        verdict="warn",
        sentence="; ".join(problems),
        remedy=f"add {noun} of the small classes; until then check macro-F1 besides top-1",
        numbers=numbers,
    )


def precision(split: Split, max_drop_points: float | None) -> Finding:
    """Whether the validation images determine a build's drop to within the gate `gates.max_drop_points`."""
    if split.heads:
        return by_head([(name, precision(own, max_drop_points)) for name, own in each_head(split)])
    count = len(split.val)
    top1 = wilson(round(ASSUMED_TOP1 * count), count)
    half = drop_half_width_points(count)
    noun = f"{noun_of(split)}s"
    numbers = {"images": float(count), "drop_half_width_points": half}
    about = (
        f"{count} validation {noun} determine a drop to within about {half:.1f} points, and a top-1 of "
        f"{100 * ASSUMED_TOP1:.0f} % to {100 * top1.low:.0f} to {100 * top1.high:.0f} %"
    )
    if max_drop_points is None or half <= max_drop_points:
        return Finding(check="precision", verdict="pass", sentence=about, numbers=numbers)
    needed = images_to_settle(max_drop_points, more_than=count)
    if needed is None:
        how_many, remedy = f"no realistic number of {noun} would be enough", "set a wider gate"
    else:
        how_many = f"about {needed - count} more would be enough"
        remedy = f"use about {needed} validation {noun}, or set a wider gate"
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
    """The fewest images, to two digits, that determine a drop to within `points`; None above a million.

    Counted from `more_than` on, because the half-width rises whenever one more image adds one more changed prediction,
    so a smaller number may suffice although a larger one does not.
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
    """The next larger number with two significant digits."""
    step: int = 10 ** max(len(str(number)) - 2, 0)
    return (number // step + 1) * step


def _counts(split: Split, side: str) -> NDArray[np.int64]:
    samples = split.shots if side == "shots" else split.val
    counts = np.bincount([sample.label for sample in samples], minlength=len(split.classes))
    return counts.astype(np.int64)
