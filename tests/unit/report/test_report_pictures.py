from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgetl.report.pictures import choose_pictures, data_uri
from edgetl.types import Sample

CLASSES = ("a", "b", "c")


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    labels = [0, 0, 1, 1, 2]
    for index in range(len(labels)):
        Image.fromarray(np.full((200, 300, 3), 40 * index, np.uint8)).save(tmp_path / f"{index}.png")
    return [Sample(str(tmp_path / f"{index}.png"), label, "") for index, label in enumerate(labels)]


def logits(answers: list[int], strength: list[float]) -> NDArray[np.float32]:
    return np.asarray(np.eye(3)[answers] * np.array(strength)[:, None], dtype=np.float32)


def test_changed_wrong_and_right_pictures_are_told_apart(samples: list[Sample]) -> None:
    ours = logits([0, 1, 1, 2, 2], [5, 4, 3, 6, 2])
    floats = logits([0, 0, 1, 2, 2], [5, 5, 5, 5, 5])
    changed, wrong, right = choose_pictures(samples, CLASSES, ours, floats)
    assert [(shown.file, shown.truth, shown.answer, shown.float_answer) for shown in changed.pictures] == [
        ("1.png", "a", "b", "a")
    ]
    assert [(shown.file, shown.truth, shown.answer, shown.right) for shown in wrong.pictures] == [
        ("3.png", "b", "c", False)
    ]
    assert [shown.file for shown in right.pictures] == ["0.png", "2.png", "4.png"]


def test_the_most_certain_mistake_comes_first_and_its_certainty_is_the_softmax(samples: list[Sample]) -> None:
    ours = logits([1, 1, 0, 0, 0], [1, 2, 5, 4, 3])
    _, wrong, _ = choose_pictures(samples, CLASSES, ours, ours, per_group=2)
    assert wrong.found == 5
    assert [shown.file for shown in wrong.pictures] == ["2.png", "3.png"]
    assert wrong.pictures[0].probability == pytest.approx(np.exp(5) / (np.exp(5) + 2))


def test_right_pictures_take_classes_in_turn(samples: list[Sample]) -> None:
    ours = logits([0, 0, 1, 1, 2], [5] * 5)
    _, _, right = choose_pictures(samples, CLASSES, ours, ours, per_group=4)
    assert [shown.truth for shown in right.pictures] == ["a", "b", "c", "a"]


def test_nan_logits_are_no_answer(samples: list[Sample]) -> None:
    ours = logits([0, 0, 1, 1, 2], [5] * 5)
    ours[0] = np.nan
    changed, _, _ = choose_pictures(samples, CLASSES, ours, logits([0, 0, 1, 1, 2], [5] * 5))
    assert (changed.pictures[0].answer, changed.pictures[0].probability) == ("no finite answer", 0.0)


def test_a_picture_is_a_small_jpeg_inside_the_page(samples: list[Sample]) -> None:
    head, _, body = data_uri(Path(samples[0].path), side=64).partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as picture:
        assert picture.size == (64, 43)


def test_a_file_that_went_away_leaves_no_picture(tmp_path: Path) -> None:
    assert data_uri(tmp_path / "absent.png") == ""
