"""edgetl cluster"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, emit, json_option, progress_for, quiet_option, weights_dir_option

_NAMED = 5


class _Count(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in the newest click only
    """A number of clusters, or `auto`."""

    name = "K"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value == "auto" or isinstance(value, int):
            return None if value == "auto" else value
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"expected a whole number of at least 1, or auto; found {value!r}", param, ctx)
        return int(value)


@click.command("cluster", cls=Command)
@click.argument("folder", type=FILE)
@click.option("--backbone", required=True, help="Network whose features are clustered, named as in a recipe.")
@weights_dir_option
@click.option("--clusters", type=_Count(), default="auto", show_default=True, help="Number of clusters, or auto.")
@click.option(
    "--label-next",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Number of images to propose for labeling.",
)
@click.option(
    "--labeled",
    "--labelled",
    "labeled",
    type=FILE,
    multiple=True,
    help="CSV list `path,label` of images labeled so far; repeatable.",
)
@click.option("--pseudo-label", is_flag=True, help="With --labeled: also label images, if this is proven to be right.")
@click.option(
    "--pseudo-per-class",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Limit of pseudo-labels per class.",
)
@click.option(
    "--resize",
    type=click.Choice(["squash", "crop", "letterbox"]),
    default="squash",
    show_default=True,
    help="How an image is fitted to the network's input size.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all random draws.")
@click.option("--out", type=FILE, help="Output folder.  [default: <folder's name>-clusters]")
@quiet_option
@json_option
def command(
    folder: Path,
    backbone: str,
    weights_dirs: tuple[Path, ...],
    clusters: int | None,
    label_next: int,
    labeled: tuple[Path, ...],
    pseudo_label: bool,
    pseudo_per_class: int,
    resize: Any,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Group the unlabeled images below FOLDER and propose which to label next.

    \b
      edgetl cluster photos --backbone mobilenetv2_100 --weights-dir weights
      edgetl cluster photos --labeled labels.csv --label-next 50
    """
    from edgetl.explore.cluster.cluster import Request, cluster, summary
    from edgetl.recipes.recipe import Backbone

    request = Request(
        folder=folder,
        backbone=Backbone(name=backbone),
        weights_dirs=weights_dirs,
        resize=resize,
        clusters=clusters,
        label_next=label_next,
        labeled=labeled,
        pseudo=pseudo_per_class if pseudo_label else None,
        seed=seed,
        out=out or Path(f"{folder.resolve().name}-clusters"),
    )
    outcome = cluster(request, progress_for(quiet))
    if as_json:
        emit({"out": str(request.out), **summary(outcome)})
    else:
        _show(outcome, request.out)


def _show(outcome: Any, out: Path) -> None:
    from edgetl.explore.cluster.cluster import CLUSTERS_FILE, NEXT_FILE, PSEUDO_FILE, SHEET_FILE

    found, pseudo = outcome.found, outcome.pseudo
    click.echo(f"{len(found.images)} images in {len(outcome.sizes)} clusters of {', '.join(map(str, outcome.sizes))}")
    for skipped in found.skipped[:_NAMED]:
        click.echo(f"skipped {skipped.path}: {skipped.reason}")
    if len(found.skipped) > _NAMED:
        click.echo(f"skipped {len(found.skipped) - _NAMED} more; clusters.json lists them")
    if found.copies:
        click.echo(f"left out {len(found.copies)} copies of other images")
    click.echo(f"clusters:      {out / CLUSTERS_FILE}\ncontact sheet: {out / SHEET_FILE}")
    click.echo(f"label next:    {out / NEXT_FILE} ({len(outcome.proposals)} images; fill in the column `label`)")
    if pseudo and pseudo.indices:
        threshold = pseudo.threshold
        click.echo(
            f"pseudo-labels: {out / PSEUDO_FILE} ({len(pseudo.indices)} images with a confidence of at least "
            f"{threshold.value:.3f}, at which {threshold.right} of {threshold.proven} held-out predictions are right)"
        )
    elif pseudo:
        click.echo(f"no pseudo-labels: {pseudo.reason}")
