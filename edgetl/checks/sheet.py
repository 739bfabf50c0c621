"""The contact sheet: suspects as captioned thumbnails in one JPEG."""

from __future__ import annotations

from collections.abc import Sequence
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
}

_SIDE, _GAP, _WIDTH = 132, 12, 1200
_LINE, _CAPTION_LINES = 15, 5
_TITLE_HEIGHT = 40
_PAPER, _INK, _MUTED, _BLANK = "#ffffff", "#1b2430", "#566272", "#e6e9ee"


def write_sheet(findings: Sequence[Finding], path: Path) -> bool:
    """Draw the suspects with readable images, at most `SHOWN_PER_FINDING` per finding; False if there are none."""
    shown = [finding for finding in findings if finding.suspects and finding.check != "files"]
    if not shown:
        return False
    blocks = [_block(finding) for finding in shown]
    page = Image.new("RGB", (_WIDTH, sum(block.height for block in blocks) + _GAP), _PAPER)
    top = 0
    for block in blocks:
        page.paste(block, (0, top))
        top += block.height
    page.save(path, format="JPEG", quality=85, optimize=True)
    return True


def _block(finding: Finding) -> Image.Image:
    suspects = finding.suspects[:SHOWN_PER_FINDING]
    cell = max(len(suspect.pictures) for suspect in suspects) * (_SIDE + 4) + _GAP
    columns = max(1, (_WIDTH - 2 * _GAP) // max(cell, 2 * _SIDE))
    cell = (_WIDTH - 2 * _GAP) // columns
    row_height = _SIDE + _CAPTION_LINES * _LINE + _GAP
    rows = -(-len(suspects) // columns)
    block = Image.new("RGB", (_WIDTH, _TITLE_HEIGHT + rows * row_height), _PAPER)
    more = f", {len(suspects)} of them shown" if finding.found > len(suspects) else ""
    ImageDraw.Draw(block).text((_GAP, 12), f"{TITLES[finding.check]} ({finding.found}{more})", _INK, _font(19))
    for number, suspect in enumerate(suspects):
        place = (_GAP + number % columns * cell, _TITLE_HEIGHT + number // columns * row_height)
        block.paste(_cell(suspect, cell - _GAP, row_height), place)
    return block


def _cell(suspect: Suspect, width: int, height: int) -> Image.Image:
    cell = Image.new("RGB", (width, height), _PAPER)
    for number, picture in enumerate(suspect.pictures):
        cell.paste(_thumbnail(Path(picture.path)), (number * (_SIDE + 4), 0))
    lines = [line for picture in suspect.pictures for line in _wrapped(_name(picture), width)[:1]]
    lines += _wrapped(suspect.sentence, width)
    draw = ImageDraw.Draw(cell)
    for number, line in enumerate(lines[:_CAPTION_LINES]):
        color = _MUTED if number < len(suspect.pictures) else _INK
        draw.text((0, _SIDE + 3 + number * _LINE), line, color, _font(12))
    return cell


def _name(picture: Picture) -> str:
    return f"{picture.side or ''} {picture.label}/{Path(picture.path).name}".strip()


def _thumbnail(path: Path) -> Image.Image:
    tile = Image.new("RGB", (_SIDE, _SIDE), _BLANK)
    try:
        picture = Image.fromarray(decode(path))
    except DataError:
        return tile
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    tile.paste(picture, ((_SIDE - picture.width) // 2, (_SIDE - picture.height) // 2))
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
