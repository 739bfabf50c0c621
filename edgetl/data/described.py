"""What a split says about its files as a whole: how images are resized, the rate and lengths of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgetl.errors import DataError
from edgetl.fronts.audio.examine import ClipFacts
from edgetl.fronts.base import Seen
from edgetl.fronts.image.examine import Seen as Picture
from edgetl.fronts.image.resize import auto_policy
from edgetl.recipes.recipe import Data
from edgetl.types import Clips, Split

_LONGEST_TO_CROP = 64.0
"""Width over height, or height over width, above which `crop` is not compared."""


def described(split: Split, seen: Mapping[str, Seen], config: Data) -> Split:
    """The split with what was seen of its files. Raises DataError for clips of several rates."""
    used = [sample.path for sample in (*split.shots, *split.val)]
    split = replace(split, traits=tuple(trait for path in used for trait in seen[path].traits))
    if split.front not in ("image", "audio"):
        return split
    clips = {path: each for path in used if isinstance(each := seen[path], ClipFacts)}
    if clips:
        return replace(split, clips=_clips(clips))
    pictures = [each for path in used if isinstance(each := seen[path], Picture)]
    sizes = [(each.height, each.width) for each in pictures]
    policy, reason = (
        auto_policy(sizes[: len(split.shots)]) if config.resize == "auto" else (config.resize, "set in the recipe")
    )
    return replace(
        split,
        resize=policy,
        resize_reason=reason,
        croppable=all(max(size) < _LONGEST_TO_CROP * min(size) for size in sizes),
    )


def _clips(clips: Mapping[str, ClipFacts]) -> Clips:
    """Of several rates the network would hear only one: a rate per file would have to be known on the device too."""
    rates = {each.rate_hz: path for path, each in clips.items()}
    if len(rates) > 1:
        low, high = min(rates), max(rates)
        more = f" (also {len(rates) - 2} other rates)" if len(rates) > 2 else ""
        raise DataError(
            f"{rates[low]}: has {low} samples a second, but {rates[high]} has {high}{more}; convert all clips to the "
            f"rate that the device records, for example ffmpeg -i {Path(rates[low]).name} -ar {high} NEW.wav"
        )
    return Clips(next(iter(rates)), tuple(each.samples for each in clips.values()))
