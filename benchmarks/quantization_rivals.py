"""The alternatives of `quantization.py`, with the settings that a case's hardware needs."""

from __future__ import annotations

from dataclasses import replace
from importlib import util
from pathlib import Path

from plain_models import Recipe, Shots, controlled_recipe, nncf_recipes, static_recipes
from quantization_cases import NNCF, NNCF_CONTROLLED, STATIC, Case

from edgetl.backends.failures import one_line
from edgetl.errors import BackendError


def missing(method: str) -> str:
    """Why an alternative cannot be made here; empty if it can."""
    if method in (*NNCF, NNCF_CONTROLLED) and util.find_spec("nncf") is None:
        return "nncf is not installed: pip install -e '.[compare]'"
    return ""


def recipe_named(case: Case, method: str, val: Shots, max_drop_points: float) -> Recipe:
    """How to make an alternative; whatever its tool raises becomes a BackendError.

    val  labeled images for accuracy control: those that edgetl's own gate is judged on
    """
    if method in STATIC:
        found = static_recipes(symmetric=case.symmetric, reduce_range=case.reduce_range)
        return _guarded(next(recipe for recipe in found if recipe.name == method))
    if method == NNCF_CONTROLLED:
        return _guarded(controlled_recipe(val, max_drop_points))
    return _guarded(next(recipe for recipe in nncf_recipes() if recipe.name == method))


def _guarded(recipe: Recipe) -> Recipe:
    def make(pivot: Path, shots: Shots, out: Path) -> None:
        try:
            recipe.make(pivot, shots, out)
        except Exception as error:  # the tools raise what they like; one cell is lost, not the run
            raise BackendError(f"{recipe.name}: {one_line(error)}") from error

    return replace(recipe, make=make)
