"""How the examples of a run reach its network: what the plan of a backbone needs to know."""

from __future__ import annotations

from pathlib import Path

from edgetl.backbones.audio.native import ClipSource
from edgetl.backbones.series.native import WindowSource
from edgetl.backbones.text.native import TextSource
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.fronts.text.read import read_example
from edgetl.recipes.run import Run
from edgetl.types import ResizePolicy

InputChoice = ResizePolicy | ClipSource | WindowSource | TextSource


def input_choice(run: Run) -> InputChoice:
    """The first way to resize images, which is that of their shapes; the rate and settings of clips; the channels and
    steps of windows; the shots that are texts. Raises DataError for a text that cannot be read."""
    clips, windows = run.split.clips, run.split.windows
    if run.job.recipe.front == "text":
        return _texts(run)
    if windows:
        return WindowSource(windows, run.job.recipe.series)
    return ClipSource(clips.rate_hz, run.job.recipe.audio) if clips else resizes_of(run)[0]


def _texts(run: Run) -> TextSource:
    section = run.job.recipe.text
    return TextSource(
        run.store.cache / "tokenizers",
        tuple(read_example(Path(sample.path)) for sample in run.split.shots),
        None if section.max_tokens == "auto" else section.max_tokens,
        None if section.pooling == "auto" else section.pooling,
    )
