"""The checks on real pictures: what is planted is found, six public sets as they are raise next to nothing."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from small_runs import small_run

from edgetl.backbones.weights import locate
from edgetl.checks.check import check_images
from edgetl.checks.model import Checks, Finding, read_checks
from edgetl.data.scan import scan
from edgetl.data.split import make_split
from edgetl.recipes.data import Data
from edgetl.recipes.recipe import Backbone

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SETS = ("neu_steel", "rsscn7", "trash", "hymenoptera", "brain_mri", "sign_digits")
BACKBONE = Backbone(name="mobilenetv2_100")
VAL = 120

Rows = list[tuple[str, str]]  # path, label


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def rows(folder: Path) -> Rows:
    listing = scan(folder)
    return [(path, listing.classes[label]) for path, label in listing.files]


def write_list(path: Path, content: Sequence[tuple[str, str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("path", "label"), *content])
    return str(path)


def check(folder: Path, shared: Path, cache: Path, train: Rows, val: Rows, limit: int | None = VAL) -> Checks:
    data = Data(
        train=write_list(folder / "train.csv", train),
        val=write_list(folder / "val.csv", val),
        shots=10,
        max_val_images=limit,
    )
    split = make_split(data, folder)
    run = small_run(split, folder, data=data, backbone=BACKBONE, gates={"max_drop_points": None})
    (out := folder / "out").mkdir()
    # features of the same images are computed once for all tests
    (folder / "cache").symlink_to(cache, target_is_directory=True)
    check_images(run, locate(BACKBONE, folder, [shared / "weights"]), "", out)
    return read_checks(out / "check.json")


def finding(checks: Checks, name: str) -> Finding:
    (found,) = [each for each in checks.findings if each.check == name]
    return found


@pytest.mark.parametrize("name", SETS)
def test_public_sets_as_they_are_raise_next_to_nothing(name: str, shared: Path, cache: Path, tmp_path: Path) -> None:
    folder = shared / "data" / name
    checks = check(tmp_path, shared, cache, rows(folder / "train"), rows(folder / "val"))
    assert finding(checks, "drift").verdict == "pass"
    assert finding(checks, "labels").found <= 2
    assert finding(checks, "neighbours").found <= 1
    # brain_mri has copies across its published split: looked at, they are the same slices
    assert (finding(checks, "copies").verdict == "refuse") <= (name == "brain_mri")
    assert finding(checks, "contradictions").verdict == "pass"


@pytest.mark.parametrize(
    ("name", "right", "wrong"), [("neu_steel", "patches", "scratches"), ("hymenoptera", "ants", "bees")]
)
def test_a_planted_wrong_label_is_found(
    name: str, right: str, wrong: str, shared: Path, cache: Path, tmp_path: Path
) -> None:
    folder = shared / "data" / name
    val = rows(folder / "val")
    planted = next(path for path, label in val if label == right)
    moved = [(path, wrong if path == planted else label) for path, label in val]
    labels = finding(check(tmp_path, shared, cache, rows(folder / "train"), moved, None), "labels")
    suspects = {suspect.pictures[0].path: suspect.sentence for suspect in labels.suspects}
    assert f"looks like `{right}`" in suspects[planted]
    assert len(suspects) <= 3


@pytest.mark.parametrize("name", ["hymenoptera", "trash"])
def test_a_crop_of_a_training_image_among_those_that_measure_is_found(
    name: str, shared: Path, cache: Path, tmp_path: Path
) -> None:
    folder = shared / "data" / name
    train, val = rows(folder / "train"), rows(folder / "val")
    clean = make_split(Data(train=write_list(tmp_path / "all.csv", train), val=str(folder / "val"), shots=10), tmp_path)
    shot = clean.shots[0]
    planted = tmp_path / "crop.jpg"
    with Image.open(shot.path) as image:
        width, height = image.size
        box = (round(0.08 * width), round(0.08 * height), round(0.92 * width), round(0.92 * height))
        image.convert("RGB").crop(box).save(planted, quality=85)
    checks = check(tmp_path, shared, cache, train, [*val, (str(planted), clean.classes[shot.label])], None)
    pairs = [
        {picture.path for picture in suspect.pictures}
        for name in ("copies", "neighbours")
        for suspect in finding(checks, name).suspects
    ]
    assert {shot.path, str(planted)} in pairs


@pytest.mark.parametrize("name", ["neu_steel", "trash"])
def test_a_lens_out_of_focus_is_drift(name: str, shared: Path, cache: Path, tmp_path: Path) -> None:
    folder = shared / "data" / name
    blurred: Rows = []
    for number, (path, label) in enumerate(rows(folder / "val")[::3]):
        with Image.open(path) as image:
            soft = image.convert("RGB").filter(ImageFilter.GaussianBlur(image.width / 100))
        soft.save(tmp_path / f"{number}.png")
        blurred.append((str(tmp_path / f"{number}.png"), label))
    drift = finding(check(tmp_path, shared, cache, rows(folder / "train"), blurred), "drift")
    assert drift.verdict == "warn"
    assert drift.numbers["features_p_value"] <= 0.0005
