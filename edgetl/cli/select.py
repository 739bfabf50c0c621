"""edgetl select"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, FiniteRange, RecipeOptions, emit, progress_for, recipe_options


@click.command("select", cls=Command)
@recipe_options
@click.option(
    "--backbone", "names", multiple=True, help="Backbone to compare; repeatable.  [default: all that are found]"
)
@click.option("--target", "target_name", help="Measure on this target.  [default: the recipe's first that runs here]")
@click.option("--max-ms", type=FiniteRange(0, min_open=True), help="Budget: median latency of the float model.")
@click.option("--max-bytes", type=click.IntRange(1), help="Budget: size of the float model.")
@click.option("--write", "place", type=FILE, help="Write the recipe with the best backbone within budget.")
@click.option("--force", is_flag=True, help="With --write: replace an existing file.")
def command(
    options: RecipeOptions,
    names: tuple[str, ...],
    target_name: str | None,
    max_ms: float | None,
    max_bytes: int | None,
    place: Path | None,
    force: bool,
) -> int:
    """Rank backbones for the images of RECIPE under a budget, without training them.

    By default this compares the recipe's own backbone and every timm folder in --weights-dir. Exit code 3 if none is
    within budget.

    \b
      edgetl select recipe.yaml --weights-dir weights --max-ms 20
      edgetl select recipe.yaml --backbone resnet50 --write smaller.yaml
    """
    from edgetl.explore.select.result import Budget
    from edgetl.explore.select.select import JSON_FILE, PLOT_FILE, select
    from edgetl.explore.select.table import show_selection
    from edgetl.explore.select.write_recipe import check_place
    from edgetl.recipes.targets import load_target

    if place:
        check_place(options.recipe, place, force=force)
    job = options.job()
    target = load_target(target_name, options.targets_dirs) if target_name else None
    found = select(job, names, target, Budget(max_ms, max_bytes), progress_for(options.quiet))
    if options.as_json:
        emit(found.to_json())
    else:
        show_selection(found)
        click.echo(f"details: {job.out / JSON_FILE}\nplot:    {job.out / PLOT_FILE}")
    if found.best is None:
        click.echo("edgetl: no backbone is within budget" + ("; wrote no recipe" if place else ""), err=True)
        return 3
    if place:
        _write(options.recipe, place, found.best.name, job.recipe)
    return 0


def _write(recipe: Path, place: Path, name: str, own: object) -> None:
    from edgetl.explore.select.write_recipe import write_recipe
    from edgetl.recipes.recipe import Recipe

    assert isinstance(own, Recipe)
    write_recipe(recipe, place, own.backbone if name == own.backbone.name else _with_name(own, name))
    click.echo(f"wrote {place} with the backbone {name}", err=True)
    if name != own.backbone.name and own.adapt.freeze != "auto":
        click.echo(f"check adapt.freeze in {place}: it names layers of {own.backbone.name}", err=True)


def _with_name(own: Any, name: str) -> Any:
    """Another backbone, searched in the same folders."""
    from edgetl.explore.select.backbones import other
    from edgetl.recipes.recipe import Backbone

    found = other(own.backbone, name, own.task)
    folders = {"weights_dir": own.backbone.weights_dir} if own.backbone.weights_dir else {}
    return Backbone(**found.model_dump(exclude_unset=True), **folders)
