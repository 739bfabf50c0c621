"""Every malformed file gets one line that names the file and the object."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from object_files import OBJECTS, coco, picture, pictures, voc_document, write_coco, write_csv, write_voc, write_yolo

from edgetl.data.annotations.find import read_annotations
from edgetl.errors import EdgetlError

Change = Callable[[dict[str, Any]], object]


def refused(path: Path, *words: str) -> None:
    with pytest.raises(EdgetlError) as caught:
        read_annotations(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    for word in words:
        assert word in message, message


def first(content: dict[str, Any], **changes: object) -> None:
    content["annotations"][0].update(changes)


COCO: dict[str, tuple[Change, tuple[str, ...]]] = {
    "no annotations": (lambda c: c.pop("annotations"), ("`annotations` is missing",)),
    "no categories": (lambda c: c.update(categories=[]), ("empty list `categories`",)),
    "no images": (lambda c: c.update(images=[], annotations=[]), ("empty list `images`",)),
    "images are no list": (lambda c: c.update(images={}), ("`images` is missing",)),
    "image id twice": (lambda c: c["images"][1].update(id=1), ("image 1: the id occurs twice",)),
    "image twice": (lambda c: c["images"][1].update(file_name="a.png"), ("image 2: `a.png` is listed twice",)),
    "image twice by another name": (lambda c: c["images"][1].update(file_name="./a.png"), ("image 2", "listed twice")),
    "missing image": (lambda c: c["images"][0].update(file_name="z.png"), ("no such image: `z.png` (image 1)",)),
    "no file name": (lambda c: c["images"][0].pop("file_name"), ("image 1: file_name", "found None")),
    "control characters": (lambda c: c["images"][0].update(file_name="a\u001b[2J"), ("image 1: file_name",)),
    "category id twice": (lambda c: c["categories"][1].update(id=1), ("category 1: the id occurs twice",)),
    "category name twice": (lambda c: c["categories"][1].update(name="cat"), ("category 2: the name `cat`",)),
    "category without name": (lambda c: c["categories"][0].update(name=3), ("category 1", "found 3")),
    "unknown category": (lambda c: first(c, category_id=9), ("annotation 1: category_id 9 is not in `categories`",)),
    "unknown image": (lambda c: first(c, image_id=99), ("annotation 1: image_id 99 is not in `images`",)),
    "no box": (lambda c: c["annotations"][0].pop("bbox"), ("annotation 1: bbox", "found None")),
    "three numbers": (lambda c: first(c, bbox=[1, 2, 3]), ("annotation 1: bbox", "found [1, 2, 3]")),
    "text in a box": (lambda c: first(c, bbox=[1, 2, "3", 4]), ("annotation 1: bbox", "found the text '3'")),
    "null in a box": (lambda c: first(c, bbox=[1, 2, None, 4]), ("annotation 1: bbox", "found None")),
    "true in a box": (lambda c: first(c, bbox=[1, 2, True, 4]), ("annotation 1: bbox", "found True")),
    "infinite box": (lambda c: first(c, bbox=[1, 2, 1e300, 4]), ("annotation 1: bbox", "found 1e+300")),
    "negative width": (lambda c: first(c, bbox=[9, 2, -3, 4]), ("annotation 1: bbox", "a width of -3")),
    "crowd of two": (lambda c: first(c, iscrowd=2), ("annotation 1: iscrowd: expected 0 or 1, found 2",)),
    "size as text": (lambda c: c["images"][0].update(width="40"), ("image 1: expected its width", "found '40'")),
    "annotation is a list": (lambda c: c["annotations"].insert(0, []), ("annotation at position 0", "found []")),
}  # fmt: skip


@pytest.mark.parametrize("name", COCO)
def test_coco(name: str, tmp_path: Path) -> None:
    change, words = COCO[name]
    content = coco()
    change(content)
    refused(write_coco(tmp_path, content), "train.json", *words)


JSON: dict[str, tuple[str, tuple[str, ...]]] = {
    "cut off": ('{"images": [', ("invalid JSON at line 1",)),
    "a list": ("[1, 2]", ("expected a COCO file",)),
    "deep": ("[" * 100_000, ("nested too deeply",)),
    "NaN": (json.dumps(coco()).replace("2, 3, 10, 10", "NaN, 3, 10, 10"), ("NaN is not JSON",)),
    "a key twice": (json.dumps(coco()).replace('"id": 1,', '"id": 1, "id": 2,', 1), ("the key `id` occurs twice",)),
    "a huge number": (json.dumps(coco()).replace("2, 3, 10, 10", "1e999, 3, 10, 10"), ("annotation 1: bbox", "inf")),
    "not UTF-8": ("\udcff", ("UTF-8",)),
    "empty": ("", ("it is an empty file",)),
    "a Git LFS pointer": ("version https://git-lfs.github.com/spec/v1\n", ("it is a Git LFS pointer",)),
}


@pytest.mark.parametrize("name", JSON)
def test_json(name: str, tmp_path: Path) -> None:
    text, words = JSON[name]
    path = write_coco(tmp_path)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(path, "train.json", *words)


CSV: dict[str, tuple[str, tuple[str, ...]]] = {
    "other columns": ("path,label\na.png,cat", ("line 1", "expected the header `path,x0,y0,x1,y1,label`")),
    "text": ("a.png,1,2,x,4,cat", ("line 2: x1", "found 'x'")),
    "not a number": ("a.png,1,2,nan,4,cat", ("line 2: x1", "found 'nan'")),
    "turned around": ("a.png,9,2,3,4,cat", ("line 2", "a width of -6")),
    "no class": ("a.png,1,2,3,4,", ("line 2: label",)),
    "too few cells": ("a.png,1,2,3", ("line 2: expected 6 cells, found 4",)),
    "no path": (",1,2,3,4,cat", ("line 2: path",)),
    "missing image": ("z.png,1,2,3,4,cat", ("no such image: `z.png` (line 2)",)),
    "a quote left open": ('"a.png,1,2,3,4,cat', ("not valid CSV",)),
    "nothing": ("", ("expected rows",)),
}


@pytest.mark.parametrize("name", CSV)
def test_csv(name: str, tmp_path: Path) -> None:
    text, words = CSV[name]
    header = "" if text.startswith("path") else "path,x0,y0,x1,y1,label\n"
    refused(write_csv(tmp_path, header + text), "objects.csv", *words)


LABELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "unknown class": ("2 .5 .5 .1 .1", ("expected the number of a class, 0 to 1; found '2'",)),
    "name of a class": ("cat .5 .5 .1 .1", ("found 'cat'",)),
    "four values": ("0 .5 .5 .1", ("found 4 values",)),
    "polygon": ("0 .1 .1 .2 .1 .2 .2", ("found 7 values; polygons are not read",)),
    "pixels": ("0 20 15 10 10", ("expected fractions", "found 20")),
    "not a number": ("0 nan .5 .1 .1", ("found 'nan'",)),
    "negative width": ("0 .5 .5 -.1 .1", ("found -0.1",)),
    "bytes": ("0 .5 \udcff .1 .1", ("UTF-8",)),
}


@pytest.mark.parametrize("name", LABELS)
def test_yolo_labels(name: str, tmp_path: Path) -> None:
    text, words = LABELS[name]
    path = write_yolo(tmp_path)
    (tmp_path / "labels" / "b.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(path, "b.txt", *words)


SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "no names": ("train: images\n", ("expected the keys `train` and `names`",)),
    "another count": ("train: images\nnc: 3\nnames: [cat, dog]\n", ("nc: expected the number of names, 2; found 3",)),
    "a name twice": ("train: images\nnames: [cat, cat]\n", ("`cat` occurs twice",)),
    "a gap": ("train: images\nnames: {0: cat, 2: dog}\n", ("expected the numbers 0 to 1",)),
    "no folder": ("train: pictures\nnames: [cat, dog]\n", ("train: no such folder", "pictures")),
    "twice": ("train: [images, images]\nnames: [cat, dog]\n", ("is listed twice",)),
    "a number": ("train: 3\nnames: [cat, dog]\n", ("train: expected a path, found 3",)),
    "not YAML": ("train: [\n", ("not valid YAML",)),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_yolo_settings(name: str, tmp_path: Path) -> None:
    text, words = SETTINGS[name]
    refused(write_yolo(tmp_path, text), "data.yaml", *words)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
A = voc_document("a", OBJECTS["a"])
XML: dict[str, tuple[str, tuple[str, ...]]] = {
    "cut off": ("<annotation><object>", ("invalid XML at line 1",)),
    "entities": (BOMB + "<annotation>&b;</annotation>", ("DOCTYPE",)),
    "deep": ("<a>" * 100_000, ("nested too deeply",)),
    "another root": ("<html><body/></html>", ("whose root is `annotation`; found `html`",)),
    "no box": (A.replace("bndbox", "polygon"), ("object 1: expected one `bndbox`, found none",)),
    "two boxes": (A.replace("<bndbox>", "<bndbox></bndbox><bndbox>", 1), ("object 1: expected one `bndbox`, found 2",)),
    "no corner": (A.replace("xmax", "xmaxx"), ("expected one `xmax` in `bndbox`, found none",)),
    "text": (A.replace("<xmin>2", "<xmin>two", 1), ("object 1: xmin", "found 'two'")),
    "not a number": (A.replace("<xmin>2", "<xmin>NaN", 1), ("object 1: xmin", "found 'NaN'")),
    "turned around": (A.replace("<xmin>20", "<xmin>39", 1), ("object 2", "a width of -1")),
    "no name": (A.replace("<name>dog</name>", ""), ("expected one `name` in `object`, found none",)),
    "empty name": (A.replace("<name>dog</name>", "<name> </name>"), ("expected a class name",)),
    "half difficult": (A.replace("<difficult>0", "<difficult>0.5", 1), ("object 1: difficult", "found '0.5'")),
    "size": (A.replace("<width>40", "<width>40.5", 1), ("size: expected whole numbers of pixels, found 40.5x30",)),
    "empty": ("", ("it is an empty file",)),
}  # fmt: skip


@pytest.mark.parametrize("name", XML)
def test_voc(name: str, tmp_path: Path) -> None:
    text, words = XML[name]
    root = write_voc(tmp_path)
    (root / "Annotations" / "a.xml").write_text(text)
    refused(root, "a.xml", *words)


def test_voc_images(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    (root / "Annotations" / "z.xml").write_text(voc_document("z", []))
    refused(root, "z.xml: no such image: expected `z` with the suffix of an image or `z.png`")
    (root / "Annotations" / "z.xml").write_text(voc_document("a", []))
    refused(root, "z.xml", "a.png is also the image of", "a.xml")
    (root / "Annotations" / "z.xml").unlink()
    picture(root / "JPEGImages" / "a.jpg")
    read_annotations(root)  # the file names one of the two
    (root / "Annotations" / "a.xml").write_text(voc_document("photo", []))
    refused(root, "a.xml: several images match: `a.jpg`, `a.png`")


def test_what_is_no_data_set(tmp_path: Path) -> None:
    refused(tmp_path / "none", "no such file or folder", "COCO", "YOLO", "VOC")
    refused(tmp_path, "found no annotations")
    pictures(tmp_path)
    refused(tmp_path / "a.png", "found a PNG")
    (tmp_path / "data.json").mkdir()
    refused(tmp_path / "data.json", "found no annotations")
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    refused(tmp_path, "expected `data.yaml` or `classes.txt`")
