"""Boxes that look wrong are found, and ordinary ones are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.checks import objects
from edgetl.checks.model import Finding
from edgetl.checks.object_drift import object_drift
from edgetl.checks.objects import objects_of
from edgetl.checks.sheet import write_sheet
from edgetl.checks.subject import Subject, whole
from edgetl.types import Box, Boxes, Remark, Sample, Split

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "a.png"
    Image.new("RGB", (WIDTH, HEIGHT), "#808080").save(path)
    return path


def split(image: Path, shots: list[Boxes], val: list[Boxes] | None = None) -> Split:
    sides = [tuple(Sample(str(image), boxes, "") for boxes in side) for side in (shots, val or [])]
    return Split(("cat", "dog"), sides[0], sides[1], (), "squash", "", "")


def ordinary(count: int, *, label: int = 0, scale: float = 1.0, seed: int = 0) -> list[Boxes]:
    """One object in each image, of sides that vary by a factor of two."""
    generator = np.random.default_rng(seed)
    sides = scale * np.exp(generator.uniform(np.log(20), np.log(40), (count, 2)))
    return [(Box(5, 5, 5 + float(w), 5 + float(h), label),) for w, h in sides]


def outliers(found: Split) -> Finding:
    subject = whole(found)
    return objects.outliers(subject, objects_of(subject))


def test_boxes_of_ordinary_sizes_are_no_outliers(image: Path) -> None:
    assert outliers(split(image, ordinary(60))).verdict == "pass"


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (Box(0, 0, 3, 3, 0), "its sides are 1/9"),
        (Box(0, 0, 150, 118, 0), "its sides are 4"),
        (Box(0, 0, 100, 6, 0), "its width over height is 1"),
    ],
)
def test_a_box_of_unusual_size_or_shape_is_one(image: Path, box: Box, words: str) -> None:
    found = outliers(split(image, [*ordinary(30, seed=1), (box,)]))
    assert (found.verdict, found.found) == ("warn", 1)
    assert words in found.suspects[0].sentence
    assert found.suspects[0].pictures[0].boxes[0].corners == (box.x0, box.y0, box.x1, box.y1)


def test_every_class_has_sizes_of_its_own_and_few_objects_are_not_compared(image: Path) -> None:
    large = ordinary(20, label=1, scale=0.2)
    assert outliers(split(image, [*ordinary(20), *large])).verdict == "pass"
    assert outliers(split(image, [*ordinary(8), (Box(0, 0, 2, 2, 0),)])).verdict == "pass"


def test_two_boxes_on_one_object_are_found_by_class(image: Path) -> None:
    first, moved, other = Box(10, 10, 50, 50, 0), Box(10, 11, 50, 51, 0), Box(11, 10, 50, 50, 1)
    one, two = objects.doubles(whole(split(image, [(first, moved), (first, replace(other, x0=30)), (moved, other)])))
    assert (one.found, one.suspects[0].sentence) == (1, "`cat` and `cat` overlap by 95 %")
    assert two.found == 1
    assert [box.label for box in two.suspects[0].pictures[0].boxes] == ["cat", "dog"]
    ignored = replace(moved, ignore=True)
    assert objects.doubles(whole(split(image, [(first, ignored)])))[0].verdict == "pass"


def test_objects_that_are_small_at_the_input_size_are_counted(image: Path) -> None:
    subject = whole(split(image, [*ordinary(20), (Box(0, 0, 7, 30, 0),), (Box(0, 0, 7, 30, 0, ignore=True),)]))
    found = objects_of(subject)
    at_size = objects.tiny(subject, found, (HEIGHT, WIDTH), "squash")
    assert (at_size.verdict, at_size.found) == ("warn", 1)
    assert "1 of 21 objects have a side of less than 8 pixels at 160x120 pixels" in at_size.sentence
    assert objects.tiny(subject, found, (2 * HEIGHT, 2 * WIDTH), "squash").verdict == "pass"


def test_a_letterbox_is_counted_as_it_is(image: Path) -> None:
    subject = whole(split(image, [(Box(0, 0, 30, 10, 0),)]))
    found = objects_of(subject)
    assert objects.tiny(subject, found, (120, 160), "squash").verdict == "pass"
    assert objects.tiny(subject, found, (240, 80), "letterbox").suspects[0].sentence == "`cat`: 5.0 pixels"


def test_balance_counts_objects_of_each_class(image: Path) -> None:
    even = split(image, ordinary(12) + ordinary(12, label=1), ordinary(12) + ordinary(12, label=1) + [()])
    assert objects.balance(even, 10).verdict == "pass"
    assert "24 training and 24 validation objects; 0 and 1 images without objects" in objects.balance(even, 10).sentence
    rare = split(image, ordinary(50) + ordinary(3, label=1), ordinary(12))
    found = objects.balance(rare, 5)
    assert "unbalanced training objects: 50 of `cat`, 3 of `dog`" in found.sentence
    assert "fewer than 5 training objects: `dog` has 3" in found.sentence
    assert "fewer than 10 validation objects: `dog` has 0" in found.sentence


def test_the_precision_of_a_drop_depends_on_the_images(image: Path) -> None:
    few, many = (objects.precision(split(image, ordinary(1), ordinary(count)), 1.0) for count in (25, 100))
    assert (few.verdict, many.verdict) == ("warn", "pass")
    assert "25 validation images with 25 objects determine a drop of AP to within roughly 1.5 points" in few.sentence
    assert few.remedy == "use about 57 validation images, or set a wider gate"
    assert objects.precision(split(image, ordinary(1), ordinary(25)), None).verdict == "pass"
    assert objects.precision(split(image, ordinary(1), ordinary(25)), 0.0).remedy == "set a wider gate"


def drifted(found: Split, *, counts: bool = True, groups: list[str] | None = None) -> Finding:
    subject = whole(found)
    return object_drift(subject, objects_of(subject), counts=counts, groups=groups, seed=0)


def test_objects_of_another_size_are_drift(image: Path) -> None:
    same = split(image, ordinary(40), ordinary(40, seed=5))
    assert drifted(same).verdict == "pass"
    larger = drifted(split(image, ordinary(40), ordinary(40, scale=1.6, seed=5)))
    assert larger.verdict == "warn"
    assert "sides of `cat`: 1.6" in larger.sentence


def test_a_change_that_is_not_beyond_chance_is_no_drift(image: Path) -> None:
    assert drifted(split(image, ordinary(6), ordinary(6, scale=1.3, seed=5))).verdict == "pass"
    assert drifted(split(image, ordinary(3), ordinary(30))).verdict == "not checked"


def test_objects_of_one_group_count_as_one(image: Path) -> None:
    found = split(image, ordinary(40), ordinary(40, scale=1.6, seed=5))
    groups = [f"video{index // 20}" for index in range(80)]
    assert drifted(found, groups=groups).verdict == "pass"


def test_more_objects_in_each_image_are_drift_if_all_images_are_used(image: Path) -> None:
    one = ordinary(60)
    three = [(*boxes, Box(60, 5, 90, 35, 0), Box(60, 40, 85, 70, 0)) for boxes in ordinary(60, seed=5)]
    found = split(image, one, three)
    assert "objects per image: 3.0" in drifted(found).sentence
    assert "objects per image" not in drifted(found, counts=False).sentence


def test_objects_that_were_left_out_are_a_finding(image: Path) -> None:
    subject = whole(split(image, ordinary(2)))
    assert objects.boxes(subject, ()).verdict == "pass"
    found = objects.boxes(subject, [Remark(str(image), "line 3 (`cat`) has no area; left out")])
    assert found.sentence == "1 object clipped, repeated or left out: a.png: line 3 (`cat`) has no area; left out"


def test_boxes_are_drawn_on_the_contact_sheet(image: Path, tmp_path: Path) -> None:
    subject: Subject = whole(split(image, [(Box(40, 30, 120, 90, 0),)]))
    examples = objects.examples(subject)
    assert examples[0].sentence == "1 cat"
    assert write_sheet([], tmp_path / "sheet.jpg", examples)
    drawn = np.asarray(Image.open(tmp_path / "sheet.jpg")).astype(int)
    colored = (drawn.max(axis=2) - drawn.min(axis=2)) > 60
    rows = np.flatnonzero(colored[40:].any(axis=1)) + 40
    assert rows[-1] - rows[0] == pytest.approx(60, abs=3)
    assert not write_sheet([], tmp_path / "none.jpg")
