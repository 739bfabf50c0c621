"""Writes a commented recipe that suits a folder of labeled images: every choice states its reason."""

from __future__ import annotations

from pathlib import Path

from edgetl.data.scan import locate
from edgetl.data.survey import Survey
from edgetl.explore.recipe_lines import (
    Choice,
    augment_choice,
    choice_lines,
    end_lines,
    head_lines,
    list_lines,
    place_lines,
    shots_choice,
    span,
    title_of,
)
from edgetl.fronts.image.resize import auto_policy


def recipe_text(seen: Survey, root: Path, recipe_dir: Path, name: str | None, *, vnni: bool = True) -> str:
    """YAML text of a recipe for the images in `root`, to be written into the folder `recipe_dir`.

    seen   `survey` of `root`
    name   the recipe's name; None makes one from the name of `root`
    vnni   False if this computer is an x86 one without VNNI
    raises UsageError for an invalid name.
    """
    title = title_of(root, name)
    here = locate(Path(), str(recipe_dir))
    return "\n".join((*_head(title, seen), *_data(seen, here), *_rest(seen, vnni)))


def _head(title: str, seen: Survey) -> list[str]:
    heights, widths = sorted(h for h, _ in seen.sizes), sorted(w for _, w in seen.sizes)
    sizes = f"widths {span(widths[0], widths[-1])}, heights {span(heights[0], heights[-1])} pixels"
    return head_lines(title, seen, sizes)


def _data(seen: Survey, here: Path) -> list[str]:
    shots, augment = shots_choice(seen), augment_choice(seen.train)
    policy, measured = auto_policy(seen.sizes)
    places = place_lines(seen.train_path, seen.val_path, here, "image", "images of another day or device")
    return [
        *places,
        *list_lines(seen, here),
        *choice_lines(shots, Choice(policy, measured.replace("; ", "\n")), augment),
    ]


def _rest(seen: Survey, vnni: bool) -> list[str]:
    longest = sorted(max(size) for size in seen.sizes)[len(seen.sizes) // 2]
    lines = [
        "# any timm model; `tv_resnet18` for torchvision's; `local-dir:PATH` for a folder with config.json and weights",
        "backbone:",
        "  name: mobilenetv2_100",
    ]
    if longest <= 64:
        lines.append(f"  # the images have {longest} pixels: a smaller input is faster and may be as accurate")
        lines.append("  # input_size: 96")
    return [*lines, *end_lines(vnni, "; also min_top1,")]
