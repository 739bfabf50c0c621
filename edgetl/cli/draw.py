"""Images with their objects drawn over them, in a new folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from edgetl.errors import StoreError, UsageError
from edgetl.files.text import printable
from edgetl.fronts.image.decode import decode

if TYPE_CHECKING:
    from edgetl.tasks.detection.detections import Detections

# colors that stay apart on photographs and for most people: Okabe and Ito, Color Universal Design
_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_LINES = 250  # widths of a line in the longer side
_LETTERS = 40  # heights of a letter in it
_SMALLEST = 10


class Drawings:
    """Writes `folder`/NAME.png for each image; images of one name are numbered."""

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        """Raises UsageError if the folder has files: nothing is overwritten."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder}: expected a new or an empty folder to draw into; choose another one")
        self._folder, self._labels = folder, labels
        self._used: set[str] = set()

    def draw(self, path: Path, objects: Detections) -> Path:
        """Returns the path of the drawing. Raises DataError, StoreError."""
        image = Image.fromarray(decode(path))
        longer = max(image.size)
        pen, font = ImageDraw.Draw(image), ImageFont.load_default(max(_SMALLEST, longer / _LETTERS))
        width = max(1, longer // _LINES)
        rows = list(zip(objects.boxes.tolist(), objects.scores.tolist(), objects.labels.tolist(), strict=True))
        for box, score, label in reversed(rows):  # the best object on top
            color = _COLORS[label % len(_COLORS)]
            pen.rectangle(_upright(box), outline=color, width=width)
            text = f"{printable(self._labels[label])} {100 * score:.0f} %"
            place = pen.textbbox((box[0] + width, box[1] + width), text, font=font)
            pen.rectangle(place, fill=color)
            pen.text((box[0] + width, box[1] + width), text, fill="black", font=font)
        target = self._folder / self._free_name(path)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            image.save(target)
        except OSError as error:
            raise StoreError(f"{target}: cannot be written: {error.strerror or error}") from error
        return target

    def _free_name(self, path: Path) -> str:
        stem, number = printable(path.stem), 1
        while (name := f"{stem}.png" if number == 1 else f"{stem}-{number}.png") in self._used:
            number += 1
        self._used.add(name)
        return name


def _upright(box: Sequence[float]) -> tuple[float, float, float, float]:
    """Pillow refuses boxes whose ends lie before their beginnings."""
    x0, y0, x1, y1 = box
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
