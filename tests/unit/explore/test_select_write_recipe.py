"""A recipe with another backbone keeps everything else, its comments included."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edgetl.errors import UsageError
from edgetl.explore.select.write_recipe import check_place, with_backbone, write_recipe
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe_file import parse_recipe

HEAD = "# steel plates\nname: steel\ndata: {train: photos, shots: 5}  # few\n"
TAIL = "targets: [x86-cpu]\n# the end\n"


def _changed(section: str, backbone: Backbone | None = None) -> str:
    text = HEAD + section + TAIL
    recipe = parse_recipe(yaml.safe_load(text), where="recipe")
    wanted = backbone or Backbone(name="local-dir:nets/small")
    changed = with_backbone(text, recipe, wanted, "recipe")
    assert parse_recipe(yaml.safe_load(changed), where="changed") == recipe.model_copy(update={"backbone": wanted})
    return changed


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("backbone: {name: resnet50}  # big\n", "backbone: {name: 'local-dir:nets/small'}  # big\n"),
        ("backbone:\n  name: resnet50  # big\n", "backbone:\n  name: local-dir:nets/small  # big\n"),
        (
            "backbone: # ours\n  weights: a.safetensors\n  name: resnet50\n  input_size: 96  # small\n",
            "backbone: # ours\n  name: local-dir:nets/small\n",
        ),
        ('backbone: {name: "resnet50",\n  input_size: 96}\n', "backbone: {name: 'local-dir:nets/small'}\n"),
    ],
)
def test_only_the_backbone_changes_and_comments_stay(section: str, expected: str) -> None:
    found = _changed(section)
    assert found.replace("'", "") == (HEAD + expected + TAIL).replace("'", "")


def test_a_section_behind_an_anchor_is_written_anew_from_its_values() -> None:
    text = "name: a\ndata: {train: photos}\nbackbone: &b\n  name: resnet50\ntargets: [x86-cpu]\n"
    recipe = parse_recipe(yaml.safe_load(text), where="recipe")
    changed = with_backbone(text, recipe, Backbone(name="resnet18"), "recipe")
    assert yaml.safe_load(changed)["backbone"] == {"name": "resnet18"}


def test_the_same_backbone_leaves_the_text_alone() -> None:
    section = "backbone: {name: resnet50, input_size: 96}\n"
    assert _changed(section, Backbone(name="resnet50", input_size=96)) == HEAD + section + TAIL


def test_a_recipe_is_not_written_over_a_file_or_away_from_its_paths(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(HEAD + "backbone: {name: resnet50}\n" + TAIL)
    with pytest.raises(UsageError, match="--force"):
        check_place(recipe, recipe, force=False)
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="are relative to its folder"):
        check_place(recipe, tmp_path / "other" / "recipe.yaml", force=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="not a file; name the recipe to write"):
        check_place(recipe, tmp_path / "folder", force=True)
    check_place(recipe, tmp_path / "new.yaml", force=False)
    write_recipe(recipe, tmp_path / "new.yaml", Backbone(name="resnet18"))
    assert yaml.safe_load((tmp_path / "new.yaml").read_text())["backbone"] == {"name": "resnet18"}
