"""`edgetl check` and `edgetl new`: what is wrong with a folder of images, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_calls import Shell, write_images, write_recipe

from edgetl.recipe import load_recipe


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_images(tmp_path / "photos", {"cat": 4, "dog": 5})


@pytest.fixture
def recipe(tmp_path: Path, photos: Path) -> Path:
    return write_recipe(tmp_path)


def test_check_tells_classes_shots_and_resize(shell: Shell, recipe: Path) -> None:
    answer = shell("check", recipe, "--quiet")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.out.splitlines()[:2] == ["2 classes: cat, dog", "4 images to learn from, 5 to measure on"]


def test_check_as_json_is_json_alone(shell: Shell, recipe: Path) -> None:
    answer = shell("check", recipe, "--json")
    assert answer.json()["data"] == {
        "classes": ["cat", "dog"],
        "shots": 4,
        "val": 5,
        "resize": "squash",
        "resize_reason": answer.json()["data"]["resize_reason"],
        "skipped": [],
    }
    assert [stage["stage"] for stage in answer.json()["stages"]] == ["data"]
    assert answer.lines == [line for line in answer.lines if line.startswith("data ")]


def test_a_second_check_reads_nothing_again(shell: Shell, recipe: Path) -> None:
    shell("check", recipe)
    assert "kept from before" in shell("check", recipe).err


def test_a_broken_jpeg_is_skipped_and_named_or_refused_when_told(shell: Shell, recipe: Path, photos: Path) -> None:
    (photos / "cat" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn off")
    skipped = shell("check", recipe)
    assert skipped.code == 0
    assert f"skipped {photos / 'cat' / 'torn.jpg'}: " in skipped.out
    assert "torn.jpg" in skipped.err
    refused = shell.refuses(
        1, ["1 unreadable", "torn.jpg"], "check", recipe, "--quiet", "--set", "data.unreadable=refuse"
    )
    assert "data.unreadable: skip" in refused


@pytest.mark.parametrize("counts", [{}, {"cat": 0, "dog": 0}])
def test_a_folder_without_images_is_refused(shell: Shell, tmp_path: Path, counts: dict[str, int]) -> None:
    (tmp_path / "photos").mkdir()
    write_images(tmp_path / "photos", counts)
    shell.refuses(
        1, ["photos: expected one sub-folder of images per class"], "build", write_recipe(tmp_path), "--quiet"
    )


def test_a_folder_that_is_not_there_is_named(shell: Shell, tmp_path: Path) -> None:
    shell.refuses(2, ["photos: no such folder"], "build", write_recipe(tmp_path), "--quiet")


def test_one_image_in_a_class_is_too_few(shell: Shell, tmp_path: Path) -> None:
    write_images(tmp_path / "photos", {"cat": 4, "dog": 1})
    shell.refuses(1, ["class `dog` has 1 usable images", "wanted 3"], "build", write_recipe(tmp_path), "--quiet")


def test_a_refused_build_leaves_no_stage(shell: Shell, tmp_path: Path) -> None:
    write_images(tmp_path / "photos", {"cat": 4, "dog": 1})
    shell("build", write_recipe(tmp_path), "--quiet")
    assert not list((tmp_path / "pets-build" / "stages").iterdir())
    assert not (tmp_path / "pets-build" / "bundles").exists()


def test_new_writes_a_recipe_that_check_accepts(shell: Shell, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "made" / "recipe.yaml"
    answer = shell("new", photos, "--output", path)
    assert answer.code == 0
    assert f"edgetl build {path}" in answer.out
    assert load_recipe(path).name == "photos"
    assert shell("check", path, "--quiet").code == 0


def test_new_replaces_a_recipe_only_when_told(shell: Shell, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("mine")
    shell.refuses(2, ["exists already", "--force"], "new", photos, "-o", path)
    assert path.read_text() == "mine"
    assert shell("new", photos, "-o", path, "--force", "--name", "pets", "--json").json() == {"recipe": str(path)}
    assert load_recipe(path).name == "pets"


def test_new_refuses_what_is_no_folder_of_classes(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    shell.refuses(2, ["no such folder"], "new", tmp_path / "absent", "-o", path)
    write_images(tmp_path / "one", {"cat": 4})
    shell.refuses(1, ["expected at least two classes"], "new", tmp_path / "one", "-o", path)
    assert not path.exists()
