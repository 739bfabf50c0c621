"""How the examples of a run reach its network: what the plan of a backbone needs to know."""

from __future__ import annotations

from edgetl.backbones.audio.native import ClipSource
from edgetl.backbones.series.native import WindowSource
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.recipes.run import Run
from edgetl.types import ResizePolicy

InputChoice = ResizePolicy | ClipSource | WindowSource


def input_choice(run: Run) -> InputChoice:
    """The first way to resize images, which is that of their shapes; the rate and settings of clips; the channels and
    steps of windows."""
    clips, windows = run.split.clips, run.split.windows
    if windows:
        return WindowSource(windows, run.job.recipe.series)
    return ClipSource(clips.rate_hz, run.job.recipe.audio) if clips else resizes_of(run)[0]
