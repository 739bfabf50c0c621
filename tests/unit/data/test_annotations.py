"""All formats of annotations are read into the same boxes, in the layouts that tools write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from object_files import (
    CLASSES,
    HEIGHT,
    OBJECTS,
    WIDTH,
    coco,
    picture,
    pictures,
    voc_document,
    write_coco,
    write_csv,
    write_voc,
    write_yolo,
    yolo_line,
)

from edgetl.data.annotations.find import read_annotations
from edgetl.data.annotations.model import Annotated
from edgetl.data.annotations.place import place
from edgetl.errors import DataError
from edgetl.fronts.image.examine import Seen, examine
from edgetl.types import Box, Boxes


def boxes(found: Annotated) -> dict[str, Boxes]:
    seen = {image.path: examine(Path(image.path)) for image in found.images}
    return {Path(i.path).stem: place(i, found.unit, found.classes, seen[i.path]).boxes for i in found.images}


def expected() -> dict[str, list[tuple[float, ...]]]:
    return {name: [(*each[:4], CLASSES.index(each[4])) for each in listed] for name, listed in OBJECTS.items()}


def same_as_written(found: Annotated) -> bool:
    read = {
        name: [tuple(round(value, 9) for value in (box.x0, box.y0, box.x1, box.y1, box.label)) for box in listed]
        for name, listed in boxes(found).items()
    }
    return found.classes == CLASSES and read == expected()


@pytest.mark.parametrize("write", [write_coco, write_csv, write_yolo, write_voc])
def test_every_format_gives_the_same_boxes(write: Callable[[Path], Path], tmp_path: Path) -> None:
    assert same_as_written(read_annotations(write(tmp_path)))


@pytest.mark.parametrize("write", [write_csv, write_yolo, write_voc])
def test_a_folder_is_recognized_by_its_layout(write: Callable[[Path], Path], tmp_path: Path) -> None:
    write(tmp_path)
    assert same_as_written(read_annotations(tmp_path))


@pytest.mark.parametrize("images", ["annotations", "train", "images/train", "images", "."])
def test_images_of_a_coco_file_lie_beside_it_or_in_a_folder_of_its_name(images: str, tmp_path: Path) -> None:
    pictures(tmp_path / images)
    path = tmp_path / "annotations" / "instances_train.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(coco()))
    assert same_as_written(read_annotations(path))


def test_images_are_looked_up_by_the_last_parts_of_their_names(tmp_path: Path) -> None:
    content = coco()
    for image in content["images"]:
        image["file_name"] = "C:\\work\\photos\\" + image["file_name"]
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content))
    pictures(tmp_path / "elsewhere" / "photos")
    with pytest.raises(DataError, match=r"no such image.*Windows path.*data\.images"):
        read_annotations(path)
    assert same_as_written(read_annotations(path, images=tmp_path / "elsewhere"))


def test_a_folder_with_one_coco_file_is_read_and_other_json_is_not_taken_for_one(tmp_path: Path) -> None:
    write_coco(tmp_path)
    (tmp_path / "dataset.json").write_text('{"classes": ["cat"], "source": "somewhere"}')
    assert same_as_written(read_annotations(tmp_path))


def test_crowds_and_difficult_objects_are_ignored_regions(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][0]["segmentation"] = {"counts": [1, 2], "size": [30, 40]}
    assert [box.ignore for box in boxes(read_annotations(write_coco(tmp_path / "coco", content)))["a"]] == [True, False]
    root = write_voc(tmp_path / "voc")
    path = root / "Annotations" / "a.xml"
    flagged = (
        path.read_text()
        .replace("<difficult>0", "<difficult>1<x/>", 1)
        .replace("<name>dog</name>", "<name>dog</name><truncated>1</truncated>")
    )
    path.write_text(flagged)
    found = read_annotations(root)
    assert [box.ignore for box in boxes(found)["a"]] == [True, False]
    assert found.objects() == (0, 2)


def test_the_categories_of_a_coco_file_are_classes_in_the_order_of_their_ids(tmp_path: Path) -> None:
    content = coco()
    content["categories"] = [{"id": 7, "name": "owl"}, {"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}]
    assert read_annotations(write_coco(tmp_path, content)).classes == ("cat", "dog", "owl")


def test_a_category_that_is_only_the_parent_of_others_is_no_class(tmp_path: Path) -> None:
    content = coco()
    for category in content["categories"]:
        category["supercategory"] = "animals"
    content["categories"].append({"id": 0, "name": "animals", "supercategory": "none"})
    found = read_annotations(write_coco(tmp_path, content))
    assert found.classes == CLASSES
    assert "`animals` is only the parent" in found.notes[0]


def test_the_parts_of_a_yolo_data_set_are_read_from_its_settings(tmp_path: Path) -> None:
    write_yolo(tmp_path, "path: .\ntrain: ../train/images\nval: valid/images\nnc: 2\nnames: {0: cat, 1: dog}\n")
    shutil.copytree(tmp_path / "images", tmp_path / "train" / "images")
    shutil.copytree(tmp_path / "labels", tmp_path / "train" / "labels")
    picture(tmp_path / "valid" / "images" / "v.png")
    (tmp_path / "valid" / "labels").mkdir()
    (tmp_path / "valid" / "labels" / "v.txt").write_text(yolo_line((0, 0, 4, 3, "dog")))
    train = read_annotations(tmp_path / "data.yaml", part="train")
    assert same_as_written(train)
    assert train.measures
    val = read_annotations(tmp_path / "data.yaml", part="val")
    assert list(boxes(val)) == ["v"]
    # one part of it, whose classes are in the settings of the folder above
    assert same_as_written(read_annotations(tmp_path / "train"))


def test_an_image_without_a_file_of_labels_shows_background_and_labels_without_an_image_are_skipped(
    tmp_path: Path,
) -> None:
    path = write_yolo(tmp_path)
    (tmp_path / "labels" / "c.txt").unlink()
    (tmp_path / "labels" / "gone.txt").write_text("0 0.5 0.5 0.1 0.1")
    (tmp_path / "labels" / "classes.txt").write_text("cat\ndog\n")
    found = read_annotations(path)
    assert same_as_written(found)
    assert found.notes == ("1 of 3 images have no file of labels: taken as background",)
    assert [(Path(each.path).name, each.reason) for each in found.skipped] == [("gone.txt", "labels without an image")]


def test_a_list_of_images_may_be_a_part_of_a_yolo_data_set(tmp_path: Path) -> None:
    path = write_yolo(tmp_path, "train: train.txt\nnames: [cat, dog]\n")
    (tmp_path / "train.txt").write_text("images/a.png\n./images/b.png\n")
    assert list(boxes(read_annotations(path))) == ["a", "b"]


def test_xml_files_may_lie_beside_their_images_and_name_others(tmp_path: Path) -> None:
    pictures(tmp_path)
    for name, listed in OBJECTS.items():
        (tmp_path / f"{name}.xml").write_text(voc_document("IMG_0001", listed))
    picture(tmp_path / "unlabeled.png", 77)
    found = read_annotations(tmp_path)
    assert same_as_written(found)
    assert [(Path(each.path).name, each.reason) for each in found.skipped] == [("unlabeled.png", "no annotation file")]


def test_lists_of_names_make_the_parts_of_pascal_voc(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    sets = root / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\n")
    (sets / "val.txt").write_text("b\nc\n")
    train, val = (read_annotations(root, part=part) for part in ("train", "val"))
    assert (list(boxes(train)), list(boxes(val)), train.measures) == (["a"], ["b", "c"], True)


def test_more_than_one_format_in_a_folder_is_a_question(tmp_path: Path) -> None:
    write_csv(tmp_path)
    write_coco(tmp_path)
    with pytest.raises(DataError, match=r"contains `objects.csv`, `train.json`; name one of them as data.train"):
        read_annotations(tmp_path)


SIZE = Seen(HEIGHT, WIDTH)


def placed(x0: float, y0: float, x1: float, y1: float, *, twice: bool = False) -> tuple[Boxes, tuple[str, ...]]:
    from edgetl.data.annotations.model import Annotation, Mark

    marks = (Mark("line 3", (x0, y0, x1, y1), 0),) * (2 if twice else 1)
    found = place(Annotation("a.png", "a.txt", marks), "pixels", CLASSES, SIZE)
    return found.boxes, found.remarks


def test_a_box_partly_outside_is_clipped_and_named() -> None:
    assert placed(-5, 2, 10, 90) == (
        (Box(0, 2, 10, HEIGHT, 0),),
        ("line 3 (`cat`) lies partly outside of the image; clipped",),
    )


def test_a_box_that_leaves_the_image_by_rounding_is_clipped_without_a_word() -> None:
    assert placed(-0.5, 2, WIDTH + 1, 9) == ((Box(0, 2, WIDTH, 9, 0),), ())


def test_boxes_outside_and_boxes_without_area_are_left_out_and_named() -> None:
    assert placed(50, 2, 60, 9) == ((), ("line 3 (`cat`) lies outside of the image of 40x30 pixels; left out",))
    assert placed(5, 2, 5, 9) == ((), ("line 3 (`cat`) has no area; left out",))


def test_a_box_that_is_listed_twice_is_used_once() -> None:
    assert placed(1, 2, 5, 9, twice=True) == ((Box(1, 2, 5, 9, 0),), ("line 3 (`cat`) is listed again; used once",))


def test_a_gray_image_has_boxes_like_any_other(tmp_path: Path) -> None:
    from PIL import Image

    path = write_coco(tmp_path)
    Image.open(tmp_path / "train" / "a.png").convert("L").save(tmp_path / "train" / "a.png")
    assert same_as_written(read_annotations(path))


def test_boxes_belong_to_the_upright_image(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    picture(tmp_path / "train" / "a.png", width=HEIGHT, height=WIDTH, exif=6)  # upright it is WIDTH x HEIGHT
    assert same_as_written(read_annotations(path))
    picture(tmp_path / "train" / "a.png", exif=6)
    found = read_annotations(path)
    turned = "states a size of 40x30 pixels for .*a.png, which has 30x40; its boxes belong to the image before it is"
    with pytest.raises(DataError, match=turned):
        boxes(found)


def test_another_size_than_stated_is_refused(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    picture(root / "JPEGImages" / "b.png", width=41)
    with pytest.raises(DataError, match=r"b.xml: states a size of 40x30 pixels for .*b.png, which has 41x30; boxes"):
        boxes(read_annotations(root))


def test_a_size_of_zero_is_no_size(tmp_path: Path) -> None:
    content = coco()
    content["images"][0]["width"] = 0
    assert same_as_written(read_annotations(write_coco(tmp_path, content)))
