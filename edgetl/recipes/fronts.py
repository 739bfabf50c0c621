"""The sections of a recipe that belong to one front, and what a front allows in the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edgetl.recipes.section import Section

if TYPE_CHECKING:
    from edgetl.recipes.recipe import Recipe

_VIEWS = {
    "image": ("auto", "none", "light", "text", "natural", "overhead"),
    "audio": ("auto", "none", "light", "speech", "sounds"),
    "text": ("auto", "none", "light"),
    "series": ("auto", "none", "light"),
}
_MEL = ("bands", "frame_ms", "hop_ms", "low_hz", "high_hz", "coefficients")


class Audio(Section):
    """The sound that the network hears, for `front: audio`. A pretrained network brings its own mel spectrum; the keys
    from `bands` on are for `backbone.pretrained: false`."""

    window_s: Annotated[float, Field(ge=0.1, le=30)] | None = None
    """Seconds of sound that the network hears at once. A longer clip is cut to its middle, a shorter one lies in the
    middle of silence. Omitted: the network's own, else 1."""
    rate_hz: Annotated[int, Field(ge=4000, le=48_000)] | None = None
    """Samples per second at the network's input. Clips of another rate are converted, here and on the device. Omitted:
    the pretrained network's, else 16000."""
    bands: int = Field(default=40, ge=8, le=128)
    """Mel bands of a frame."""
    frame_ms: float = Field(default=25.0, ge=5, le=200)
    """Length of a frame."""
    hop_ms: float = Field(default=10.0, ge=2, le=100)
    """From the beginning of one frame to that of the next."""
    low_hz: float = Field(default=60.0, ge=0, le=20_000)
    """Lower edge of the first band."""
    high_hz: Annotated[float, Field(gt=0, le=24_000)] | None = None
    """Upper edge of the last band. Omitted: 0.475 times the rate, 7600 Hz at 16 kHz."""
    coefficients: int = Field(default=0, ge=0, le=128)
    """First coefficients of a cosine transform over the bands (MFCC). 0: the bands themselves."""


class Series(Section):
    """The windows of sensor channels that the network sees, for `front: series`."""

    steps: Literal["auto"] | Annotated[int, Field(ge=4, le=65_536)] = "auto"
    """Moments that the network sees at once. A longer window is cut to its beginning, a shorter one stays at its last
    moment. auto: the longest of the shots, at most 4096."""


class Text(Section):
    """The tokens that the network reads, for `front: text`. The tokenizer is the pretrained network's own."""

    max_tokens: Annotated[int, Field(ge=4, le=8192)] | Literal["auto"] = "auto"
    """Tokens that the network reads at most, with those that the tokenizer adds; a longer text is cut to its beginning.
    auto: as many as the longest training text has, but at least 64, and at most 512 or the network's own limit."""
    pooling: Literal["auto", "mean", "first", "last"] = "auto"
    """How the vectors of the tokens become one: their mean, that of the first token or of the last. auto: what the
    network was trained with, else the mean, for a network that reads from left to right the last."""


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
