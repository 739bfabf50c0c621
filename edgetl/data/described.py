"""What a split says about its files as a whole: how images are resized, the rate and lengths of clips, the channels of
windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgetl.errors import DataError
from edgetl.fronts.audio.examine import ClipFacts
from edgetl.fronts.base import Seen
from edgetl.fronts.image.examine import Seen as Picture
from edgetl.fronts.image.resize import auto_policy
from edgetl.fronts.series.front import WindowFacts
from edgetl.recipes.data import Data
from edgetl.types import Clips, Split, Windows

_LONGEST_TO_CROP = 64.0
"""Width over height, or height over width, above which `crop` is not compared."""
_OTHER_RATE = 0.05
"""Share by which the steps of two windows' time stamps may differ."""


def described(split: Split, seen: Mapping[str, Seen], config: Data) -> Split:
    """The split with what was seen of its files. Raises DataError for clips of several rates and
    for windows of several channels or rates."""
    used = [sample.path for sample in (*split.shots, *split.val)]
    split = replace(split, traits=tuple(trait for path in used for trait in seen[path].traits))
    windows = {path: each for path in used if isinstance(each := seen[path], WindowFacts)}
    if windows:
        return replace(split, windows=_windows(windows, [sample.path for sample in split.shots]))
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


def _windows(windows: Mapping[str, WindowFacts], shots: Sequence[str]) -> Windows:
    path, first = next(iter(windows.items()))
    for other, each in windows.items():
        if each.width != first.width:
            raise DataError(
                f"{other}: has {each.width} channels, but {path} has {first.width}; all windows need the same channels"
            )
        if abs(each.period - first.period) > _OTHER_RATE * first.period and each.period and first.period:
            raise DataError(
                f"{other}: has a time step of {each.period:g}, but {path} of {first.period:g}; resample all windows to "
                "the rate that the device records"
            )
    mean, std = _moments([windows[path] for path in shots])
    names = first.channels or tuple(str(number + 1) for number in range(first.width))
    lengths = tuple(each.steps for each in windows.values())
    return Windows(names, first.period, lengths, mean, std)


def _moments(shots: Sequence[WindowFacts]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all moments; 1 for a constant channel."""
    weights = np.array([each.steps for each in shots], np.float64)
    mean = np.average([each.mean for each in shots], axis=0, weights=weights)
    square = np.average([each.square for each in shots], axis=0, weights=weights)
    std = np.sqrt(np.maximum(square - mean**2, 0))
    least = 1e-5 * np.sqrt(np.maximum(square, 1e-12))
    return tuple(mean.tolist()), tuple(np.where(std > least, std, 1.0).tolist())
