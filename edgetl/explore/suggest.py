"""Writes a commented recipe that suits a folder of labeled images: every choice states its reason."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from edgetl.data.scan import SPLIT_NAMES, Listing, locate
from edgetl.data.survey import Survey
from edgetl.errors import UsageError
from edgetl.files.text import printable
from edgetl.fronts.image.augment_policy import naming, why_not_mirrored
from edgetl.fronts.image.resize import auto_policy

_SHOTS = 10
_LEARN_FROM = 2 / 3  # share of the images for training in a folder without a validation part
_AFFORDABLE = 500  # training images that two CPU cores can fine-tune on in about ten minutes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_NO_UP = re.compile(
    "aerial|satellite|overhead|drones?|uav|orthophotos?|landsat|sentinel|eurosat|microscop[a-z]*|histology|cytology"
    "|textures?|surfaces?|steel|wafers?|fabrics?|leather|scratch|scratches"
)
_LAND_USE = re.compile(
    "(airport|beach|bridge|building|commercial|crop|desert|farm|field|forest|grass|harbou?r|highway|industr|lake"
    "|meadow|mountain|orchard|parking|pasture|resident|river|runway|sea|vegetation|vineyard|wetland)[a-z]*"
)


@dataclass(frozen=True)
class _Choice:
    """A value for the recipe and the comment that explains it."""

    value: str | int
    why: str


def recipe_text(seen: Survey, root: Path, recipe_dir: Path, name: str | None, *, vnni: bool = True) -> str:
    """YAML text of a recipe for the images in `root`, to be written into the folder `recipe_dir`.

    seen   `survey` of `root`
    name   the recipe's name; None makes one from the name of `root`
    vnni   False if this computer is an x86 one without VNNI
    raises UsageError for an invalid name.
    """
    title = _title(locate(Path(), str(root))) if name is None else name
    if not _NAME.fullmatch(title):
        raise UsageError(
            f"name {title!r}: expected up to 64 letters, digits, `_`, `.`, `-`, starting with a letter or digit"
        )
    here = locate(Path(), str(recipe_dir))
    return "\n".join((*_head(title, seen), *_data(seen, here), *_rest(seen, vnni)))


def _head(title: str, seen: Survey) -> list[str]:
    counts = seen.train.counts()
    heights, widths = sorted(h for h, _ in seen.sizes), sorted(w for _, w in seen.sizes)
    lines = [
        f"# {len(counts)} classes: {_listed(seen.train.classes)}",
        f"# {sum(counts)} training images, {_span(min(counts), max(counts))} per class; "
        f"{f'{len(seen.val.files)} validation images' if seen.val else 'no separate validation images'}",
        f"# widths {_span(widths[0], widths[-1])}, heights {_span(heights[0], heights[-1])} pixels",
    ]
    if max(counts) > 3 * min(counts):
        lines.append(f"# unbalanced: the largest class has {max(counts) / min(counts):.0f} times the smallest")
    for note in seen.notes:
        lines += textwrap.wrap(
            printable(note), 118, initial_indent="# note: ", subsequent_indent="#   ", break_long_words=False
        )
    return [*lines, "", _entry("name", title), ""]


def _data(seen: Survey, here: Path) -> list[str]:
    shots, augment = _shots(seen), _augment(seen.train)
    policy, measured = auto_policy(seen.sizes)
    lines = ["data:", "  # relative to this file", "  " + _entry("train", _relative(seen.train_path, here))]
    if seen.val_path is not None:
        lines.append("  " + _entry("val", _relative(seen.val_path, here)))
    else:
        lines.append(
            "  # no `val`: the images that are not drawn are for validation; images of another day or device are better"
        )
    if seen.columns is not None:
        named = seen.columns.model_dump(exclude_none=True).items()
        lines += ["  columns:", *("    " + _entry(key, text) for key, text in named)]
    if seen.images is not None:
        lines += [
            "  # files are looked up below it by the last parts of their paths",
            "  " + _entry("images", _relative(seen.images, here)),
        ]
    return [
        *lines,
        *(f"  # {line}" for line in shots.why.splitlines()),
        "  " + _entry("shots", shots.value),
        "  seed: 0",
        *(f"  # {part}" for part in measured.split("; ")),
        "  " + _entry("resize", policy),
        f"  # {augment.why}",
        "  " + _entry("augment", augment.value),
        "  # `refuse` stops at the first broken files instead of naming and skipping them",
        "  unreadable: skip",
        "",
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
    return [
        *lines,
        "",
        "# one bundle each; more: nvidia-rtx, nvidia-gpu, jetson-orin-nano, raspberry-pi-5 (`edgetl targets`)",
        *_targets(vnni),
        "",
        "# limits for a bundle to pass; also min_top1, max_p99_ms, max_size_bytes, max_float_layers",
        "gates:",
        "  max_drop_points: 1.0",
        "",
    ]


def _targets(vnni: bool) -> list[str]:
    if not vnni:
        return [
            "# this CPU has no VNNI, which x86-cpu and intel-cpu need; these two are for CPUs without it",
            "targets: [x86-avx2, intel-avx2, arm64-cpu]",
        ]
    return ["targets: [x86-cpu, intel-cpu, arm64-cpu]"]


def _shots(seen: Survey) -> _Choice:
    least, total = min(seen.train.counts()), sum(seen.train.counts())
    if seen.val is not None and total <= _AFFORDABLE:
        return _Choice("all", f"all {total} training images are few enough; a number per class trains faster")
    if seen.val is not None:
        shots = min(least, max(_SHOTS, _AFFORDABLE // len(seen.train.classes)))
        return _Choice(shots, f"per class, of at least {least}; `all` takes all {total} and trains longer")
    # two for training for each one for validation: accuracy is also cross-validated on the shots, so the others only
    # have to prove the shipped build
    shots = max(1, min(int(_LEARN_FROM * least), max(_SHOTS, _AFFORDABLE // len(seen.train.classes))))
    left = least - shots
    return _Choice(
        shots,
        f"of {least} per class are for training; {left} or more of each validate the shipped build\n"
        "fewer train faster, and the line `more shots` of the build shows their cost; with a `val` use `all`",
    )


def _augment(train: Listing) -> _Choice:
    enough = (len(train.classes) + 1) // 2
    reason = why_not_mirrored(train.classes)
    if reason:
        return _Choice("text", f"{reason}: no flips")
    places = [printable(folder.name) for folder in (train.root, train.root.parent)]
    if naming(_NO_UP, [*places, *train.classes]) or naming(_LAND_USE, train.classes) >= enough:
        return _Choice("overhead", "the names mention views without up and down: flips, quarter turns; else `natural`")
    return _Choice("natural", "left-right flips; `text` if a mirrored image means something else; see also `overhead`")


def _title(root: Path) -> str:
    stem = root.stem if root.suffix.lower() == ".csv" else root.name
    if stem.lower() in SPLIT_NAMES:
        stem = root.parent.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-_.")[:64] or "recipe"


def _relative(path: Path, here: Path) -> str:
    return Path(os.path.relpath(path, here)).as_posix()


def _entry(key: str, value: str | int) -> str:
    """`key: value` on one line, quoted if YAML would not read exactly this text."""
    return yaml.safe_dump({key: value}, allow_unicode=True, width=1 << 30).rstrip("\n")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(printable(name) for name in names[:8]) + more


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
