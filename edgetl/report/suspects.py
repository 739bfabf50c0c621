"""Findings of the data checks, with the suspects as small inline images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.checks.model import Checks, Finding, Picture
from edgetl.checks.sheet import TITLES
from edgetl.fronts.audio.decode import SUFFIXES
from edgetl.report.boxes import DrawnBox, Photo, photo
from edgetl.report.pictures import data_uri

_PER_FINDING = 12


@dataclass(frozen=True)
class ShownPicture:
    """`source` is a data URI, or empty if the file can no longer be read; `caption`: side and class.

    photo, boxes  in place of `source` where the finding is about objects
    """

    source: str
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


def show_findings(checks: Checks, *, allow_leak: bool) -> tuple[ShownFinding, ...]:
    """In the order of the checks, with at most twelve suspects each. Skipped files have no images."""
    return tuple(
        ShownFinding(
            title=TITLES[finding.check],
            finding=finding,
            allowed=allow_leak and finding.verdict == "refuse",
            suspects=() if finding.check == "files" else _suspects(finding),
        )
        for finding in checks.findings
    )


def _suspects(finding: Finding) -> tuple[ShownSuspect, ...]:
    return tuple(
        ShownSuspect(
            pictures=tuple(map(_picture, suspect.pictures)),
            sentence=suspect.sentence,
        )
        for suspect in finding.suspects[:_PER_FINDING]
    )


def _picture(picture: Picture) -> ShownPicture:
    path, caption = Path(picture.path), f"{picture.side or ''} {picture.label}".strip()
    if path.suffix.lower() in SUFFIXES:
        return ShownPicture(source="", caption=caption, file=path.name)
    boxes = tuple(DrawnBox.of("suspect", box.corners, box.label) for box in picture.boxes)
    drawn = photo(path) if boxes else None
    return ShownPicture(
        source="" if boxes else data_uri(path),
        caption=caption,
        file=path.name,
        photo=drawn,
        boxes=boxes,
    )
