"""How the examples of a run reach its network: what the plan of a backbone needs to know."""

from __future__ import annotations

from edgetl.backbones.audio.hears import Hearing
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.recipes.run import Run
from edgetl.types import ResizePolicy

Shown = ResizePolicy | Hearing


def shown_of(run: Run) -> Shown:
    """The first way to resize images, which is that of their shapes; how clips are heard."""
    clips = run.split.clips
    return Hearing(clips.rate_hz, run.job.recipe.audio) if clips else resizes_of(run)[0]
