"""Writes a commented recipe that suits labeled windows of sensor channels: every choice states its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetl.data.scan import Listing, locate, match_classes, require_classes, scan
from edgetl.errors import DataError
from edgetl.explore.recipe_lines import (
    UNREADABLE_LINES,
    Choice,
    end_lines,
    head_lines,
    listed,
    place_lines,
    shots_lines,
    span,
    title_of,
)
from edgetl.fronts.base import Unreadable
from edgetl.fronts.series.front import WindowFacts, examine
from edgetl.fronts.series.tables import SUFFIXES, looks_like_series

BACKBONE = "minirocket"
_LOOKED_AT = 200
_PARTS = (("train", "training"), ("val", "valid", "validation", "test"))
_LEARN_FROM = 2 / 3


@dataclass(frozen=True)
class SeriesSurvey:
    """What is known of windows before there is a recipe. val_path  the table itself if it has both parts"""

    train_path: Path
    val_path: Path | None
    train: Listing
    val: Listing | None
    seen: tuple[WindowFacts, ...]
    notes: tuple[str, ...]


def table_of(root: Path) -> Path | None:
    """The table of windows that a path means: the file itself, or the only one in a folder; None if there is none."""
    root = locate(Path(), str(root))
    if root.is_file():
        return root if root.suffix.lower() in SUFFIXES and looks_like_series(root) else None
    if not root.is_dir():
        return None
    found = [path for path in sorted(root.iterdir()) if path.suffix.lower() in SUFFIXES and looks_like_series(path)]
    named = [path for path in found if path.stem.lower() in _PARTS[0]]
    return (named or found)[0] if len(found) == 1 or named else None


def survey_series(root: Path) -> SeriesSurvey:
    """Look at a table, a folder with one, or a folder of classes. Raises UsageError, DataError for unusable data."""
    root = locate(Path(), str(root))
    train_path = table_of(root) or next((root / name for name in _PARTS[0] if (root / name).is_dir()), root)
    train = scan(train_path, part="train", front="series")
    require_classes(train)
    val_path = train_path if train.measures else _val_beside(train_path)
    val = None if val_path is None else scan(val_path, part="val", front="series")
    if val is not None:
        match_classes(train, val)
    seen, notes = _looked_at(train)
    return SeriesSurvey(train_path, val_path, train, val, seen, notes)


def series_recipe_text(seen: SeriesSurvey, root: Path, recipe_dir: Path, name: str | None, *, vnni: bool = True) -> str:
    """YAML text of a recipe for series, to be written into the folder `recipe_dir`; the rest as in `recipe_text`."""
    title, here = title_of(root, name), locate(Path(), str(recipe_dir))
    lengths = [each.steps for each in seen.seen]
    names = seen.seen[0].channels or tuple(str(number + 1) for number in range(seen.seen[0].width))
    facts = f"{len(names)} channels: {listed(names)}; {span(min(lengths), max(lengths))} steps"
    lines = [
        *head_lines(title, seen, facts, "front: series"),
        *place_lines(seen.train_path, seen.val_path, here, "window", "other people and days"),
        *shots_lines(_shots(seen)),
        "  # with noise, larger or smaller, earlier or later; `none` if such changes make another class",
        "  augment: light",
        *UNREADABLE_LINES,
        "",
        "# time steps that the network sees; longer windows are cut, shorter ones stay at their last time step",
        "series:",
        f"  steps: {max(lengths)}",
        "",
        "# fixed kernels with a head from the shots: strong with few windows",
        "# networks that are trained on the shots: resnet_1d, gru, lstm",
        "backbone:",
        f"  name: {BACKBONE}",
    ]
    return "\n".join([*lines, *end_lines(vnni, "; also min_top1,")])


def _shots(seen: SeriesSurvey) -> Choice:
    least = min(seen.train.counts())
    if seen.val is not None:
        return Choice("all", f"all {sum(seen.train.counts())} training windows; a number per class takes fewer")
    shots = max(1, int(_LEARN_FROM * least))
    return Choice(shots, f"of {least} per class are for training; the others validate the shipped build")


def _val_beside(train: Path) -> Path | None:
    places = (train.parent / f"{name}{train.suffix}" for name in _PARTS[1])
    return next((place for place in places if place != train and place.exists()), None)


def _looked_at(train: Listing) -> tuple[tuple[WindowFacts, ...], tuple[str, ...]]:
    seen: list[WindowFacts] = []
    broken: list[str] = []
    looked_at = train.files[:: max(1, len(train.files) // _LOOKED_AT)]
    for path, _ in looked_at:
        try:
            seen.append(examine(Path(path)))
        except Unreadable as error:
            broken.append(f"{train.name_of(path)}: {error.reason}")
    if not seen:
        raise DataError(f"{train.where}: none of {len(looked_at)} examined windows can be read: {broken[0]}")
    widths = np.unique([each.width for each in seen])
    if len(widths) > 1:
        raise DataError(f"{train.where}: expected windows with the same channels, found {widths[0]} and {widths[-1]}")
    notes = (
        (f"{len(broken)} of {len(looked_at)} examined windows cannot be read, for example {broken[0]}",)
        if broken
        else ()
    )
    return tuple(seen), notes
