"""What a recipe with several heads may say: `data.labels` names their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetl.files.text import nearest

if TYPE_CHECKING:
    from edgetl.recipes.recipe import Recipe

_MOST_HEADS = 16
_LONGEST_NAME = 64


def refuse_for_heads(recipe: Recipe) -> None:
    """Raise ValueError for heads where they are not possible, and for what only several heads or only one takes."""
    names, columns, gates = recipe.data.labels, recipe.data.columns, recipe.gates
    if names is None:
        if columns is not None and columns.label is None:
            raise ValueError("data.columns.label is missing")
        if gates.heads is not None:
            raise ValueError("gates.heads is for several heads; name their columns in data.labels, or leave it out")
        return
    if recipe.task != "classification":
        raise ValueError(f"data.labels is for task: classification, not for task: {recipe.task}; leave it out")
    if recipe.front == "series":
        raise ValueError("data.labels is for front: image, audio or text, not for front: series; use data.columns")
    if not 2 <= len(names) <= _MOST_HEADS or len(set(names)) < len(names):
        raise ValueError(
            f"data.labels: expected 2 to {_MOST_HEADS} different columns, one for each head; "
            "for one column use data.columns.label"
        )
    odd = [name for name in names if "/" in name or not name or len(name) > _LONGEST_NAME]
    if odd:
        raise ValueError(
            f"data.labels: expected column names of 1 to {_LONGEST_NAME} characters without `/`; rename `{odd[0]}`"
        )
    if columns is not None and columns.label is not None:
        raise ValueError("data.labels and data.columns.label exclude each other; keep one of them")
    for name in gates.heads or {}:
        if name not in names:
            raise ValueError(f"gates.heads: data.labels has no `{name}`; {nearest(name, names)}")
