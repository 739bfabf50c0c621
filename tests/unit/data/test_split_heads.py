"""Tables with several columns of labels: every class of every head gets its shots, and an empty cell counts nowhere."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgetl.data.fingerprint import fingerprint
from edgetl.data.head_sources import read_labeled
from edgetl.data.split import keep_split, read_split
from edgetl.data.split_heads import make_head_split, of_head
from edgetl.errors import DataError, UsageError
from edgetl.recipes.data import Columns, Data
from edgetl.types import Sample, Silent, Split

KINDS, STATES = ("bolt", "nut", "gear"), ("new", "worn")


def parts(folder: Path, rows: Iterable[Sequence[str]], header: str = "image,kind,state") -> Path:
    """A list of images of one pixel each, all different, beside them."""
    listed = folder / "parts.csv"
    with listed.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        for number, row in enumerate(rows):
            Image.fromarray(np.full((2, 2, 3), number, np.uint8)).save(folder / row[0])
            writer.writerow(row)
    return listed


def usual(count: int = 48) -> list[tuple[str, str, str]]:
    """Each kind in turn, of both states; every fourth has no state."""
    return [(f"{n}.png", KINDS[n % 3], "" if n % 4 == 3 else STATES[n // 3 % 2]) for n in range(count)]


def split(folder: Path, **settings: Any) -> Split:
    data = Data(train="parts.csv", labels=("kind", "state"), **{"shots": 3, **settings})
    return make_head_split(data, folder, Silent())


def per_class(samples: Iterable[Sample], found: Split) -> Counter[str]:
    return Counter(
        found.classes[label]
        for sample in samples
        if isinstance(sample.truth, tuple)
        for label in sample.truth
        if isinstance(label, int)
    )


def names(samples: Iterable[Sample]) -> list[str]:
    return [Path(sample.path).name for sample in samples]


def test_every_class_of_every_head_has_its_shots_and_examples_to_validate_on(tmp_path: Path) -> None:
    parts(tmp_path, usual())
    found = split(tmp_path)
    assert found.classes == ("kind/bolt", "kind/gear", "kind/nut", "state/new", "state/worn")
    assert [(head.name, head.first, head.classes) for head in found.heads] == [
        ("kind", 0, ("bolt", "gear", "nut")),
        ("state", 3, STATES),
    ]
    assert min(per_class(found.shots, found).values()) == 3
    assert min(per_class(found.val, found).values()) >= 1
    assert not set(names(found.shots)) & set(names(found.val))
    assert len(found.shots) + len(found.val) == 48


def test_an_example_counts_for_each_head_that_it_is_labeled_for(tmp_path: Path) -> None:
    parts(tmp_path, usual())
    shots = split(tmp_path).shots
    assert len(shots) < 5 * 3  # fewer than each class would need on its own


def test_fewer_shots_are_the_beginning_of_more(tmp_path: Path) -> None:
    parts(tmp_path, usual())
    few, many = (names(split(tmp_path, shots=count).shots) for count in (2, 5))
    assert many[: len(few)] == few


def test_a_head_sees_only_what_is_labeled_for_it(tmp_path: Path) -> None:
    parts(tmp_path, usual())
    found = split(tmp_path)
    state = of_head(found, found.heads[1])
    assert state.classes == STATES
    assert len(state.shots) + len(state.val) == 36
    rows = {name: text for name, _, text in usual()}
    assert all(rows[Path(sample.path).name] == STATES[sample.label] for sample in (*state.shots, *state.val))


def test_groups_with_a_shot_give_no_validation_image(tmp_path: Path) -> None:
    rows = [(f"g{n // 6}_{n}.png", KINDS[n % 3], STATES[n // 3 % 2]) for n in range(48)]
    parts(tmp_path, rows)
    found = split(tmp_path, group_by="g[0-9]+")
    groups = [{name.partition("_")[0] for name in names(part)} for part in (found.shots, found.val)]
    assert not groups[0] & groups[1]
    assert all(groups)


def test_a_column_of_parts_says_what_is_for_validation(tmp_path: Path) -> None:
    rows = [(*row, "val" if number % 2 else "train") for number, row in enumerate(usual())]
    parts(tmp_path, rows, "image,kind,state,split")
    assert all(int(name.partition(".")[0]) % 2 for name in names(split(tmp_path).val))


def test_a_limit_of_validation_images_keeps_every_class_of_every_head(tmp_path: Path) -> None:
    parts(tmp_path, usual())
    found = split(tmp_path, max_val_images=6)
    assert len(found.val) == 6
    assert len(per_class(found.val, found)) == 5
    with pytest.raises(UsageError, match="at least one for each of 5 classes, found 4"):
        split(tmp_path, max_val_images=4)


def test_a_written_split_is_read_as_it_was(tmp_path: Path) -> None:
    parts(tmp_path, usual())
    found = split(tmp_path)
    keep_split(found, tmp_path, Silent())
    assert read_split(tmp_path / "split.json") == found


def test_equal_images_under_two_kinds_are_used_in_neither(tmp_path: Path) -> None:
    parts(tmp_path, usual())
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes())  # a nut that is a bolt
    found = split(tmp_path)
    assert [sorted(Path(path).name for path in conflict.paths) for conflict in found.conflicts] == [["0.png", "1.png"]]
    assert not {"0.png", "1.png"} & {*names(found.shots), *names(found.val)}


def test_another_label_is_another_data_set(tmp_path: Path) -> None:
    data = Data(train="parts.csv", labels=("kind", "state"))
    parts(tmp_path, usual())
    before = fingerprint(data, tmp_path)
    parts(tmp_path, [*usual()[:-1], ("47.png", "gear", "new")])
    assert fingerprint(data, tmp_path) != before


def test_too_few_of_one_head_are_named_with_the_class(tmp_path: Path) -> None:
    rows = [(name, kind, "" if state == "worn" and int(name[:-4]) > 12 else state) for name, kind, state in usual()]
    parts(tmp_path, rows)
    with pytest.raises(DataError, match="`state/worn` has 4 usable images; wanted 9 of every class of every head"):
        split(tmp_path, shots=9)
    with pytest.raises(DataError, match=r"every head \(for validation, neither a shot nor of the group of one\)"):
        split(tmp_path, shots=4)


def test_columns_by_other_names_are_named_in_the_recipe(tmp_path: Path) -> None:
    parts(tmp_path, usual(), "where it lies,kind,state")
    with pytest.raises(DataError, match=r"which column has the images is not clear.*data.columns: \{path: ...\}"):
        split(tmp_path)
    assert len(split(tmp_path, columns=Columns(path="where it lies")).shots) > 5


def test_a_folder_has_no_columns(tmp_path: Path) -> None:
    parts(tmp_path, usual())
    with pytest.raises(DataError, match="expected a list or table with a column of labels for each head, found a fold"):
        make_head_split(Data(train=".", labels=("kind", "state")), tmp_path, Silent())


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    parts(tmp_path, usual(), "image,kind,condition")
    with pytest.raises(DataError, match="`state` is not a column; found `image`, `kind`, `condition`"):
        split(tmp_path)


def test_new_examples_are_read_for_known_heads(tmp_path: Path) -> None:
    listed = parts(tmp_path, usual())
    heads = split(tmp_path).heads
    parts(tmp_path, [("0.png", "gear"), ("1.png", ""), ("2.png", "nut")], "image,kind")
    found = read_labeled(listed, heads, "image")
    assert {Path(path).name: truth for path, truth in found.truths.items()} == {"0.png": (1,), "2.png": (2,)}
    parts(tmp_path, [("0.png", "screw"), ("1.png", "nut")], "image,kind")
    with pytest.raises(DataError, match="`screw` is not a class of `kind`, which has `bolt`, `gear`, `nut`"):
        read_labeled(listed, heads, "image")
