"""How a detector was adapted, as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from edgetl.adapt.detection.record import Candidate, DetectorAdaptation, History, Stretch
from edgetl.report import words
from edgetl.report.adaptation import audit
from edgetl.report.boxes import DrawnBox, Photo, photo
from edgetl.report.plots import LINE, SERIES, Picture, panels, svg_text
from edgetl.types import Interval

_MOST_PANELS = 9
_ALL_SHOTS = "all shots"


def judged_on(adapt: DetectorAdaptation) -> str:
    if not adapt.held_out_images:
        return "Nothing could be held out, so the ways of training were not compared."
    return (
        f"Evaluated on {adapt.held_out_images} shots, each held out once in {adapt.folds} folds, the same for every "
        "way. Utility: F1 of an image at the best score threshold, mean over overlaps from 0.5 to 0.95."
    )


def share(found: Interval | None) -> str:
    """`0.512`."""
    return words.DASH if found is None else f"{found.value:.3f}".replace("-", "−")


def share_range(found: Interval | None) -> str:
    return "" if found is None else f"{found.low:.3f}…{found.high:.3f}".replace("-", "−")


def is_reference(candidate: Candidate, adapt: DetectorAdaptation) -> bool:
    """The best way with a frozen backbone: the differences are against it, so it has none."""
    return (
        candidate.utility is not None
        and candidate.difference is None
        and any(each.difference is not None for each in adapt.candidates)
    )


def facts(adapt: DetectorAdaptation) -> list[tuple[str, str]]:
    """Facts that have no other place on the page, without empty ones."""
    threads = words.threads(adapt.threads) if adapt.threads else ""
    objects = ", ".join(f"{label} {count}" for label, count in adapt.objects.items())
    steps = f"{words.count(adapt.steps, 'step')} of {words.count(adapt.batch_size, 'image')} on all shots"
    rows = [
        ("Network", adapt.family),
        ("Training", f"{adapt.chosen.setting}; {steps}"),
        ("Objects in the shots", objects),
        (
            "Best score threshold on held-out shots",
            "" if adapt.score_threshold is None else f"{adapt.score_threshold:.2f}",
        ),
        ("Augmentation", adapt.augment),
        ("Parameters", f"{adapt.trained_parameters:,} trained, {adapt.frozen_parameters:,} frozen"),
        ("Weights", audit(adapt.audit)),
        ("Source", adapt.source),
        ("License of the weights", adapt.licence),
        ("Device", ", ".join(part for part in (adapt.device, threads) if part)),
        ("Time", "" if adapt.seconds is None else words.seconds(adapt.seconds)),
        ("Learning rate", f"{adapt.learning_rate:.4g}"),
    ]
    return [(name, value) for name, value in rows if value]


@dataclass(frozen=True)
class PerhapsNotLabeled:
    """An image with the objects that are perhaps not labeled in it. photo  None if it can no longer be read"""

    file: str
    photo: Photo | None
    boxes: tuple[DrawnBox, ...]


def perhaps_not_labeled(adapt: DetectorAdaptation) -> list[PerhapsNotLabeled]:
    """Image by image, the surest object first."""
    by_image: dict[str, list[DrawnBox]] = {}
    for each in adapt.unlabeled:
        said = f"{each.label} {each.score:.2f}"
        by_image.setdefault(each.image, []).append(DrawnBox.of("suspect", each.corners, said, said))
    return [PerhapsNotLabeled(Path(image).name, photo(Path(image)), tuple(found)) for image, found in by_image.items()]


def loss_curves(history: History) -> Picture | None:
    """Training loss over the steps, one panel for each way and one for the training on all shots; None without any."""
    shown = [(name, folds) for name, folds in history.trials.items() if any(folds)]
    shown = shown[: _MOST_PANELS - 1] + ([(_ALL_SHOTS, (history.final,))] if history.final else [])
    if not shown:
        return None
    with panels("losses", len(shown), (2.8, 2.2), least=4.2, legend=0, sharey=False) as (figure, grid):
        for panel, (name, folds) in zip(grid.flat, shown, strict=False):
            _panel(panel, name, folds)
        for panel in grid[:, 0]:
            panel.set_ylabel("training loss")
        svg = svg_text(figure)
    return Picture(svg, f"Training loss. {'; '.join(_describe(name, folds) for name, folds in shown)}.")


def _panel(panel: Axes, name: str, folds: Sequence[Sequence[Stretch]]) -> None:
    for fold in folds:
        panel.plot(
            [each.step for each in fold],
            [each.loss for each in fold],
            color=SERIES["int8"] if name == _ALL_SHOTS else LINE,
            linewidth=1.3,
            marker="o" if len(fold) == 1 else "",
            markersize=4,
        )
    longest = max(folds, key=len)
    means = [
        sum(each[at].loss for each in folds if at < len(each)) / sum(at < len(each) for each in folds)
        for at in range(len(longest))
    ]
    if len(folds) > 1:
        panel.plot([each.step for each in longest], means, color=SERIES["int8"], linewidth=1.6)
    panel.set_title(name, parse_math=False, fontsize=9.5)
    panel.set_xlabel("step")
    panel.set_ylim(bottom=0)
    panel.grid(True, axis="y")
    panel.set_axisbelow(True)


def _describe(name: str, folds: Sequence[Sequence[Stretch]]) -> str:
    ends = [fold[-1].loss for fold in folds if fold]
    return f"{name}: {sum(ends) / len(ends):.3g} at the end"
