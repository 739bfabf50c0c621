"""Guards of a detector's adaptation: pure functions from measurements to a verdict and a sentence that explains it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.detection.held_out import mean_difference, mean_of
from edgetl.adapt.record import Guard

Floats = NDArray[np.float64]

_LARGE_GAP = 0.3  # of utility, between training and held-out images, beyond the held-out interval
_LEAST_UTILITY = 0.05
FEWEST_OBJECTS = 10
"""Of a class: with fewer, its recall is a matter of which ones were drawn."""
_WANTED_REACH = 0.1  # to each side: the precision that the utility of the winner should have

_SMALL = 24.0  # pixels of an object's longer side: three positions of the finest maps
_STEP = 32  # input sizes are multiples of it

TRANSFER, FIT, DATA, SIZE = "negative transfer", "overfitting", "too little data", "small objects"


def not_measured() -> tuple[Guard, Guard]:
    """Negative transfer and overfitting if nothing was held out."""
    why = "Nothing was held out, so the choice was not evaluated."
    return Guard(TRANSFER, "not measured", why, {}), Guard(FIT, "not measured", why, {})


def negative_transfer(
    chosen: str,
    utility: Floats,
    frozen: tuple[str, Floats] | None,
    rejected: tuple[str, Floats] | None,
    groups: Sequence[Hashable] | None,
    *,
    asked_for: bool = False,
) -> Guard:
    """Whether training the backbone helped, and whether the detector learned at all.

    utility   (N,) of the held-out images for the chosen way;  frozen  the best way with a frozen backbone, if the
              chosen one trains it;  rejected  the best way that trains the backbone, if the chosen one does not
    asked_for whether the recipe demands a trained backbone
    Failed if almost nothing is found in held-out images. A warning if the recipe keeps a way that is worse than the
    frozen backbone.
    """
    mean = float(utility.mean())
    numbers = {"images": float(len(utility)), "utility": mean}
    if mean < _LEAST_UTILITY:
        return Guard(
            TRANSFER,
            "failed",
            f"In {len(utility)} held-out images the detector finds almost nothing (utility {mean:.3f}); check the "
            "labels, or choose a larger input size or another backbone.",
            numbers,
        )
    if frozen is not None:
        numbers |= _difference("chosen_minus_frozen", utility, frozen[1], groups)
        gain = numbers["chosen_minus_frozen"]
        facts = f"utility {mean:.3f} with `{chosen}`, {float(frozen[1].mean()):.3f} with `{frozen[0]}`"
        if gain <= 0 and asked_for:
            said = f"Training the backbone does not help ({facts}), but the recipe asks for it."
            return Guard(TRANSFER, "warn", said, numbers)
        if gain <= 0:
            said = f"Held-out images do not tell whether to freeze the backbone ({facts}), so it is trained."
            return Guard(TRANSFER, "pass", said, numbers)
        return Guard(TRANSFER, "pass", f"Training the backbone's last stages helps: {facts}.", numbers)
    if rejected is not None:
        numbers |= _difference("rejected_minus_chosen", rejected[1], utility, groups)
        facts = f"utility {float(rejected[1].mean()):.3f} with `{rejected[0]}`, {mean:.3f} with `{chosen}`"
        said = f"Training the backbone is not clearly better ({facts}), so it stays frozen."
        return Guard(TRANSFER, "rolled back", said, numbers)
    return Guard(TRANSFER, "pass", f"The backbone stays frozen; utility {mean:.3f} on held-out images.", numbers)


def overfitting(own: float, utility: Floats, groups: Sequence[Hashable] | None) -> Guard:
    """own  mean utility on images that were trained on;  utility  (N,) of the held-out ones, in training on the rest"""
    held_out = mean_of(utility, groups)
    gap = own - held_out.high
    numbers = {"own_utility": own, "held_out_utility": held_out.value, "held_out_high": held_out.high}
    facts = f"utility {own:.3f} on its own shots, {held_out.value:.3f} on held-out ones"
    if gap > _LARGE_GAP:
        said = f"The detector fits its shots much better than new images ({facts}); more shots would help."
        return Guard(FIT, "warn", said, numbers)
    return Guard(FIT, "pass", f"No large gap: {facts}.", numbers)


def too_little_data(
    objects: Mapping[str, int], images: Mapping[str, int], utility: Floats | None, groups: Sequence[Hashable] | None
) -> Guard:
    """objects, images  how many labeled objects of each class the shots have, and in how many images

    A warning for classes with few objects or in a single image, and if the utility is only known within a wide
    interval.
    """
    numbers: dict[str, float] = {"fewest_objects": float(min(objects.values()))}
    said = []
    few = [f"{name} ({count})" for name, count in objects.items() if count < FEWEST_OBJECTS]
    if few:
        said.append(f"fewer than {FEWEST_OBJECTS} objects of {', '.join(few[:10])}: label more")
    single = [name for name, count in images.items() if count == 1]
    if single:
        said.append(f"all objects of {', '.join(single[:10])} are in one image, so no fold can hold them out")
    if utility is not None:
        interval = mean_of(utility, groups)
        reach = (interval.high - interval.low) / 2
        numbers |= {"utility_low": interval.low, "utility_high": interval.high}
        if reach > _WANTED_REACH:
            said.append(f"the held-out utility {interval.value:.2f} is only known within {reach:.2f} to each side")
    if said:
        return Guard(DATA, "warn", f"{'; '.join(said)[:1].upper()}{'; '.join(said)[1:]}.", numbers)
    return Guard(DATA, "pass", f"At least {FEWEST_OBJECTS} objects of every class.", numbers)


def small_objects(longer: Floats, side: int, reduced: float) -> Guard:
    """longer   (K,) longer sides of the labeled objects, in pixels of the input, whose own longer side is `side`
    reduced  by what factor the images are made smaller for it; at most 1 if they are not

    A warning if objects are small in the input but larger in the images.
    """
    median = float(np.median(longer))
    numbers = {"median_pixels": median, "input_pixels": float(side), "reduced": reduced}
    facts = f"the longer side of labeled objects is {median:.0f} of {side} pixels (median)"
    if median < _SMALL and reduced > 1:
        enough = side * min(_SMALL / median, reduced)
        wanted = _STEP * math.ceil(round(enough / _STEP, 6))
        said = f"Objects are small in the input: {facts}; set backbone.input_size to {wanted}."
        return Guard(SIZE, "warn", said, numbers)
    return Guard(SIZE, "pass", f"In the input {facts}.", numbers)


def _difference(name: str, first: Floats, second: Floats, groups: Sequence[Hashable] | None) -> dict[str, float]:
    interval = mean_difference(first, second, groups)
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
