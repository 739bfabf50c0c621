"""Chooses training views for a set of classes by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from edgetl.recipes.run import Run
from edgetl.types import ResizePolicy

_CHARACTERS = re.compile("digits?|letters?|chars?|characters?|glyphs?|text|words?|numbers?")
_SPELT = re.compile("zero|one|two|three|four|five|six|seven|eight|nine")
_DIRECTIONS = re.compile("left|right|up|down|north|south|east|west|clockwise|anticlockwise|arrows?")


def resizes_of(run: Run) -> tuple[ResizePolicy, ...]:
    """The ways to resize the images of a run, the one that suits their shapes first; the shots decide between them.
    None for sounds."""
    if run.job.recipe.front != "image":
        return ()
    return resize_choices(run.job.recipe.data.resize, run.split.resize, croppable=run.split.croppable)


def resolve_policy(policy: str, classes: Sequence[str]) -> str:
    """The recipe's `data.augment`, with `auto` resolved: `text` if a mirrored image may be another class, else
    `natural`. Only the user can choose `overhead`: nothing in a split shows that there is no up and down."""
    if policy != "auto":
        return policy
    return "text" if why_not_mirrored(classes) else "natural"


def resize_choices(wanted: str, suggested: ResizePolicy, *, croppable: bool = True) -> tuple[ResizePolicy, ...]:
    """The policies that the recipe's `data.resize` allows, `suggested` (by the image shapes) first. With `auto` the
    shots decide between it and the two policies that most networks were pretrained with; without `crop` if some image
    is too elongated to be cropped (`Split.croppable`)."""
    if wanted != "auto":
        return (suggested,)
    others: tuple[ResizePolicy, ...] = ("squash", "crop") if croppable else ("squash",)
    return tuple(dict.fromkeys((suggested, *others)))


def why_not_mirrored(classes: Sequence[str]) -> str:
    """Why left-right flips could turn one class into another, by the names of the classes; "" if nothing suggests it.

    At least half of them are characters (`7`, `A`, `digit_7`, `seven`), or one of them names a direction.
    """
    characters = sum(
        len(name) == 1 or name.isdecimal() or naming(_CHARACTERS, [name]) or bool(_SPELT.fullmatch(name.casefold()))
        for name in classes
    )
    if 2 * characters >= len(classes) > 0:
        return "the class names look like characters, which a flip would change"
    return "class names mention directions, which a flip would change" if naming(_DIRECTIONS, classes) else ""


def naming(words: re.Pattern[str], names: Iterable[str]) -> int:
    """How many of the names contain one of the words (runs of letters, in lower case)."""
    return sum(any(words.fullmatch(word) for word in re.findall(r"[^\W\d_]+", name.casefold())) for name in names)
