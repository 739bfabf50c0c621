"""`edgetl new` on windows of sensor channels writes a recipe that the data fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_calls import Shell
from windows import long_table, wave

from edgetl.data.split import make_split
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import load_recipe


def written(shell: Shell, data: Path, folder: Path) -> tuple[Recipe, str]:
    path = folder / "recipe.yaml"
    done = shell("new", data, "-o", path)
    assert done.code == 0, done.err
    return load_recipe(path), path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["smartwatch_motions", "ecg_beats", "vowel_speakers"])
def test_a_folder_with_arrays_gets_a_recipe_with_both_parts(
    shared: Path, tmp_path: Path, shell: Shell, name: str
) -> None:
    stored = np.load(shared / "data" / name / "series.npz")
    recipe, text = written(shell, shared / "data" / name, tmp_path)
    assert (recipe.front, recipe.backbone.name, recipe.data.shots) == ("series", "minirocket", "all")
    assert recipe.series.steps == stored["train_length"].max()
    split = make_split(recipe.data, tmp_path, front="series")
    assert (len(split.shots), len(split.val)) == (len(stored["train_x"]), len(stored["val_x"]))
    assert f"# {stored['train_x'].shape[2]} channels: 1" in text


def test_a_long_table_without_parts_leaves_windows_for_validation(tmp_path: Path, shell: Shell) -> None:
    windows = [(f"w{number}", "ab"[number % 2], wave(12, 2, number)) for number in range(12)]
    recipe, text = written(shell, long_table(tmp_path / "motions.csv", windows), tmp_path)
    assert (recipe.name, recipe.data.shots, recipe.series.steps) == ("motions", 4, 12)
    assert "# 2 channels: c0, c1; 12 steps" in text
    split = make_split(recipe.data, tmp_path, front="series")
    assert (len(split.shots), len(split.val)) == (8, 4)


def test_folders_of_window_files_are_recognized_by_them(tmp_path: Path, shell: Shell) -> None:
    for number in range(8):
        (tmp_path / "data" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "data" / "ab"[number % 2] / f"{number}.npy", wave(12, 2, number))
    recipe, _ = written(shell, tmp_path / "data", tmp_path)
    assert (recipe.front, recipe.data.shots) == ("series", 2)
