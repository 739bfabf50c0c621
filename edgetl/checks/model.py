"""`check.json`: findings about the data before training. Within schema 1, fields are only added."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from edgetl.errors import DataError
from edgetl.files.json_file import TolerantModel, first_problem

FILE_NAME = "check.json"
SHEET_NAME = "contact-sheet.jpg"
MAX_SUSPECTS = 200
"""Number of suspects that one finding lists; `found` counts all of them."""

CheckName = Literal[
    "files",
    "pictures",
    "names",
    "copies",
    "groups",
    "contradictions",
    "redundant",
    "neighbours",
    "labels",
    "balance",
    "precision",
    "drift",
    "boxes",
    "outliers",
    "doubles",
    "two_classes",
    "tiny",
    "objects",
    "samples",
    "silence",
    "clipping",
    "window",
    "letters",
    "scripts",
    "channels",
]
Judgement = Literal["pass", "warn", "refuse", "not checked"]
Side = Literal["train", "val"]


class BoxMark(TolerantModel):
    """A labeled object: x0, y0, x1, y1 in pixels of the upright image, and the name of its class."""

    corners: tuple[float, float, float, float]
    label: str = ""


class Picture(TolerantModel):
    """One file. `label` is the name of its class; `side` says how it is used; `boxes` are the objects that a
    finding is about."""

    path: str
    side: Side | None = None
    label: str = ""
    boxes: tuple[BoxMark, ...] = ()


class Suspect(TolerantModel):
    """One or two files to look at or listen to, and why."""

    pictures: tuple[Picture, ...]
    sentence: str
    score: float | None = None
    """Sort key of the suspects; its meaning depends on the check."""


class Finding(TolerantModel):
    """The result of one check. `refuse` stops a build unless `check.allow_leak` is set."""

    check: CheckName
    verdict: Judgement
    sentence: str
    remedy: str = ""
    found: int = 0
    """Number of suspects; `suspects` lists the first 200."""
    suspects: tuple[Suspect, ...] = ()
    numbers: dict[str, float] = Field(default={})
    """The numbers behind the verdict."""


class Checks(TolerantModel):
    """All findings about one split."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    findings: tuple[Finding, ...]
    shots: int
    val: int
    shots_looked_at: int = 0
    """Images behind the checks on features (neighbors, labels, drift); limited by `check.max_images`."""
    val_looked_at: int = 0
    root: str = ""
    """Folder that the names in sentences are relative to."""
    contact_sheet: str | None = None
    """File name of the contact sheet with the suspects, beside check.json; null if there are none, and for sounds."""

    @property
    def verdict(self) -> Judgement:
        """The worst of the findings; a check that could not run does not count."""
        verdicts = {finding.verdict for finding in self.findings}
        return "refuse" if "refuse" in verdicts else "warn" if "warn" in verdicts else "pass"

    def with_verdict(self, verdict: Judgement) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict == verdict)


def write_checks(checks: Checks, path: Path) -> None:
    path.write_text(checks.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")


def read_checks(path: Path) -> Checks:
    """Read a file of `write_checks`. Raises DataError if it is missing or not a check.json of schema 1."""
    try:
        return Checks.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot read the checks: {error.strerror}; run `edgetl check` again") from error
    except ValidationError as error:
        problem = first_problem(error)
        raise DataError(f"{path}: not checks of schema 1: {problem}; run `edgetl check` again") from error


def require_sound(checks: Checks, *, allow_leak: bool) -> None:
    """Raise DataError, one line for each finding that is refused, unless leaks are allowed."""
    refused = checks.with_verdict("refuse")
    if refused and not allow_leak:
        raise DataError("\n".join(f"{finding.sentence}; {finding.remedy}" for finding in refused))
