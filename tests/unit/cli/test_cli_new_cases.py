"""What people really name as data: lists of labeling tools and of Windows, class folders with odd names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_calls import Done, Shell
from PIL import Image

from edgetl.data.scan import scan
from edgetl.data.split import make_split
from edgetl.errors import DataError
from edgetl.recipes.recipe_file import load_recipe
from edgetl.types import Split


def fill(folder: Path, classes: list[str], count: int, seed: int = 0) -> Path:
    rng = np.random.default_rng([seed, len(str(folder))])
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            picture = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8))
            picture.save(folder / name / f"{number}.png")
    return folder


Line = Callable[[int, str, str], str]


def listed(folder: Path, header: str, line: Line, encoding: str = "utf-8") -> Path:
    """A list of img/good0.png ... img/bad5.png, which lie beside it."""
    rng = np.random.default_rng(5)
    (folder / "img").mkdir(parents=True)
    rows = [header]
    for kind in ("good", "bad"):
        for number in range(6):
            name = f"img/{kind}{number}.png"
            Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / name)
            rows.append(line(number, name, kind))
    (folder / "list.csv").write_bytes("".join(f"{row}\r\n" for row in rows).encode(encoding))
    return folder / "list.csv"


def made(shell: Shell, data: Path) -> tuple[Done, Split]:
    """`edgetl new`, and the split that its recipe draws."""
    path = data.parent / "recipe.yaml"
    answer = shell("new", data, "-o", path)
    assert answer.code == 0, answer.err
    return answer, make_split(load_recipe(path).data, path.parent)


LISTS: dict[str, tuple[str, Line]] = {
    "labelstudio": (
        "image,id,choice,annotator,created_at",
        lambda i, p, c: f"/data/upload/3/{p[4:]},{i},{c},1,2026-01-01",
    ),
    "windows": ("path,label", lambda i, p, c: "C:\\parts\\" + p.replace("/", "\\") + f",{c}"),
    "backslashes": ("path,label", lambda i, p, c: p.replace("/", "\\") + f",{c}"),
    "addresses": ("path,label", lambda i, p, c: f"http://intranet/{p}?download=1,{c}"),
    "filename": ("filename,class", lambda i, p, c: f"{p},{c}"),
    "header": ("Path,Label", lambda i, p, c: f"{p},{c}"),
    "extra": ("path,label,width", lambda i, p, c: f"{p},{c},16"),
}


@pytest.mark.parametrize("name", LISTS)
def test_labeling_csv_is_read_by_the_recipe_that_new_writes(name: str, shell: Shell, tmp_path: Path) -> None:
    _, split = made(shell, listed(tmp_path / name, *LISTS[name]))
    assert split.classes == ("bad", "good")
    assert len(split.shots) + len(split.val) == 12
    assert {Path(sample.path).parent for sample in split.shots} == {tmp_path / name / "img"}


def test_labeling_csv_with_a_split_column_parts_train_and_val(shell: Shell, tmp_path: Path) -> None:
    sides = {0: "val", 1: "Test"}
    path = listed(tmp_path / "d", "path,label,split", lambda i, p, c: f"{p},{c},{sides.get(i, 'train')}")
    answer, split = made(shell, path)
    assert sorted(Path(sample.path).name for sample in split.val) == ["bad0.png", "good0.png"]
    assert {Path(sample.path).name[-5] for sample in split.shots} == set("2345")
    assert "list.csv: 2 rows of the split `test` are not used" in answer.err
    path.write_text(path.read_text().replace("Test", "holdout"))
    shell.refuses(1, ["line 3", "expected `train`, `val` or `test`"], "new", path, "-o", tmp_path / "x.yaml")


def test_labeling_csv_that_is_not_read_says_what_it_is(shell: Shell, tmp_path: Path) -> None:
    onehot = listed(
        tmp_path / "a", "filename, bad, good", lambda i, p, c: f"{p}, {int(c == 'bad')}, {int(c == 'good')}"
    )
    shell.refuses(1, ["one column per class", "a column `label`"], "new", onehot, "-o", tmp_path / "x.yaml")
    utf16 = listed(tmp_path / "b", "path,label", lambda i, p, c: f"{p},{c}", "utf-16")
    shell.refuses(1, ["it is UTF-16 text; save it as UTF-8"], "new", utf16, "-o", tmp_path / "x.yaml")
    gone = listed(tmp_path / "c", "path,label", lambda i, p, c: f"D:\\away\\{i}.png,{c}")
    shell.refuses(1, ["a Windows path with a drive", "data.images"], "new", gone, "-o", tmp_path / "x.yaml")
    case = listed(tmp_path / "d", "path,label", lambda i, p, c: f"{p.upper()},{c}")
    case.write_text(case.read_text().replace("IMG/", "Img/"))
    with pytest.raises(DataError, match=r"did you mean `img/good0.png`\? only the case differs"):
        scan(case)


def test_labeling_csv_cased_labels_are_warned_of(shell: Shell, tmp_path: Path) -> None:
    path = listed(tmp_path / "d", "path,label", lambda i, p, c: f"{p},{c.title() if i % 2 else c}")
    answer, _ = made(shell, path)
    assert "`Bad`, `bad` differ only in upper and lower case" in answer.err


def test_class_names_in_two_unicode_forms_are_one(shell: Shell, tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "Fissuré")
    fill(tmp_path / "d" / "train", [composed, "ok"], 6)
    fill(tmp_path / "d" / "val", [unicodedata.normalize("NFD", composed), "ok"], 4)
    answer, split = made(shell, tmp_path / "d")
    assert split.classes == (composed, "ok")
    assert (len(split.val), answer.err) == (8, "")


def test_class_names_that_differ_in_case_between_the_sides_are_all_named(shell: Shell, tmp_path: Path) -> None:
    fill(tmp_path / "train", ["Good", "Bad"], 6)
    fill(tmp_path / "val", ["good", "bad"], 4)
    words = ["`bad`, `good` differ from `Bad`, `Good`", "only in upper and lower case"]
    shell.refuses(1, words, "new", tmp_path, "-o", tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["Good", "good", "bad"], "`Good`, `good` differ only in upper and lower case"),
        (["scratch ", "scratch", "bad"], "`scratch`, `scratch ` differ only in spaces at the ends"),
        (["good", "bad", "no_label"], "`no_label` is trained as a class"),
        ([".22", ".38", "9mm", "10mm"], "`.22`, `.38` are hidden but contain images"),
    ],
)
def test_class_names_that_are_seldom_meant_are_noted(
    classes: list[str], words: str, shell: Shell, tmp_path: Path
) -> None:
    answer, _ = made(shell, fill(tmp_path / "d", classes, 6))
    assert words in answer.err
    written = (tmp_path / "recipe.yaml").read_text().replace("\n#  ", "")
    assert words in written


def test_class_names_that_are_hidden_but_for_one_are_named(shell: Shell, tmp_path: Path) -> None:
    fill(tmp_path / "d", [".22", ".38", "9mm"], 6)
    words = ["found only `9mm`", "hidden folders are not classes, rename `.22`, `.38`"]
    shell.refuses(1, words, "new", tmp_path / "d", "-o", tmp_path / "x.yaml")


def test_class_names_three_parts_test_is_good_for_bench(shell: Shell, tmp_path: Path) -> None:
    for seed, part in enumerate(("train", "valid", "test")):
        fill(tmp_path / "d" / part, ["a", "b"], 4, seed=seed)
    answer, _ = made(shell, tmp_path / "d")
    assert f"test is not used; evaluate the finished bundle on it: edgetl bench BUNDLE --data {tmp_path}/d/test" in (
        answer.err
    )


def test_not_a_picture_is_named_for_what_it_is(shell: Shell, tmp_path: Path) -> None:
    for kind in ("good", "bad"):
        (tmp_path / "d" / kind).mkdir(parents=True)
        for number in range(6):
            text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{number:064x}\nsize {1000 + number}\n"
            (tmp_path / "d" / kind / f"{number}.jpg").write_text(text)
    words = ["none of 12 examined images", "it is a Git LFS pointer", "run git lfs pull"]
    shell.refuses(1, words, "new", tmp_path / "d", "-o", tmp_path / "x.yaml")


def test_a_named_pipe_in_place_of_data_is_refused_without_opening_it(shell: Shell, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.csv")
    shell.refuses(1, ["found a named pipe"], "new", tmp_path / "list.csv", "-o", tmp_path / "x.yaml")


def test_an_absent_folder_is_named_before_a_recipe_that_exists(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("mine")
    shell.refuses(2, ["nothere: no such folder"], "new", tmp_path / "nothere", "-o", tmp_path / "x.yaml")
