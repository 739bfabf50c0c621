"""Writes a commented recipe that suits images with labeled objects: every choice states its reason."""

from __future__ import annotations

from pathlib import Path

from edgetl.data.scan import locate
from edgetl.data.survey_objects import ObjectSurvey
from edgetl.explore.recipe_lines import (
    Choice,
    augment_choice,
    choice_lines,
    end_lines,
    entry,
    listed,
    note_lines,
    place_lines,
    relative,
    span,
    title_of,
)
from edgetl.fronts.image.resize import auto_policy

_SHOTS = 30
_LEARN_FROM = 2 / 3  # share of the objects of the rarest class for training, without a validation part
_AFFORDABLE = 500  # training images that two CPU cores can train on in about ten minutes
_INPUT = 320
_SMALLEST_SEEN = 12  # pixels of the input; smaller objects cover about one position of the finest feature map


def object_recipe_text(seen: ObjectSurvey, root: Path, recipe_dir: Path, name: str | None, *, vnni: bool = True) -> str:
    """YAML text of a recipe for detection, to be written into the folder `recipe_dir`; the rest as in `recipe_text`."""
    title = title_of(root, name)
    here = locate(Path(), str(recipe_dir))
    return "\n".join((*_head(title, seen), *_data(seen, here), *_rest(seen, vnni)))


def _head(title: str, seen: ObjectSurvey) -> list[str]:
    counts = seen.train.objects()
    heights, widths = sorted(h for h, _ in seen.sizes), sorted(w for _, w in seen.sizes)
    bare = sum(not image.marks for image in seen.train.images)
    known = [count for count in counts if count]
    lines = [
        f"# {len(counts)} {'class' if len(counts) == 1 else 'classes'} of objects: {listed(seen.train.classes)}",
        f"# {len(seen.train.images)} training images with {sum(counts)} objects, {span(min(known), max(known))} per "
        f"class{f'; {bare} without objects' if bare else ''}",
        f"# {_about_val(seen)}",
        f"# widths {span(widths[0], widths[-1])}, heights {span(heights[0], heights[-1])} pixels",
    ]
    if max(known) > 3 * min(known):
        lines.append(f"# unbalanced: the largest class has {max(known) / min(known):.0f} times the smallest")
    return [*lines, *note_lines(seen.notes), "", entry("name", title), "task: detection", ""]


def _about_val(seen: ObjectSurvey) -> str:
    if seen.val is None:
        return "no separate validation images"
    return f"{len(seen.val.images)} validation images with {sum(seen.val.objects())} objects"


def _data(seen: ObjectSurvey, here: Path) -> list[str]:
    shots, augment = _shots(seen), augment_choice(seen.train.listing())
    policy, measured = auto_policy(seen.sizes)
    lines = place_lines(seen.train_path, seen.val_path, here, "image", "images of another day or device")
    if seen.images is not None:
        lines += [
            "  # images are looked up below it by the last parts of their names",
            "  " + entry("images", relative(seen.images, here)),
        ]
    reasons = "\n".join(part for part in measured.split("; ") if "crop" not in part)
    return [*lines, *choice_lines(shots, Choice(policy, reasons), augment)]


def _rest(seen: ObjectSurvey, vnni: bool) -> list[str]:
    small = sorted(seen.sides)[len(seen.sides) // 10] * _INPUT
    lines = [
        "# any timm model becomes a detector with a feature pyramid; whole detectors: yolox_nano, ssd_mobilenet_v1,",
        "# tv_ssdlite320_mobilenet_v3_large",
        "backbone:",
        "  name: mobilenetv2_100",
    ]
    if small < _SMALLEST_SEEN:
        lines.append(
            f"  # one object in ten has a side of {small:.0f} pixels or less at {_INPUT}: a larger input helps"
        )
    size = "  " + entry("input_size", _INPUT)
    return [*lines, size, *end_lines(vnni, ": points of average precision; also")]


def _shots(seen: ObjectSurvey) -> Choice:
    known = [count for count in seen.train.objects() if count]
    total = len(seen.train.images)
    if seen.val is not None and total <= _AFFORDABLE:
        return Choice("all", f"all {total} images are few enough; a number of objects per class trains faster")
    if seen.val is not None:
        return Choice(_SHOTS, f"objects per class; `all` takes all {total} images and trains longer")
    shots = max(1, min(int(_LEARN_FROM * min(known)), _SHOTS))
    return Choice(
        shots,
        f"{shots} objects per class are for training, and the images that are not drawn validate the shipped build\n"
        "an image counts for each of its objects; fewer train faster, and with a `val` use `all`",
    )
