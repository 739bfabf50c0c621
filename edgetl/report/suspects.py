"""Findings of the data checks, with the suspects as small inline images, of clips with players."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgetl.checks.model import Checks, Finding, Picture
from edgetl.checks.sheet import TITLES
from edgetl.report.boxes import DrawnBox, Photo, photo
from edgetl.report.pictures import Look, look_at

_PER_FINDING = 12


@dataclass(frozen=True)
class ShownPicture:
    """`caption`: side and class.

    photo, boxes  in place of a `look` with something to see where the finding is about objects
    """

    look: Look
    caption: str
    file: str
    photo: Photo | None = None
    boxes: tuple[DrawnBox, ...] = ()


@dataclass(frozen=True)
class ShownSuspect:
    pictures: tuple[ShownPicture, ...]
    sentence: str


@dataclass(frozen=True)
class ShownFinding:
    """A finding as the page shows it. `allowed`: refused, but allowed by the recipe."""

    title: str
    finding: Finding
    allowed: bool
    suspects: tuple[ShownSuspect, ...]


def show_findings(
    checks: Checks, *, allow_leak: bool, look: Callable[[Path], Look] = look_at, noun: str = "image"
) -> tuple[ShownFinding, ...]:
    """In the order of the checks, with at most twelve suspects each. Skipped files have no images.

    look  how a file is shown;  noun  one of them, in the titles
    """
    return tuple(
        ShownFinding(
            title=TITLES[finding.check].replace("image", noun),
            finding=finding,
            allowed=allow_leak and finding.verdict == "refuse",
            suspects=() if finding.check == "files" else _suspects(finding, look),
        )
        for finding in checks.findings
    )


def _suspects(finding: Finding, look: Callable[[Path], Look]) -> tuple[ShownSuspect, ...]:
    return tuple(
        ShownSuspect(
            pictures=tuple(_picture(picture, look) for picture in suspect.pictures),
            sentence=suspect.sentence,
        )
        for suspect in finding.suspects[:_PER_FINDING]
    )


def _picture(picture: Picture, look: Callable[[Path], Look]) -> ShownPicture:
    path, caption = Path(picture.path), f"{picture.side or ''} {picture.label}".strip()
    boxes = tuple(DrawnBox.of("suspect", box.corners, box.label) for box in picture.boxes)
    drawn = photo(path) if boxes else None
    return ShownPicture(
        look=Look("") if boxes else look(path),
        caption=caption,
        file=path.name,
        photo=drawn,
        boxes=boxes,
    )
