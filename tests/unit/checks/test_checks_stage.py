"""The check stage on drawn pictures: what is planted is found, named and refused; the rest passes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from small_runs import small_run

from edgetl.checks.check import check_images
from edgetl.checks.model import Checks, Finding, read_checks, require_sound
from edgetl.checks.sheet import write_sheet
from edgetl.data.split import make_split
from edgetl.errors import DataError
from edgetl.recipes.data import Data

pytestmark = pytest.mark.stage

CLASSES = ("rough", "smooth")


def picture(label: int, seed: int) -> NDArray[np.uint8]:
    """96x96 of clouds; the first class has finer ones."""
    generator = np.random.default_rng([label, seed])
    cells = generator.normal(128, 50, ((24, 8)[label],) * 2 + (3,)).clip(0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(cells).resize((96, 96), Image.Resampling.BICUBIC))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for side, first, count in (("train", 0, 6), ("val", 100, 12)):
        for label, name in enumerate(CLASSES):
            folder = tmp_path / side / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(picture(label, first + number)).save(folder / f"site{side}{number}_{number}.png")
    return tmp_path


def checked(photos: Path, *, group_by: str | None = None, **settings: object) -> Checks:
    data = Data(train="train", val="val", shots=6, group_by=group_by, augment="none")
    (out := photos / "out").mkdir(exist_ok=True)
    run = small_run(make_split(data, photos), photos, data=data, check=settings, gates={"max_drop_points": None})
    check_images(run, None, "no weights here", out)
    return read_checks(out / "check.json")


def finding(checks: Checks, name: str) -> Finding:
    (found,) = [each for each in checks.findings if each.check == name]
    return found


def test_clean_pictures_raise_nothing_and_leave_no_contact_sheet(photos: Path) -> None:
    checks = checked(photos)
    assert checks.verdict == "pass"
    assert checks.contact_sheet is None
    assert not (photos / "out" / "contact-sheet.jpg").exists()
    assert (checks.shots, checks.val, checks.shots_looked_at, checks.val_looked_at) == (12, 24, 12, 24)
    require_sound(checks, allow_leak=False)


def test_without_weights_the_other_checks_are_made_and_the_reason_is_told(photos: Path) -> None:
    checks = checked(photos)
    assert finding(checks, "labels").verdict == finding(checks, "neighbours").verdict == "not checked"
    assert finding(checks, "neighbours").sentence == "no weights here"
    assert finding(checks, "labels").sentence == "no features: see neighbors"
    assert finding(checks, "drift").verdict == "pass"


def test_a_copy_on_both_sides_is_refused_by_name_unless_allowed(photos: Path) -> None:
    leaked = photos / "val" / "rough" / "again.jpg"
    Image.fromarray(picture(0, 0)).save(leaked, quality=90)
    checks = checked(photos)
    copies = finding(checks, "copies")
    assert (copies.verdict, copies.found) == ("refuse", 1)
    assert [Path(each.path).name for each in copies.suspects[0].pictures] == ["sitetrain0_0.png", "again.jpg"]
    with pytest.raises(DataError, match=r"1 validation image also among .*again\.jpg; remove one .* --allow-leak"):
        require_sound(checks, allow_leak=False)
    require_sound(checks, allow_leak=True)
    with Image.open(photos / "out" / "contact-sheet.jpg") as sheet:
        assert sheet.width == 1200


def test_a_picture_under_two_labels_and_a_repeated_one_are_warned_of(photos: Path) -> None:
    Image.fromarray(picture(0, 100)).save(photos / "val" / "smooth" / "odd.jpg", quality=90)
    Image.fromarray(picture(1, 101)).save(photos / "val" / "smooth" / "twice.jpg", quality=90)
    checks = checked(photos)
    assert finding(checks, "contradictions").verdict == "warn"
    assert "odd.jpg" in finding(checks, "contradictions").sentence
    assert finding(checks, "redundant").found == 1
    assert finding(checks, "copies").verdict == "pass"
    require_sound(checks, allow_leak=False)


def parts(photos: Path, good: Image.Image, bad: Image.Image) -> None:
    """One product under a camera that does not move: each unit recorded once, with noise of its own."""
    for path in (photos / "val").rglob("*.png"):
        if int(path.stem.rpartition("_")[2]) >= 4:  # four of a class do: each is compared with every other
            path.unlink()
    generator = np.random.default_rng(0)
    for path in sorted(photos.rglob("*.png")):
        pixels = np.asarray(good if path.parent.name == CLASSES[0] else bad)
        Image.fromarray(np.clip(pixels + generator.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)).save(path)


def test_units_of_one_product_in_one_pose_are_warned_of_and_not_refused(photos: Path) -> None:
    good = Image.new("RGB", (200, 200), (120, 120, 125))
    ImageDraw.Draw(good).ellipse((30, 30, 170, 170), fill=(190, 190, 195))
    bad = good.copy()
    ImageDraw.Draw(bad).line((60, 80, 72, 110), fill=(150, 150, 150), width=1)
    parts(photos, good, bad)
    checks = checked(photos)
    copies = finding(checks, "copies")
    assert (copies.verdict, copies.found) == ("warn", 8)
    assert copies.sentence.startswith("8 validation images look nearly the same as a training image: ")
    assert "different objects in one pose may stay" in copies.remedy
    contradictions = finding(checks, "contradictions")
    assert contradictions.verdict == "warn"
    assert "of images look nearly the same and have two labels: " in contradictions.sentence
    require_sound(checks, allow_leak=False)


def test_pills_of_two_colors_have_no_two_labels(photos: Path) -> None:
    red, blue = (Image.new("RGB", (200, 200), (200, 200, 200)) for _ in range(2))
    ImageDraw.Draw(red).ellipse((60, 80, 140, 120), fill=(200, 40, 40))
    ImageDraw.Draw(blue).ellipse((60, 80, 140, 120), fill=(40, 40, 200))
    parts(photos, red, blue)
    checks = checked(photos)
    assert finding(checks, "contradictions").verdict == "pass"
    assert finding(checks, "copies").verdict == "warn"
    require_sound(checks, allow_leak=False)


def test_a_copy_is_refused_beside_pictures_that_look_nearly_the_same(photos: Path) -> None:
    plate = Image.new("RGB", (200, 200), (120, 120, 125))
    ImageDraw.Draw(plate).rectangle((30, 60, 170, 140), fill=(190, 190, 195))
    parts(photos, plate, plate.transpose(Image.Transpose.ROTATE_90).rotate(45))
    shot = photos / "train" / CLASSES[0] / "sitetrain0_0.png"
    with Image.open(shot) as image:
        image.save(photos / "val" / CLASSES[0] / "again.bmp")
    copies = finding(checked(photos), "copies")
    assert copies.verdict == "refuse"
    assert copies.sentence.startswith("1 validation image also among the training images: ")
    assert "; 8 validation images look nearly the same" in copies.sentence
    assert copies.suspects[0].sentence == "the same image in another file"


def test_drift_is_not_judged_by_images_where_groups_are_too_few(photos: Path) -> None:
    drift = finding(checked(photos, group_by="site([a-z]+)"), "drift")
    assert drift.verdict == "not checked"
    assert drift.sentence.startswith(
        "too few groups (data.group_by) to distinguish drift from chance: p cannot fall below 0.5"
    )


def test_a_group_on_both_sides_is_refused(photos: Path) -> None:
    apart = checked(photos, group_by=r"(site[a-z]+\d+)_")
    assert finding(apart, "groups").verdict == "pass"
    shared = finding(checked(photos, group_by=r"_(\d+)\.png"), "groups")
    assert (shared.verdict, shared.found) == ("refuse", 12)
    assert "6 groups in both training and validation" in shared.sentence


def test_darker_validation_images_are_drift_by_looks_alone(photos: Path) -> None:
    for path in (photos / "val").rglob("*.png"):
        with Image.open(path) as image:
            dark = Image.fromarray((np.asarray(image) * 0.5).astype(np.uint8))
        dark.save(path)
    drift = finding(checked(photos), "drift")
    assert drift.verdict == "warn"
    assert "looks: p 0.0002" in drift.sentence
    assert drift.numbers["val_brightness"] < 0.6 * drift.numbers["train_brightness"]
    assert {suspect.pictures[0].side for suspect in drift.suspects} == {"val"}


def test_skipped_files_are_told(photos: Path) -> None:
    (photos / "val" / "rough" / "torn.jpg").write_bytes(b"\xff\xd8 torn")
    files = finding(checked(photos), "files")
    assert (files.verdict, files.found) == ("warn", 1)
    assert "torn.jpg" in files.sentence


def test_a_second_run_does_not_decode_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checked(photos)
    monkeypatch.setattr("edgetl.checks.copies.duplicates.decode", None)
    assert checked(photos) == first


def test_damaged_prints_in_the_cache_are_made_again(photos: Path) -> None:
    first = checked(photos)
    (prints,) = (photos / "cache").glob("prints-*.kept")
    prints.write_bytes(b"damaged")
    assert checked(photos) == first


def test_at_most_max_images_of_each_side_are_compared(photos: Path) -> None:
    checks = checked(photos, max_images=10)
    assert (checks.shots_looked_at, checks.val_looked_at) == (10, 10)


def test_a_damaged_check_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    with pytest.raises(DataError, match=r"check\.json: cannot read"):
        read_checks(path)
    path.write_text(json.dumps({"schema": 1, "findings": 3, "shots": 1, "val": 1}))
    with pytest.raises(DataError, match=r"check\.json: not checks of schema 1: `findings`"):
        read_checks(path)


def test_a_contact_sheet_survives_pictures_that_are_gone_and_long_names(tmp_path: Path) -> None:
    raw = {
        "check": "labels",
        "verdict": "warn",
        "sentence": "one",
        "found": 300,
        "suspects": [
            {"pictures": [{"path": f"/gone/{'long' * 60}.png", "label": "ü" * 90}], "sentence": "word " * 80},
            {"pictures": [{"path": "/gone/a.png"}, {"path": "/gone/b.png"}], "sentence": "x" * 400},
        ],
    }
    assert write_sheet([Finding.model_validate(raw)], tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.height < 600
