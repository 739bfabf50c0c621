"""`edgetl check` and `edgetl new`: what is wrong with a folder of images, before anything is trained."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from cli_calls import RECIPE, Shell, write_images, write_recipe
from PIL import Image

from edgetl.recipes.recipe_file import load_recipe


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
    assert answer.out.splitlines()[:2] == ["2 classes: cat, dog", "4 training images, 5 validation images"]


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
    assert [stage["stage"] for stage in answer.json()["stages"]] == ["data", "check"]
    assert answer.json()["verdict"] == "warn"
    assert {finding["check"] for finding in answer.json()["checks"]["findings"]} >= {"copies", "labels", "drift"}
    assert {line.split()[0] for line in answer.lines} == {"data", "check"}


def test_a_second_check_reads_nothing_again(shell: Shell, recipe: Path) -> None:
    shell("check", recipe)
    again = shell("check", recipe)
    assert again.code == 0
    assert again.lines[0] == "2 stages kept, data to check"


def test_a_copy_on_both_sides_ends_the_check_and_every_later_command_unless_allowed(
    shell: Shell, tmp_path: Path, photos: Path
) -> None:
    recipe = write_recipe(tmp_path, RECIPE.replace("train: photos,", "train: photos, val: seen,"))
    write_images(tmp_path / "seen", {"cat": 0, "dog": 0})
    pictures = np.random.default_rng(5).integers(0, 255, (4, 12, 12, 3), dtype=np.uint8)
    for number, name in enumerate(("cat", "cat", "dog", "dog")):
        Image.fromarray(pictures[number]).save(tmp_path / "seen" / name / f"{number}.png")
    with Image.open(photos / "cat" / "0.png") as image:
        image.save(tmp_path / "seen" / "cat" / "again.bmp")
    arguments = (recipe, "--quiet", "--set", "data.shots=4")
    checked = shell("check", *arguments)
    assert checked.code == 1
    assert "refuse       copies" in checked.out
    assert "contact-sheet.jpg" in checked.out
    (line,) = checked.lines
    assert line.startswith("edgetl: 1 validation image also among the training images: ")
    assert "cat/0.png" in line
    assert "--allow-leak" in line
    shell.refuses(1, ["also among the training images"], "adapt", *arguments)
    told = shell("check", *arguments, "--json").json()
    assert (told["verdict"], told["passed"]) == ("refuse", False)
    allowed = shell("check", *arguments, "--allow-leak")
    assert (allowed.code, allowed.err) == (0, "")
    told = shell("check", *arguments, "--set", "check.allow_leak=true", "--json").json()
    assert (told["verdict"], told["passed"]) == ("refuse", True)


def test_weights_that_are_not_there_leave_the_other_checks(shell: Shell, tmp_path: Path, photos: Path) -> None:
    recipe = write_recipe(tmp_path, RECIPE.replace("edgetl:printed_characters", "local-dir:absent"))
    answer = shell("check", recipe, "--quiet")
    assert answer.code == 0
    assert "not checked  neighbours      features could not be computed: " in answer.out
    assert "not checked  labels          no features: see neighbors" in answer.out
    assert "pass         copies" in answer.out


def test_without_the_training_half_the_other_checks_are_made_and_the_next_run_tries_again(
    shell: Shell, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    with monkeypatch.context() as patch:
        patch.setattr("edgetl.checks.check.features_of", absent)
        answer = shell("check", recipe, "--quiet")
    assert answer.code == 0
    assert (
        "not checked  neighbours      features need the package torch; run: pip install 'edgetl[train]'" in answer.out
    )
    assert "not checked  neighbours" not in shell("check", recipe, "--quiet").out


def test_a_broken_jpeg_is_skipped_and_named_or_refused_when_told(shell: Shell, recipe: Path, photos: Path) -> None:
    (photos / "cat" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn off")
    skipped = shell("check", recipe)
    assert skipped.code == 0
    assert "1 file skipped: cat/torn.jpg (damaged or truncated)" in skipped.out
    assert "torn.jpg" not in skipped.err  # the table says it
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


def test_a_first_run_among_the_classes_works_and_so_does_the_next(
    shell: Shell, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    assert shell("new", ".").code == 0
    first = shell("check", "recipe.yaml", "--json", "--quiet").json()
    assert first["data"]["classes"] == ["cat", "dog"]
    assert Path(first["out"]).parent == photos
    again = shell("check", "recipe.yaml", "--json", "--quiet").json()
    assert [stage["reused"] for stage in again["stages"]] == [True, True]


def test_new_replaces_a_recipe_only_when_told(shell: Shell, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("mine")
    shell.refuses(2, ["already exists", "--force"], "new", photos, "-o", path)
    assert path.read_text() == "mine"
    assert shell("new", photos, "-o", path, "--force", "--name", "pets", "--json").json() == {
        "recipe": str(path),
        "notes": [],
    }
    assert load_recipe(path).name == "pets"


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_new_writes_over_no_folder(shell: Shell, photos: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    shell.refuses(2, [f"{folder}: not a file", "recipe.yaml"], "new", photos, "-o", folder, *options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "photos"]
    assert not list(folder.iterdir())


def test_new_refuses_what_is_no_folder_of_classes(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    shell.refuses(2, ["no such folder"], "new", tmp_path / "absent", "-o", path)
    write_images(tmp_path / "one", {"cat": 4})
    shell.refuses(1, ["expected at least two classes"], "new", tmp_path / "one", "-o", path)
    assert not path.exists()


@pytest.mark.parametrize("command", ["build", "adapt", "report", "blame", "forecast"])
def test_a_core_install_says_that_torch_is_missing_before_it_looks_at_images(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    installed = metadata.version

    def without_torch(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", without_torch)
    write_images(tmp_path / "photos", {"cat": 4, "dog": 4})
    shell.refuses(1, ["package torch", "pip install 'edgetl[train]'"], command, write_recipe(tmp_path), "-q")
    assert not (tmp_path / "pets-build").exists()
