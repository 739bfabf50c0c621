"""`edgetl new` finds several columns of labels in a list and proposes a head for each."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from edgetl.explore.propose_recipe import proposed
from edgetl.explore.suggest_heads import label_columns
from edgetl.recipes.recipe_file import parse_recipe


def parts(folder: Path, header: str = "image,kind,state,serial") -> Path:
    listed = folder / "parts.csv"
    with listed.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        for number in range(24):
            Image.fromarray(np.full((2, 2, 3), number, np.uint8)).save(folder / f"{number}.png")
            state = "" if number % 4 == 3 else ("new", "worn")[number // 3 % 2]
            writer.writerow([f"{number}.png", ("bolt", "nut")[number % 2], state, f"S{number:04}"])
    return listed


def test_columns_of_few_values_become_heads_and_serial_numbers_do_not(tmp_path: Path) -> None:
    listed = parts(tmp_path)
    assert label_columns(listed) == ("kind", "state")
    proposal = proposed(listed)
    text = proposal.text(tmp_path, None, True)
    recipe = parse_recipe(yaml.safe_load(text), where="r")
    assert (recipe.data.labels, recipe.data.train) == (("kind", "state"), "parts.csv")
    assert recipe.data.shots == 5  # two thirds of the eight worn ones
    assert "#   state: 2 classes: new, worn" in text
    assert "`kind` and `state` are taken as labels" in proposal.notes[0]


def test_a_list_with_a_column_of_labels_has_one_head(tmp_path: Path) -> None:
    assert label_columns(parts(tmp_path, "image,label,state,serial")) == ()
