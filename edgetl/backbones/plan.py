"""Resolves a backbone's name before anything is built."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgetl.errors import UsageError
from edgetl.types import AudioPreprocessing, SeriesPreprocessing, TextPreprocessing

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Auxiliary classifiers of training; off here, so that a checkpoint's tensors for them are expected and dropped.
AUXILIARY = {"inception_v3": ("AuxLogits.",), "googlenet": ("aux1.", "aux2.")}


@dataclass(frozen=True)
class Native:
    """The input that the pretrained weights were made for; values as in `Preprocessing`."""

    height: int
    width: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    crop_pct: float = 0.875
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


@dataclass(frozen=True)
class Plan:
    """Library, constructor and its arguments.

    native     of a network for sound, series or texts: its input under the recipe
    droppable  name prefixes that a checkpoint may have in addition
    gray       whether the weights are declared for one channel
    licence    of the weights, as they state it; empty where nothing is stated
    """

    library: Literal["timm", "torchvision", "edgetl", "transformers", "module"]
    architecture: str
    native: Native | AudioPreprocessing | SeriesPreprocessing | TextPreprocessing
    model_args: Mapping[str, object] = field(default_factory=dict)
    droppable: tuple[str, ...] = ()
    gray: bool = False
    licence: str = ""


def unknown_name(name: str, valid: Iterable[str], library: str, listing: str) -> UsageError:
    """The error for a misspelled architecture: the nearest names, or how to list them all."""
    close = difflib.get_close_matches(name, sorted(valid), n=3, cutoff=0.6)
    hint = (
        f"did you mean {' or '.join(f'`{word}`' for word in close)}?" if close else f"{listing} lists the valid names"
    )
    return UsageError(f"backbone.name: {library} has no network `{name}`; {hint}")
