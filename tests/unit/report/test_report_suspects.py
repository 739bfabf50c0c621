"""The section on data checks: verdicts, pictures of suspects, and everything user-supplied escaped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.checks.model import BoxMark, Checks, Finding, Picture, Suspect
from edgetl.checks.sheet import TITLES
from edgetl.report.suspects import ShownFinding, show_findings


def suspect(folder: Path, name: str) -> Suspect:
    path = folder / name
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(path)
    return Suspect(pictures=(Picture(path=str(path), side="val", label="crack"),), sentence="looks like `fine`")


def checks(*findings: Finding) -> Checks:
    return Checks(findings=findings, shots=4, val=20)


def shown(found: Checks, *, allow_leak: bool = False) -> tuple[ShownFinding, ...]:
    return show_findings(found, allow_leak=allow_leak)


def test_every_check_has_a_title() -> None:
    assert set(TITLES) == set(Finding.model_fields["check"].annotation.__args__)  # type: ignore[union-attr]


def test_suspects_are_inline_pictures_with_side_class_and_file(tmp_path: Path) -> None:
    finding = Finding(
        check="labels", verdict="warn", sentence="1 image", found=1, suspects=(suspect(tmp_path, "a.png"),)
    )
    (labels,) = shown(checks(finding))
    (picture,) = labels.suspects[0].pictures
    assert picture.look.source.startswith("data:image/jpeg;base64,")
    assert (picture.caption, picture.file) == ("val crack", "a.png")


def test_a_dozen_suspects_are_shown_and_a_picture_that_is_gone_is_blank(tmp_path: Path) -> None:
    many = tuple(suspect(tmp_path, f"{number}.png") for number in range(15))
    (tmp_path / "0.png").unlink()
    (labels,) = shown(checks(Finding(check="labels", verdict="warn", sentence="15", found=15, suspects=many)))
    assert len(labels.suspects) == 12
    assert labels.suspects[0].pictures[0].look.source == ""


def test_objects_to_look_at_are_drawn_on_their_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(path)
    marked = Picture(path=str(path), side="train", boxes=(BoxMark(corners=(1, 2, 11, 8), label="cell"),))
    finding = Finding(
        check="tiny", verdict="warn", sentence="one", found=1, suspects=(Suspect(pictures=(marked,), sentence="small"),)
    )
    (picture,) = shown(checks(finding))[0].suspects[0].pictures
    assert picture.photo is not None
    assert (picture.photo.width, picture.photo.height, picture.look.source) == (30, 20, "")
    (box,) = picture.boxes
    assert (box.kind, box.x, box.y, box.width, box.height, box.title) == ("suspect", 1, 2, 10, 6, "cell")
    path.unlink()
    assert shown(checks(finding))[0].suspects[0].pictures[0].photo is None


@pytest.mark.parametrize(
    ("verdict", "allow_leak", "allowed"), [("refuse", True, True), ("refuse", False, False), ("warn", True, False)]
)
def test_only_what_was_refused_counts_as_allowed(verdict: str, allow_leak: bool, allowed: bool) -> None:
    finding = Finding.model_validate({"check": "copies", "verdict": verdict, "sentence": "one"})
    assert shown(checks(finding), allow_leak=allow_leak)[0].allowed == allowed


def test_skipped_files_are_told_without_pictures(tmp_path: Path) -> None:
    finding = Finding(
        check="files", verdict="warn", sentence="1 file", found=1, suspects=(suspect(tmp_path, "torn.png"),)
    )
    assert shown(checks(finding))[0].suspects == ()
