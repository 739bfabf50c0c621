"""`edgetl predict`: files, folders, patterns and lists in; lines, a table, JSON or sorted copies out."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path

import pytest
from cli_calls import Shell
from pivot_folder import LABELS, make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.cli.sort_into import Sorter
from edgetl.errors import BackendError, UsageError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    compile_targets(make_pivot(folder / "pivot"), ["x86-cpu"], folder / "bundles")
    made = folder / "bundles" / "x86-cpu-float32"
    try:
        with open_bundle(read_bundle(made), threads=1):
            return made
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture
def pictures(bundle: Path, tmp_path: Path) -> Path:
    """in/0.png, in/1.png and in/deep/2.png"""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, place in (("0.png", "in"), ("1.png", "in"), ("0.png", "in/deep")):
        target = tmp_path / place / ("2.png" if "deep" in place else name)
        shutil.copy(bundle / "golden" / name, target)
    return tmp_path / "in"


def named(text: str) -> list[str]:
    return [Path(line.split(": ")[0]).name for line in text.splitlines()]


def test_predict_folder_means_the_pictures_in_it(shell: Shell, bundle: Path, pictures: Path) -> None:
    answer = shell("predict", bundle, pictures)
    assert (answer.code, answer.err) == (0, "")
    assert named(answer.out) == ["0.png", "1.png", "2.png"]


def test_patterns_and_lists_mean_what_fits_them_and_what_is_in_them(shell: Shell, bundle: Path, pictures: Path) -> None:
    assert named(shell("predict", bundle, pictures / "*.png").out) == ["0.png", "1.png"]
    assert named(shell("predict", bundle, f"{pictures}/**/2.png").out) == ["2.png"]
    (pictures / "list.csv").write_text("image,choice\ndeep\\2.png,x\n0.png,y\n")
    assert named(shell("predict", bundle, pictures / "list.csv").out) == ["2.png", "0.png"]
    (pictures / "list.txt").write_text("1.png\n\ndeep/2.png\n")
    assert named(shell("predict", bundle, pictures / "list.txt").out) == ["1.png", "2.png"]


def test_one_odd_item_is_named_and_the_rest_goes_on(shell: Shell, bundle: Path, pictures: Path) -> None:
    (pictures / "page.jpg").write_text("<!DOCTYPE html><html></html>")
    os.mkfifo(pictures / "pipe.png")
    answer = shell("predict", bundle, pictures, pictures / "absent.png", pictures / "none-*.png", "--quiet")
    assert answer.code == 1
    assert named(answer.out) == ["0.png", "1.png", "2.png"]
    assert [line.split(": ", 2)[1].rsplit("/", 1)[-1] for line in answer.lines[:-1]] == [
        "none-*.png",
        "page.jpg",
        "pipe.png",
        "absent.png",
    ]
    for line, reason in zip(
        answer.lines, ("no file matches", "a web page", "a named pipe", "no such file"), strict=False
    ):
        assert reason in line
    assert answer.lines[-1] == "edgetl: 3 images classified; 4 could not be used"


def test_a_csv_table_has_a_row_for_each_image_and_says_what_is_wrong(
    shell: Shell, bundle: Path, pictures: Path
) -> None:
    (pictures / "1.png").write_bytes(b"")
    answer = shell("predict", bundle, pictures, "--csv", "--top", "2")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert list(rows[0]) == ["path", "prediction", "label_1", "probability_1", "label_2", "probability_2", "error"]
    assert [Path(row["path"]).name for row in rows] == ["0.png", "1.png", "2.png"]
    assert rows[0]["prediction"] == rows[0]["label_1"]
    assert rows[0]["label_1"] in LABELS
    assert 0 <= float(rows[0]["probability_2"]) <= float(rows[0]["probability_1"]) <= 1
    assert (rows[1]["prediction"], rows[1]["label_1"]) == ("", "")
    assert "the file is empty" in rows[1]["error"]
    assert answer.code == 1


def test_below_the_threshold_an_image_is_unsure(shell: Shell, bundle: Path, pictures: Path) -> None:
    answer = shell("predict", bundle, pictures / "0.png", "--threshold", "1.0")
    assert ": unsure (" in answer.out
    found = shell("predict", bundle, pictures / "0.png", "--threshold", "1.0", "--json").json()
    assert found[0]["prediction"] == "unsure"
    sure = shell("predict", bundle, pictures / "0.png", "--threshold", "0.01", "--json").json()
    assert sure[0]["prediction"] == sure[0]["labels"][0]


def test_sorted_copies_overwrite_nothing_and_are_not_made_twice(
    shell: Shell, bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sorted"
    label = shell("predict", bundle, pictures / "0.png", "--json").json()[0]["labels"][0]
    (out / label).mkdir(parents=True)
    (out / label / "0.png").write_bytes(b"mine")
    for _ in range(2):
        assert shell("predict", bundle, pictures / "0.png", "--sort-into", out).code == 0
    assert (out / label / "0.png").read_bytes() == b"mine"
    assert sorted(path.name for path in (out / label).iterdir()) == ["0-2.png", "0.png"]
    assert (out / label / "0-2.png").read_bytes() == (pictures / "0.png").read_bytes()
    shell("predict", bundle, pictures / "0.png", "--sort-into", out, "--threshold", "1.0")
    assert (out / "unsure" / "0.png").is_file()
    shell.refuses(2, ["which is to be classified"], "predict", bundle, out, "--sort-into", out)


def test_no_label_leads_out_of_the_folder_that_is_sorted_into(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    sorter = Sorter(tmp_path / "out", ["../evil", "..", "C:\\x", "fine"])
    for label in sorter.names:
        assert sorter.copy(tmp_path / "a.png", label).resolve().parent.parent == (tmp_path / "out").resolve()
    with pytest.raises(UsageError, match="two labels would share"):
        Sorter(tmp_path / "out", ["a/b", "a:b"])


def test_a_line_feed_in_a_file_name_stays_on_its_line(shell: Shell, bundle: Path, pictures: Path) -> None:
    odd = pictures / "a\nother.png: 7 100.0 %\x1b[31m"
    shutil.copy(pictures / "0.png", odd)
    (line,) = shell("predict", bundle, odd).out.splitlines()
    assert r"a\nother.png: 7 100.0 %\x1b[31m: " in line
    table = shell("predict", bundle, odd, "--csv").out.splitlines()
    assert len(table) == 2
    assert shell("predict", bundle, odd, "--json").json()[0]["path"] == str(odd)


def test_a_name_that_begins_like_an_option_gets_the_hint(
    shell: Shell, bundle: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    shutil.copy("0.png", "-5.png")
    shell.refuses(2, ["`-5.png` looks like an option", "put -- before it"], "predict", bundle, "-5.png")
    assert shell("predict", bundle, "--", "-5.png").code == 0
    shell.refuses(2, ["No such option"], "predict", bundle, "0.png", "--nonsense")


def test_two_formats_at_once_are_wrong_usage(shell: Shell, bundle: Path, pictures: Path) -> None:
    shell.refuses(2, ["choose one"], "predict", bundle, pictures, "--csv", "--json")
