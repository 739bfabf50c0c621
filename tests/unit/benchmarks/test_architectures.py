"""The architecture benchmark says what was measured and nothing about answers of random weights."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from architecture_cells import Built, Cell, Key, read_samples
from architectures import ARCHITECTURES, newest, result_of
from result_file import NOTHING

from edgetl.errors import EdgetlError
from edgetl.types import Interval

RATIO = Interval(1.71, 1.5, 1.9)
BUILT = Built("x86-cpu", {"float32": RATIO}, {"float32": 15.0, "int8": 9.0}, "int8 82", None, None)
CELL = Cell(Key("efficientnet_b0", "1"), 224, False, 160, (BUILT,), (0.5, 2.25), "", "a CPU")


def row(cell: Cell) -> list[str]:
    """The network's cells in the table of x86-cpu."""
    text = result_of([cell]).sections[1]
    (line,) = [line for line in text.splitlines() if cell.key.network in line]
    return [each.strip() for each in line.strip("|").split("|")]


def test_random_weights_are_marked_and_get_no_drop() -> None:
    assert row(CELL) == ["efficientnet_b0", "224", "random", "1.71 (1.50 to 1.90)", "9.00", "int8 82", NOTHING]


def test_pretrained_weights_get_their_drop() -> None:
    built = replace(BUILT, top1=0.8, drop_points=Interval(0.5, -1.0, 2.0))
    found = row(replace(CELL, pretrained=True, builds=(built,)))
    assert (found[2], found[-1]) == ("pretrained", "0.50 (-1.00 to 2.00)")


def test_the_load_is_said_and_a_refusal_is_listed_with_its_reason() -> None:
    refused = replace(CELL, key=Key("tv_vgg11", "1"), builds=(), refused="the exporter refused it")
    text = "\n".join(result_of([CELL, refused]).sections)
    assert "0.5 to 2.2" in text
    assert "- tv_vgg11: the exporter refused it" in text


def test_two_kinds_of_cpu_stand_side_by_side_and_a_later_cell_takes_the_place_of_an_earlier_one() -> None:
    other = replace(CELL, builds=(replace(BUILT, target="x86-avx2"),))
    later = replace(CELL, key=Key("efficientnet_b0", "2"))
    refused = replace(CELL, builds=(), refused="the exporter refused it")
    assert newest([CELL, refused, other, later]) == [later, other]
    assert newest([refused]) == [refused]


def test_labels_are_what_stands_before_the_first_underscore(tmp_path: Path) -> None:
    for index in range(10):
        (tmp_path / f"{7 * index:03d}_n0{index}_x.jpg").touch()
    assert [sample.label for sample in read_samples(tmp_path)] == [7 * index for index in range(10)]


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgetlError, match=r"expected pictures <class index>_<anything>\.jpg; found 0"):
        read_samples(tmp_path)


def test_every_kind_that_the_project_names_is_in_the_list_once() -> None:
    kinds = "alexnet vgg googlenet inception resnet densenet mobilenetv1 mobilenetv2 mobilenetv3 mobilenetv4 "
    kinds += "efficientnet_b0 efficientnet_lite0 regnet repvgg convnext vit deit swin squeezenet shufflenet"
    assert [kind for kind in kinds.split() if not any(kind in name for name in ARCHITECTURES)] == []
    assert len(set(ARCHITECTURES)) == len(ARCHITECTURES)
