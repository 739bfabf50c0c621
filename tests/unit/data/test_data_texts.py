"""Texts of tables and folders are listed, drawn and refused by the rules of images; a place names each row."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from small_runs import small_run

from edgetl.data.fingerprint import fingerprint
from edgetl.data.split import SPLIT_FILE, keep_split, make_split, read_split
from edgetl.errors import DataError, EdgetlError, UsageError
from edgetl.fronts.text.read import read_example
from edgetl.fronts.views import augment_of
from edgetl.recipes.data import Data
from edgetl.types import Silent, Split


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def reviews(count: int = 6) -> list[dict[str, Any]]:
    """Different sentences under two labels in turn, of three authors."""
    return [
        {"label": ("bad", "good")[at % 2], "text": f"sentence number {at}", "author": f"author {at % 3}"}
        for at in range(count)
    ]


def split(root: Path, train: str = "a.jsonl", **settings: Any) -> Split:
    data = Data.model_validate({"train": train, "shots": 2, **settings})
    return make_split(data, root, front="text")


def test_rows_of_a_table_become_shots_and_validation_texts(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", reviews(10))
    found = split(tmp_path)
    assert (found.classes, len(found.shots), len(found.val), found.front) == (("bad", "good"), 4, 6, "text")
    for sample in (*found.shots, *found.val):
        text = read_example(Path(sample.path))
        assert int(text.split()[-1]) % 2 == sample.label
        assert sample.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert split(tmp_path) == found
    assert set(split(tmp_path, shots=1).shots) < set(found.shots)


def test_a_split_of_texts_survives_its_file(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", reviews())
    found = split(tmp_path)
    keep_split(found, tmp_path, Silent())
    assert read_split(tmp_path / SPLIT_FILE) == found


def test_real_reviews_are_read_to_the_last_row(shared: Path) -> None:
    data = Data(train="sst2_train.csv", val="sst2_val.csv", shots=8)
    found = make_split(data, shared / "data" / "text", front="text")
    assert (found.classes, len(found.shots), len(found.val)) == (("0", "1"), 16, 872)
    assert not found.skipped


def test_a_folder_of_files_is_read_like_a_table(tmp_path: Path) -> None:
    for row in reviews(8):
        file = tmp_path / "train" / row["label"] / f"{row['text'].split()[-1]}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(row["text"])
    (tmp_path / "train" / "bad" / "letter.docx").write_bytes(b"PK\x03\x04")
    found = split(tmp_path, train="train")
    assert (found.classes, len(found.shots), len(found.val)) == (("bad", "good"), 4, 4)
    assert [each.reason for each in found.skipped] == [
        "not taken as a text: its name ends in .docx; convert it to plain text (.txt)"
    ]


def test_a_list_may_name_files_of_texts(tmp_path: Path) -> None:
    rows = reviews(6)
    for at, row in enumerate(rows):
        (tmp_path / f"{at}.txt").write_text(row["text"])
    lines = [f"{at}.txt,{row['label']}" for at, row in enumerate(rows)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *lines]))
    assert len(split(tmp_path, train="list.csv").val) == 2


def test_columns_are_guessed_or_named(tmp_path: Path) -> None:
    rows = [{"stars": row["label"], "opinion": row["text"]} for row in reviews()]
    write(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=r"a\.jsonl, line 1: expected the columns `text` and `label`, found `stars`, "):
        split(tmp_path)
    found = split(tmp_path, columns={"text": "Opinion", "label": "stars"})
    assert all(sample.path.endswith(":opinion") for sample in found.val)
    assert read_example(Path(found.val[0].path)).startswith("sentence number")
    with pytest.raises(DataError, match=r"data\.columns\.text: `view` is not a column; found `stars`, `opinion`"):
        split(tmp_path, columns={"text": "view", "label": "stars"})


def test_a_column_divides_one_table(tmp_path: Path) -> None:
    parts = ("train", "train", "val", "val", "test", "test")
    rows = [row | {"split": part} for row, part in zip(reviews(6), parts, strict=True)]
    write(tmp_path / "a.jsonl", rows)
    found = split(tmp_path, shots=1)
    assert {Path(sample.path).name for sample in found.val} == {"a.jsonl:3", "a.jsonl:4"}
    assert any("2 rows of the split `test` are not used" in each.reason for each in found.skipped)


def test_one_text_under_two_labels_is_used_under_none(tmp_path: Path) -> None:
    rows = reviews(8)
    rows[5]["text"] = rows[2]["text"]
    write(tmp_path / "a.jsonl", rows)
    found = split(tmp_path)
    assert [[Path(path).name for path in each.paths] for each in found.conflicts] == [["a.jsonl:3", "a.jsonl:6"]]
    assert {"a.jsonl:3", "a.jsonl:6"}.isdisjoint(Path(each.path).name for each in (*found.shots, *found.val))


def test_a_repeated_row_is_used_once(tmp_path: Path) -> None:
    rows = reviews(8)
    rows[6]["text"] = rows[2]["text"]
    write(tmp_path / "a.jsonl", rows)
    found = split(tmp_path)
    assert len({sample.sha256 for sample in (*found.shots, *found.val)}) == 7
    assert next(each.reason for each in found.skipped).startswith("same bytes as a ")


def test_rows_without_a_text_are_skipped_or_refused(tmp_path: Path) -> None:
    rows = reviews(8)
    rows[3]["text"], rows[4]["text"] = " ", None
    write(tmp_path / "a.jsonl", rows)
    reasons = {Path(each.path).name: each.reason for each in split(tmp_path).skipped}
    assert reasons == {"a.jsonl:4": "it holds only spaces", "a.jsonl:5": "it is empty"}
    with pytest.raises(DataError, match=r"2 unreadable: .*a\.jsonl:[45] \(it "):
        split(tmp_path, unreadable="refuse")


def test_no_author_is_on_both_sides(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", reviews(24))
    found = split(tmp_path, group_by="author")
    authors = [{int(read_example(Path(s.path)).split()[-1]) % 3 for s in side} for side in (found.shots, found.val)]
    assert authors[0]
    assert authors[1]
    assert not authors[0] & authors[1]


@pytest.mark.parametrize(
    ("settings", "rows", "error", "expected"),
    [
        ({"group_by": "writer"}, reviews(), UsageError, r"a\.jsonl has no column `writer`; for rows of a table"),
        (
            *({"group_by": "author"}, [*reviews(), {"label": "bad", "text": "of nobody"}], UsageError),
            r"the column `author` is empty in 1 of 7 rows: a\.jsonl:7; expected a group in every row",
        ),
        ({}, [*reviews(), {"label": "", "text": "x"}], DataError, r"a\.jsonl, line 7: expected a class name of 1 to"),
        (
            *({}, [*reviews(), {"label": 0.5, "text": "x"}], DataError),
            r"line 7: expected text or a whole number in `label`, found a number",
        ),
        ({}, [{"label": "one", "text": str(at)} for at in range(9)], DataError, "expected at least two classes"),
        ({"max_val_images": 1}, reviews(), UsageError, "data.max_val_images: expected at least one"),
        ({"shots": 40}, reviews(), DataError, "class `bad` has 3, class `good` has 3 usable texts; wanted 41"),
    ],
)
def test_a_table_that_cannot_be_split_is_refused_in_one_line(
    tmp_path: Path, settings: dict[str, Any], rows: list[dict[str, Any]], error: type[EdgetlError], expected: str
) -> None:
    write(tmp_path / "a.jsonl", rows)
    with pytest.raises(error, match=expected) as caught:
        split(tmp_path, **settings)
    assert "\n" not in str(caught.value)


def test_a_fingerprint_changes_with_every_text_and_label_and_not_with_the_place(tmp_path: Path) -> None:
    def of(folder: str, rows: list[dict[str, Any]]) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        write(tmp_path / folder / "a.jsonl", rows)
        return fingerprint(Data(train="a.jsonl"), tmp_path / folder, front="text")

    texts, labels = reviews(), reviews()
    texts[0]["text"] += "!"
    labels[0]["label"] = "good"
    first = of("one", reviews())
    assert of("two", reviews()) == first
    assert len({first, of("one", texts), of("two", labels)}) == 3


def test_texts_are_trained_as_they_are_unless_the_recipe_asks_for_views(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", reviews())
    found = split(tmp_path)
    for policy, expected in (("auto", "none"), ("none", "none"), ("light", "light")):
        run = small_run(found, tmp_path, front="text", data={"train": "a.jsonl", "augment": policy})
        assert augment_of(run) == expected
