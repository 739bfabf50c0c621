"""Writes a recipe with another backbone: only the `backbone` section changes, and comments are kept if possible."""

from __future__ import annotations

from pathlib import Path

import yaml

from edgetl.errors import UsageError
from edgetl.files.durable import write_text
from edgetl.files.yaml_file import read_yaml
from edgetl.recipes.recipe import Backbone, Recipe
from edgetl.recipes.recipe_file import load_recipe, parse_recipe
from edgetl.store.results import disk_errors


def check_place(recipe: Path, place: Path, *, force: bool) -> None:
    """Raise UsageError if a recipe must not be written: over a file without `force`, over a folder, or away from its
    paths."""
    if place.exists() and not place.is_file():
        raise UsageError(f"{place}: not a file; name the recipe to write, for example --write {place / 'recipe.yaml'}")
    if place.exists() and not force:
        raise UsageError(f"{place}: already exists; choose another name with --write, or replace it with --force")
    if place.resolve().parent != recipe.resolve().parent:
        raise UsageError(
            f"{place}: the paths in {recipe} are relative to its folder; write the new recipe into {recipe.parent}"
        )


def write_recipe(recipe: Path, place: Path, backbone: Backbone) -> None:
    """Write the recipe in `recipe` to `place`, with `backbone` in place of its own. Raises UsageError, StoreError."""
    text = with_backbone(recipe.read_text(encoding="utf-8"), load_recipe(recipe), backbone, str(recipe))
    with disk_errors(place):
        write_text(place, text)


def with_backbone(text: str, recipe: Recipe, backbone: Backbone, where: str) -> str:
    """`text`, the YAML of `recipe`, with another backbone.

    The edit is checked by reading the result. If the result differs (anchors, tags), the recipe is rewritten from its
    values and loses its comments.
    """
    wanted = recipe.model_copy(update={"backbone": backbone})
    if recipe.backbone == backbone:
        return text
    edited = _edit(text, backbone)
    try:
        if parse_recipe(read_yaml(edited), where=where) == wanted:
            return edited
    except (UsageError, ValueError):
        pass
    values = wanted.model_dump(mode="json", exclude_unset=True)
    values["backbone"] = backbone.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)


def _edit(text: str, backbone: Backbone) -> str:
    section = _section(text)
    if section is None:
        return text
    if section.flow_style:
        return text[: section.start_mark.index] + _flow(backbone) + text[section.end_mark.index :]
    first, last = section.value[0][0], section.value[-1][1]
    kept = next((value for key, value in section.value if key.value == "name"), None)
    if kept is None or len(backbone.model_dump(exclude_unset=True)) > 1:
        # a block becomes one line at the place of its first key
        return text[: first.start_mark.index] + _flow(backbone) + text[last.end_mark.index :]
    lines = text.splitlines(keepends=True)
    name = lines[kept.start_mark.line]
    lines[kept.start_mark.line] = name[: kept.start_mark.column] + _scalar(backbone.name) + name[kept.end_mark.column :]
    dropped = {
        number
        for key, value in section.value
        if key.value != "name"
        for number in range(key.start_mark.line, value.end_mark.line + 1)
    }
    return "".join(line for number, line in enumerate(lines) if number not in dropped)


def _section(text: str) -> yaml.MappingNode | None:
    """The value of the top-level key `backbone`."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    found = [value for key, value in root.value if key.value == "backbone"]
    return found[-1] if found and isinstance(found[-1], yaml.MappingNode) and found[-1].value else None


def _flow(backbone: Backbone) -> str:
    values = backbone.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(values, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000).strip()


def _scalar(text: str) -> str:
    return yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10_000).strip()[1:-1]
