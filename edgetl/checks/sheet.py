"""The contact sheet: suspects as captioned thumbnails in one JPEG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from edgetl.checks.model import Finding, Picture, Suspect
from edgetl.errors import DataError
from edgetl.fronts.image.decode import decode

SHOWN_PER_FINDING = 24

TITLES = {
    "files": "Skipped",
    "pictures": "Information lost in decoding",
    "names": "Class names",
    "copies": "In training and validation, or nearly",
    "groups": "Groups in training and validation",
    "contradictions": "One image, or nearly, with two labels",
    "redundant": "Repeated within a class, or nearly",
    "neighbours": "Perhaps one scene on both sides",
    "labels": "Perhaps in the wrong class",
    "balance": "Class sizes",
    "precision": "Precision of the validation images",
    "drift": "Training against validation images",
    "boxes": "Boxes clipped or left out",
    "outliers": "Unusual size or shape for the class",
    "doubles": "Perhaps one object with two boxes",
    "two_classes": "Perhaps one object with two classes",
    "tiny": "Small at the input size",
    "objects": "Objects of training and validation images",
    "samples": "Converted samples",
    "silence": "Silent, or far quieter than the class",
    "clipping": "Cut off at the largest amplitude",
    "channels": "Channels that are dead or come in other units",
    "window": "Longer than the window",
    "letters": "Without a letter",
    "scripts": "In a script that training does not have",
}

EXAMPLES = "Labeled objects of the first training images"

_SIDE, _GAP, _WIDTH = 132, 12, 1200
_LINE, _CAPTION_LINES = 15, 5
_LEGEND = 10
_TITLE_HEIGHT = 40
_BOXES = ("#ff5a1f", "#00a3ff", "#ffd000", "#00c46a", "#d63cff", "#00e0d0", "#ff8fb8", "#7a5cff")
_PAPER, _INK, _MUTED, _BLANK = "#ffffff", "#1b2430", "#566272", "#e6e9ee"


def write_sheet(findings: Sequence[Finding], path: Path, examples: Sequence[Suspect] = ()) -> bool:
    """Draw the suspects with readable images, at most `SHOWN_PER_FINDING` per finding; False if there are none.

    examples  ordinary images, drawn first: their boxes show whether the annotations fit the images
    """
    shown = [finding for finding in findings if finding.suspects and finding.check != "files"]
    if not shown and not examples:
        return False
    colors = _colors([*examples, *(suspect for finding in shown for suspect in finding.suspects)])
    blocks = [_block(EXAMPLES, examples, len(examples), colors, legend=True)] if examples else []
    blocks += [_block(TITLES[finding.check], finding.suspects, finding.found, colors) for finding in shown]
    page = Image.new("RGB", (_WIDTH, sum(block.height for block in blocks) + _GAP), _PAPER)
    top = 0
    for block in blocks:
        page.paste(block, (0, top))
        top += block.height
    page.save(path, format="JPEG", quality=85, optimize=True)
    return True


def _colors(suspects: Sequence[Suspect]) -> dict[str, str]:
    """A color for the boxes of each class."""
    labels = {box.label for suspect in suspects for picture in suspect.pictures for box in picture.boxes}
    return {label: _BOXES[number % len(_BOXES)] for number, label in enumerate(sorted(labels))}


def _block(
    title: str, found: Sequence[Suspect], count: int, colors: Mapping[str, str], *, legend: bool = False
) -> Image.Image:
    suspects = found[:SHOWN_PER_FINDING]
    # boxes need room
    side = 2 * _SIDE if any(picture.boxes for suspect in suspects for picture in suspect.pictures) else _SIDE
    cell = max(len(suspect.pictures) for suspect in suspects) * (side + 4) + _GAP
    columns = max(1, (_WIDTH - 2 * _GAP) // max(cell, 2 * _SIDE))
    cell = (_WIDTH - 2 * _GAP) // columns
    row_height = side + _CAPTION_LINES * _LINE + _GAP
    rows = -(-len(suspects) // columns)
    block = Image.new("RGB", (_WIDTH, _TITLE_HEIGHT + rows * row_height), _PAPER)
    more = f", {len(suspects)} of them shown" if count > len(suspects) else ""
    heading = f"{title} ({count}{more})"
    ImageDraw.Draw(block).text((_GAP, 12), heading, _INK, _font(19))
    if legend:
        _legend(block, 2 * _GAP + _font(19).getlength(heading), colors)
    for number, suspect in enumerate(suspects):
        place = (_GAP + number % columns * cell, _TITLE_HEIGHT + number // columns * row_height)
        block.paste(_cell(suspect, cell - _GAP, row_height, side, colors), place)
    return block


def _legend(block: Image.Image, left: float, colors: Mapping[str, str]) -> None:
    draw, font = ImageDraw.Draw(block), _font(15)
    for label, color in list(colors.items())[:_LEGEND]:
        draw.rectangle((left, 16, left + 12, 28), fill=color, outline=_MUTED)
        draw.text((left + 18, 14), label, _MUTED, font)
        left += 18 + font.getlength(label) + _GAP


def _cell(suspect: Suspect, width: int, height: int, side: int, colors: Mapping[str, str]) -> Image.Image:
    cell = Image.new("RGB", (width, height), _PAPER)
    for number, picture in enumerate(suspect.pictures):
        cell.paste(_thumbnail(picture, side, colors), (number * (side + 4), 0))
    lines = [line for picture in suspect.pictures for line in _wrapped(_name(picture), width)[:1]]
    lines += _wrapped(suspect.sentence, width)
    draw = ImageDraw.Draw(cell)
    for number, line in enumerate(lines[:_CAPTION_LINES]):
        color = _MUTED if number < len(suspect.pictures) else _INK
        draw.text((0, side + 3 + number * _LINE), line, color, _font(12))
    return cell


def _name(picture: Picture) -> str:
    label = f"{picture.label}/" if picture.label or not picture.boxes else ""
    return f"{picture.side or ''} {label}{Path(picture.path).name}".strip()


def _thumbnail(picture: Picture, side: int, colors: Mapping[str, str]) -> Image.Image:
    tile = Image.new("RGB", (side, side), _BLANK)
    try:
        image = Image.fromarray(decode(Path(picture.path)))
    except DataError:
        return tile
    width, height = image.size
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    tile.paste(image, (left, top))
    draw = ImageDraw.Draw(tile)
    for box in picture.boxes:
        x0, x1 = (left + x * image.width / width for x in box.corners[::2])
        y0, y1 = (top + y * image.height / height for y in box.corners[1::2])
        draw.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=colors[box.label])
    return tile


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` pixels; a word that is longer is cut."""
    font = _font(12)
    lines: list[str] = []
    line = ""
    for word in text.split():
        while font.getlength(word) > width:
            word = word[: max(1, int(len(word) * width / font.getlength(word)) - 1)]
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = word
    return [*lines, line]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
