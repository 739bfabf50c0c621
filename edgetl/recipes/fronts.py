"""What a front allows in the sections of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetl.recipes.audio import Audio
from edgetl.recipes.series import Series
from edgetl.recipes.text import Text

if TYPE_CHECKING:
    from edgetl.recipes.recipe import Recipe

_VIEWS = {
    "image": ("auto", "none", "light", "text", "natural", "overhead"),
    "audio": ("auto", "none", "light", "speech", "sounds"),
    "text": ("auto", "none", "light"),
    "series": ("auto", "none", "light"),
}
_MEL = ("bands", "frame_ms", "hop_ms", "low_hz", "high_hz", "coefficients")
_SECTIONS = {"audio": Audio(), "text": Text(), "series": Series()}


def refuse_for_front(recipe: Recipe) -> None:
    """Raise ValueError for a value that only another front takes."""
    front = recipe.front
    if front != "image" and recipe.task == "detection":
        raise ValueError(f"front: {front} is for task: classification, not for task: detection")
    if recipe.data.augment not in _VIEWS[front]:
        allowed = ", ".join(_VIEWS[front])
        raise ValueError(f"data.augment: {recipe.data.augment} is not for front: {front}; use one of {allowed}")
    for section, default in _SECTIONS.items():
        if section != front and getattr(recipe, section) != default:
            raise ValueError(
                f"{section} is for front: {section}, not for front: {front}; set front: {section} or leave it out"
            )
    _refuse_columns(recipe)
    if front == "image":
        return
    for key, value, usual in (
        ("data.resize", recipe.data.resize, "auto"),
        ("backbone.input_size", recipe.backbone.input_size, None),
    ):
        if value != usual:
            raise ValueError(f"{key} is for front: image, not for front: {front}; leave it out")
    for key in _MEL:
        if front == "audio" and recipe.backbone.pretrained and getattr(recipe.audio, key) != getattr(Audio(), key):
            raise ValueError(f"audio.{key} is for backbone.pretrained: false; leave it out")


def _refuse_columns(recipe: Recipe) -> None:
    columns = recipe.data.columns
    if columns is None:
        return
    if recipe.front != "text":
        if columns.text is not None:
            raise ValueError(f"data.columns.text is for front: text, not for front: {recipe.front}; leave it out")
        if columns.path is None:
            raise ValueError("data.columns.path is missing")
    elif (columns.path is None) == (columns.text is None):
        raise ValueError("data.columns: expected text, for texts in the table itself, or path, for texts in files")
