"""The suggested recipe is valid, fits what lies in the folder, and says why."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import edgetl
from edgetl.data.split import make_split
from edgetl.data.survey import survey
from edgetl.errors import DataError, UsageError
from edgetl.explore.suggest_images import recipe_text
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import parse_recipe

_HEIGHT_WIDTH = (20, 30)


def fill(root: Path, classes: Sequence[str], count: int, sizes: Sequence[tuple[int, int]] = (_HEIGHT_WIDTH,)) -> Path:
    for k, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            height, width = sizes[i % len(sizes)]
            Image.new("RGB", (width, height), (k, i % 256, len(str(root)) % 256)).save(root / name / f"{i}.png")
    return root


def suggest(root: Path, recipe_dir: Path, name: str | None) -> str:
    return recipe_text(survey(root), root, recipe_dir, name)


def parsed(root: Path, recipe_dir: Path, name: str | None = None) -> Recipe:
    return parse_recipe(yaml.safe_load(suggest(root, recipe_dir, name)), where="suggested")


def test_a_folder_of_classes(tmp_path: Path) -> None:
    recipe = parsed(fill(tmp_path / "My parts!", ["ok", "broken"], 30), tmp_path)
    assert recipe.name == "My-parts"
    assert (recipe.data.train, recipe.data.val, recipe.data.shots) == ("My parts!", None, 20)
    assert (recipe.data.resize, recipe.data.augment) == ("squash", "natural")
    assert recipe.backbone.name == "mobilenetv2_100"


@pytest.mark.parametrize(
    ("vnni", "targets"),
    [(True, ("x86-cpu", "intel-cpu", "arm64-cpu")), (False, ("x86-avx2", "intel-avx2", "arm64-cpu"))],
)
def test_the_targets_are_for_a_cpu_like_this_one(tmp_path: Path, vnni: bool, targets: tuple[str, ...]) -> None:
    parts = fill(tmp_path / "parts", ["ok", "broken"], 30)
    text = recipe_text(survey(parts), parts, tmp_path, None, vnni=vnni)
    assert parse_recipe(yaml.safe_load(text), where="suggested").targets == targets


def test_a_folder_with_parts(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "train", ["a1", "b1"], 4)
    fill(tmp_path / "set" / "valid", ["a1", "b1"], 2)
    data = parsed(tmp_path / "set", tmp_path / "recipes").data
    assert (data.train, data.val, data.shots) == ("../set/train", "../set/valid", "all")


def test_lists(tmp_path: Path) -> None:
    fill(tmp_path / "images", ["a", "b"], 6)
    rows = [f"images/{k}/{i}.png,{k}" for k in ("ant", "bee") for i in range(6)]
    text = "\n".join(["path,label", *rows]).replace("/ant/", "/a/").replace("/bee/", "/b/")
    (tmp_path / "train.csv").write_text(text)
    assert parsed(tmp_path / "train.csv", tmp_path).data.train == "train.csv"
    assert parsed(tmp_path / "train.csv", tmp_path, "insects").name == "insects"
    (tmp_path / "test.csv").write_text(text)
    assert parsed(tmp_path, tmp_path).data.val == "test.csv"


def test_a_class_of_trains_is_no_part(tmp_path: Path) -> None:
    assert parsed(fill(tmp_path, ["bus", "train"], 6), tmp_path).data.train == "."


@pytest.mark.parametrize(("count", "shots"), [(2, 1), (7, 4), (19, 12), (50, 33)])
def test_two_thirds_of_a_folder_learn_and_the_rest_measures(tmp_path: Path, count: int, shots: int) -> None:
    fill(tmp_path, ["a1", "b1"], count)
    assert parsed(tmp_path, tmp_path).data.shots == shots


def test_a_large_folder_learns_from_what_the_budget_bears(tmp_path: Path) -> None:
    fill(tmp_path, ["a1", "b1"], 400, [(2, 2)])
    text = suggest(tmp_path, tmp_path, None)
    assert "shots: 250" in text
    assert "of 400 per class are for training; 150 or more of each validate the shipped build" in text


def test_a_large_training_part_is_not_taken_whole(tmp_path: Path) -> None:
    fill(tmp_path / "train", ["a1", "b1"], 260, [(2, 2)])
    fill(tmp_path / "val", ["a1", "b1"], 2, [(2, 2)])
    assert parsed(tmp_path, tmp_path).data.shots == 250
    assert "`all` takes all 520" in suggest(tmp_path, tmp_path, None)


@pytest.mark.parametrize(
    ("classes", "augment"),
    [
        (["cat", "dog"], "natural"),
        (["0", "1", "2"], "text"),
        (["digit_1", "digit_2"], "text"),
        (["turn_left", "turn_right", "stop"], "text"),
        (["forest", "riverlake", "parking", "other"], "overhead"),
        (["scratches", "surface_rust"], "overhead"),
    ],
)
def test_augmentation_follows_the_class_names(tmp_path: Path, classes: list[str], augment: str) -> None:
    root = fill(tmp_path / "things", classes, 2)
    assert parsed(root, tmp_path).data.augment == augment


def test_mixed_shapes_are_letterboxed_and_the_measurement_is_told(tmp_path: Path) -> None:
    root = fill(tmp_path, ["cat", "dog"], 10, [(20, 60), (60, 20)])
    assert parsed(root, tmp_path).data.resize == "letterbox"
    assert "# width/height of 20 images: 10 % 0.33" in suggest(root, tmp_path, None)


def test_comments_say_what_was_found(tmp_path: Path) -> None:
    fill(tmp_path, ["cat", "dog"], 4)
    fill(tmp_path / "x", ["bird"], 20)
    (tmp_path / "x" / "bird").rename(tmp_path / "bird")
    (tmp_path / "x").rmdir()
    (tmp_path / "cat" / "0.png").write_text("no picture")
    text = suggest(tmp_path, tmp_path, "animals")
    assert "# 3 classes: bird, cat, dog" in text
    assert "# 28 training images, 4 to 20 per class; no separate validation images" in text
    assert "# widths 30, heights 20 pixels" in text
    assert "# unbalanced: the largest class has 5 times the smallest" in text
    assert "# note: 1 of 28 examined images cannot be opened, for example " in text
    assert "nvidia-rtx" in text
    assert "input_size" in text
    assert text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 120


NAME_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\u2028\u2029")
ODD_NAMES = ["with space", "a: b #c", 'it\'s "quoted"', "猫 😀", "-", "123", "null", "a,b]{c}", "%x"]


@pytest.mark.parametrize("folder", ODD_NAMES)
def test_paths_of_any_kind_are_quoted(tmp_path: Path, folder: str) -> None:
    fill(tmp_path / folder, ["a1", "b1"], 2)
    recipe = parsed(tmp_path / folder, tmp_path)
    assert recipe.data.train == folder
    assert len(make_split(recipe.data, tmp_path).shots) == 2


@settings(max_examples=30, deadline=None)
@given(st.text(NAME_CHARACTERS, min_size=1, max_size=20))
def test_any_folder_name_survives(name: str) -> None:
    if name.startswith(".") or len(name.encode()) > 200:
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = fill(Path(scratch) / name, ["a1", "b1"], 2, [(2, 2)])
        assert parsed(root, Path(scratch)).data.train == name


def test_class_names_cannot_break_a_comment(tmp_path: Path) -> None:
    fill(tmp_path, ["a: # {", "'\"&*"], 2)
    assert parsed(tmp_path, tmp_path).data.shots == 1


def test_a_folder_called_like_a_part_is_named_after_its_parent(tmp_path: Path) -> None:
    assert parsed(fill(tmp_path / "steel" / "train", ["a1", "b1"], 2), tmp_path).name == "steel"


def test_a_folder_without_usable_characters_still_has_a_name(tmp_path: Path) -> None:
    assert parsed(fill(tmp_path / "猫", ["a1", "b1"], 2), tmp_path).name == "recipe"


def test_an_impossible_name_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name 'a b': expected"):
        suggest(fill(tmp_path, ["a1", "b1"], 2), tmp_path, "a b")


def test_unusable_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        suggest(tmp_path / "absent", tmp_path, None)
    with pytest.raises(DataError, match="found nothing"):
        suggest(tmp_path, tmp_path, None)
    with pytest.raises(DataError, match="at least two classes"):
        suggest(fill(tmp_path / "one", ["a1"], 2), tmp_path, None)
    few = fill(tmp_path / "few", ["a1"], 2)
    fill(few / "more", ["b1"], 1).joinpath("b1").rename(few / "b1")
    (few / "more").rmdir()
    with pytest.raises(DataError, match="class `b1` has 1 images; expected at least 2"):
        suggest(few, tmp_path, None)
    broken = fill(tmp_path / "broken", ["a1", "b1"], 2)
    for path in broken.rglob("*.png"):
        path.write_text("no picture")
    with pytest.raises(DataError, match="none of 4 examined images can be opened"):
        suggest(broken, tmp_path, None)


def test_the_package_needs_no_torch() -> None:
    root = Path(edgetl.__file__).parents[1]
    folders = (root / "edgetl" / name for name in ("data", "fronts/image", "explore"))
    modules = [path.relative_to(root) for folder in folders for path in folder.glob("[a-z]*.py")]
    names = [".".join(path.with_suffix("").parts) for path in modules]
    assert "edgetl.fronts.image.decode" in names
    code = f"import sys, {', '.join(names)}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
