"""The cells of `detection.py` as Markdown: AP of every way, paired differences, CPU minutes, aims.

A set's value is the mean over its draws. Intervals are over validation images, which all ways and draws of a set share:
they do not say how another draw of the shots would do. So the values of the draws are listed too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from detection_cells import AUTO, IMAGENET, PLAIN, SETS, Cell, Shots
from numpy.typing import NDArray
from result_file import NOTHING, table

from edgetl.tasks.bootstrap import interval_of
from edgetl.types import Interval

METHOD = """\
AP is the mean over overlaps from 0.5 to 0.95 and over classes, in percent, on all validation images. Every draw is
edgetl's own split with another `data.seed`: objects per class from `train`. All ways see the same shots and none sees
`val` before it is measured. One thread. Minutes are CPU minutes of training and of the search for how to train, from
decoded images to the trained float network; the machine was shared.

- auto: the `adapt` stage of a recipe of defaults. `bccd_detection` and `neu_steel`: the anchor-free detector on
  `mobilenetv2_100` (ImageNet) at 320 pixels; `raccoon` and `pcb_defects`: `yolox_nano` pretrained on COCO at 416
- plain: the same network from the same weights, all layers, SGD with momentum 0.9, batches of 8, the library's own
  rate for that batch. `mobilenetv2_100` as torchvision's reference scripts train FCOS: rate 0.005, a tenth of it after
  16/26 and again after 22/26 of the steps, warm-up over the first 26th, weight decay 1e-4, frozen batch norms in the
  backbone, left-right flips. `yolox_nano` as YOLOX trains it: rate 0.00125 (0.01 for 64 images), Nesterov, warm-up,
  cosine to a twentieth, weight decay 5e-4, SimOTA, live batch norms, mosaic of half of the images with turns, scales
  and shears, colors, flips, the last twentieth without mosaic. Not taken over: its moving average of weights (after
  some hundred steps it has hardly any memory), its L1 loss at the end, and changing input sizes. The loss is that of
  edgetl's network (generalized IoU). The length is in the table of cells: the libraries' 26 and 300 epochs of COCO are
  out of reach for a CPU, and 26 epochs of a dozen images would be forty steps. `auto` itself trains for 120 steps of 8
  at ten shots, after its search, and for 240 where that found little
- imagenet: `auto` from ImageNet weights (the detector on `mobilenetv2_100`) where it started from COCO weights"""

_NAMES = {AUTO: "`auto`", PLAIN: "plain", IMAGENET: "ImageNet start"}
_AIM, _WORST = 3.0, -1.0

Floats = NDArray[np.float64]
Place = tuple[str, Shots]
"""Set and number of shots."""


@dataclass(frozen=True)
class Found:
    """A value in percent or points: the mean over draws with its interval, and each draw's own."""

    mean: Interval
    drawn: Floats
    each: tuple[float, ...]

    def text(self, sign: str = "") -> str:
        value, low, high = (f"{part:{sign}.1f}" for part in (self.mean.value, self.mean.low, self.mean.high))
        own = f"; {', '.join(f'{value:{sign}.1f}' for value in self.each)}" if len(self.each) > 1 else ""
        return f"{value} [{low} to {high}{own}]".replace("-", "−")


def accuracy_sections(cells: Sequence[Cell]) -> tuple[str, ...]:
    """At least one cell."""
    shown = newest(cells)
    counts = sorted({cell.key.shots for cell in shown}, key=lambda count: float("inf") if count == "all" else count)
    sections = [METHOD]
    for count in counts:
        here = [cell for cell in shown if cell.key.shots == count]
        title = "All training images" if count == "all" else f"{count} objects per class"
        sections += [f"## {title}", _board(here), *_aims(here, count)]
    return (*sections, "## Cells", _cells(shown))


def newest(cells: Iterable[Cell]) -> list[Cell]:
    """The last cell of each set, number of shots, draw and way, in the order of the table."""
    found = {(cell.key.dataset, cell.key.shots, cell.key.draw, cell.key.way): cell for cell in cells}
    ways = list(_NAMES)
    return sorted(
        found.values(),
        key=lambda cell: (
            list(SETS).index(cell.key.dataset),
            float("inf") if cell.key.shots == "all" else cell.key.shots,
            cell.key.draw,
            ways.index(cell.key.way),
        ),
    )


def score(cells: Sequence[Cell]) -> Found | None:
    """AP over the draws of one set and way; None of no cells."""
    if not cells:
        return None
    return _found([100 * cell.ap.value for cell in cells], [100 * np.array(cell.drawn) for cell in cells], cells)


def difference(cells: Sequence[Cell], way: str, other: str) -> Found | None:
    """Points that `way` is above `other`, for the draws of one set that have both."""
    ours, theirs = _by_draw(cells, way), _by_draw(cells, other)
    both = [(ours[draw], theirs[draw]) for draw in ours if draw in theirs]
    if not both:
        return None
    values = [100 * (one.ap.value - two.ap.value) for one, two in both]
    return _found(values, [100 * (np.array(one.drawn) - np.array(two.drawn)) for one, two in both], [both[0][0]])


def mean_of_sets(found: Sequence[Found]) -> Interval:
    """The sets are fixed; their validation images were drawn independently."""
    value = float(np.mean([each.mean.value for each in found]))
    half = float(np.sqrt(sum(((each.mean.high - each.mean.low) / 2) ** 2 for each in found))) / len(found)
    return Interval(value, value - half, value + half)


def _found(values: Sequence[float], drawn: Sequence[Floats], cells: Sequence[Cell]) -> Found:
    mean: Floats = np.mean(drawn, axis=0)
    interval = interval_of(float(np.mean(values)), mean, cells[0].images, -100.0, 100.0)
    return Found(interval, mean, tuple(values))


def _by_draw(cells: Sequence[Cell], way: str) -> Mapping[int, Cell]:
    return {cell.key.draw: cell for cell in cells if cell.key.way == way}


def _sets(cells: Sequence[Cell]) -> Mapping[str, list[Cell]]:
    return {name: mine for name in SETS if (mine := [cell for cell in cells if cell.key.dataset == name])}


def _board(cells: Sequence[Cell]) -> str:
    rows = []
    for name, mine in _sets(cells).items():
        row = [name]
        for way in _NAMES:
            row.append(_or_nothing(score(list(_by_draw(mine, way).values()))))
        row += [_or_nothing(difference(mine, AUTO, other), "+") for other in (PLAIN, IMAGENET)]
        rows.append([*row, *(_minutes(mine, way) for way in _NAMES)])
    head = ["set", *(f"{name}, AP" for name in _NAMES.values()), "`auto` − plain", "`auto` − ImageNet start"]
    return table([*head, *(f"{name}, CPU min" for name in _NAMES.values())], rows)


def _or_nothing(found: Found | None, sign: str = "") -> str:
    return NOTHING if found is None else found.text(sign)


def _minutes(cells: Sequence[Cell], way: str) -> str:
    seconds = [cell.cpu_seconds for cell in _by_draw(cells, way).values()]
    return f"{np.median(seconds) / 60:.1f}" if seconds else NOTHING


def _aims(cells: Sequence[Cell], count: Shots) -> list[str]:
    """What the mean over sets says about the aims."""
    found = {name: gap for name, mine in _sets(cells).items() if (gap := difference(mine, AUTO, PLAIN))}
    if not found:
        return []
    mean, draws = mean_of_sets(list(found.values())), min(len(each.each) for each in found.values())
    worst = min(found, key=lambda name: found[name].mean.value)
    points = f"{mean.value:+.1f} points ({mean.low:+.1f} to {mean.high:+.1f})".replace("-", "−")
    said = (
        f"`auto` over plain fine-tuning, mean of {len(found)} of {len(SETS)} sets, {draws} draw(s) or more of each: "
        f"{points} over validation images; worst set: {worst}, {found[worst].text('+')}."
    )
    if count == 10:
        said += (
            f" Aims: the mean at least {_AIM:+.0f}, here {'met' if mean.value >= _AIM else 'missed'}; no set below "
            f"{_WORST:+.0f}, here {'met' if found[worst].mean.value >= _WORST else 'missed'}."
        ).replace("-", "−")
    return [said]


def _cells(cells: Sequence[Cell]) -> str:
    rows = []
    for cell in cells:
        key = cell.key
        ap = f"{100 * cell.ap.value:.1f} ({100 * cell.ap.low:.1f} to {100 * cell.ap.high:.1f})"
        load = NOTHING if cell.load is None else f"{cell.load:.1f}"
        ap50, seconds = f"{100 * cell.ap50.value:.1f}", [f"{each:.0f}" for each in (cell.cpu_seconds, cell.seconds)]
        place = [key.dataset, str(key.shots), str(key.draw), key.way, str(cell.shots)]
        rows.append([*place, ap, ap50, *seconds, load, cell.chosen])
    head = ["set", "shots", "draw", "way", "images", "AP", "AP50", "CPU s", "wall s", "load", "chosen, or how it ended"]
    return table(head, rows, left=1)
