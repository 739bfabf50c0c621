"""The lines of a proposed recipe that do not depend on the task."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from edgetl.data.lists import part_of
from edgetl.data.scan import SPLIT_NAMES, Listing, locate
from edgetl.data.survey import Survey
from edgetl.errors import UsageError
from edgetl.files.text import printable
from edgetl.fronts.image.augment_policy import naming, why_not_mirrored

_SHOTS = 10
_LEARN_FROM = 2 / 3  # share of the images for training in a folder without a validation part
_AFFORDABLE = 500  # training images that two CPU cores can fine-tune on in about ten minutes

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_NO_UP = re.compile(
    "aerial|satellite|overhead|drones?|uav|orthophotos?|landsat|sentinel|eurosat|microscop[a-z]*|histology|cytology"
    "|blood|platelets?|pcbs?|textures?|surfaces?|steel|wafers?|fabrics?|leather|scratch|scratches"
)
_LAND_USE = re.compile(
    "(airport|beach|bridge|building|commercial|crop|desert|farm|field|forest|grass|harbou?r|highway|industr|lake"
    "|meadow|mountain|orchard|parking|pasture|resident|river|runway|sea|vegetation|vineyard|wetland)[a-z]*"
)


class Surveyed(Protocol):
    """What all surveys of examples in classes know."""

    @property
    def train(self) -> Listing: ...
    @property
    def val(self) -> Listing | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Choice:
    """A value for the recipe and the comment that explains it."""

    value: str | int
    why: str


def target_lines(vnni: bool) -> list[str]:
    """The targets; vnni  False if this computer is an x86 one without VNNI."""
    if not vnni:
        return [
            "# this CPU has no VNNI, which x86-cpu and intel-cpu need; these two are for CPUs without it",
            "targets: [x86-avx2, intel-avx2, arm64-cpu]",
        ]
    return ["targets: [x86-cpu, intel-cpu, arm64-cpu]"]


def head_lines(title: str, seen: Surveyed, facts: str, section: str = "") -> list[str]:
    """What is known of labeled examples, and the recipe's name.

    facts    a line about their sizes
    section  a line that names the front
    """
    counts, noun = seen.train.counts(), f"{seen.train.noun}s"
    return [
        f"# {len(counts)} classes: {listed(seen.train.classes)}",
        f"# {sum(counts)} training {noun}, {span(min(counts), max(counts))} per class; {_validation(seen, noun)}",
        f"# {facts}",
        *unbalanced_lines(counts),
        *note_lines(seen.notes),
        "",
        entry("name", title),
        *([section] if section else []),
        "",
    ]


def _validation(seen: Surveyed, noun: str) -> str:
    """How many examples are for validation; windows of background noise that are in both listings count once."""
    if seen.val is None:
        return f"no separate validation {noun}"
    trained = {path for path, _ in seen.train.files}
    own = sum(path not in trained for path, _ in seen.val.files)
    lent = len(seen.val.files) - own
    return f"{own} validation {noun}" + (f", and some of the {lent} windows of background noise" if lent else "")


def place_lines(train: Path, val: Path | None, here: Path, noun: str, better: str) -> list[str]:
    """The beginning of `data`.

    here    the recipe's folder
    better  what a `val` should hold, if there is none
    """
    lines = ["data:", "  # relative to this file", "  " + entry("train", relative(train, here))]
    if val is not None:
        return [*lines, "  " + entry("val", relative(val, here))]
    return [*lines, f"  # no `val`: the {noun}s that are not drawn are for validation; {better} are better"]


def unbalanced_lines(counts: Sequence[int]) -> list[str]:
    """A comment if the largest class is much larger than the smallest."""
    if max(counts) <= 3 * min(counts):
        return []
    return [f"# unbalanced: the largest class has {max(counts) / min(counts):.0f} times the smallest"]


def shots_lines(shots: Choice) -> list[str]:
    """How many examples are drawn."""
    return [*(f"  # {line}" for line in shots.why.splitlines()), "  " + entry("shots", shots.value), "  seed: 0"]


UNREADABLE_LINES = (
    "  # `refuse` stops at the first broken files instead of naming and skipping them",
    "  unreadable: skip",
)


def choice_lines(shots: Choice, resize: Choice, augment: Choice) -> list[str]:
    """The rest of `data`."""
    return [
        *shots_lines(shots),
        *(f"  # {line}" for line in resize.why.splitlines()),
        "  " + entry("resize", resize.value),
        f"  # {augment.why}",
        "  " + entry("augment", augment.value),
        *UNREADABLE_LINES,
        "",
    ]


def end_lines(vnni: bool, limits: str) -> list[str]:
    """Targets and gates; limits  what the gates may limit"""
    return [
        "",
        "# one bundle each; more: nvidia-rtx, nvidia-gpu, jetson-orin-nano, raspberry-pi-5 (`edgetl targets`)",
        *target_lines(vnni),
        "",
        f"# limits for a bundle to pass{limits} max_p99_ms, max_size_bytes, max_float_layers",
        "gates:",
        "  max_drop_points: 1.0",
        "",
    ]


def note_lines(notes: Sequence[str]) -> list[str]:
    """One comment per note."""
    lines: list[str] = []
    for note in notes:
        lines += textwrap.wrap(
            printable(note), 118, initial_indent="# note: ", subsequent_indent="#   ", break_long_words=False
        )
    return lines


def augment_choice(train: Listing) -> Choice:
    """The training views, by the names of classes and folders."""
    enough = (len(train.classes) + 1) // 2
    reason = why_not_mirrored(train.classes)
    if reason:
        return Choice("text", f"{reason}: no flips")
    places = [printable(folder.name) for folder in (train.root, train.root.parent)]
    if naming(_NO_UP, [*places, *train.classes]) or naming(_LAND_USE, train.classes) >= enough:
        return Choice("overhead", "the names mention views without up and down: flips, quarter turns; else `natural`")
    return Choice("natural", "left-right flips; `text` if a mirrored image means something else; see also `overhead`")


def title_of(root: Path, name: str | None) -> str:
    """The recipe's name: `name`, or one from that of the images. Raises UsageError for an invalid name."""
    title = _from_path(locate(Path(), str(root))) if name is None else name
    if not _NAME.fullmatch(title):
        raise UsageError(
            f"name {title!r}: expected up to 64 letters, digits, `_`, `.`, `-`, starting with a letter or digit"
        )
    return title


def _from_path(root: Path) -> str:
    stem = root.stem if root.suffix.lower() in (".csv", ".tsv", ".jsonl", ".json", ".yaml", ".yml") else root.name
    is_part = stem.lower() in SPLIT_NAMES or (root.is_file() and (part_of(stem) or stem.lower() in ("data", "dataset")))
    if is_part:
        stem = root.parent.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-_.")[:64] or "recipe"


def relative(path: Path, here: Path) -> str:
    """The path as written into a recipe in the folder `here`."""
    return Path(os.path.relpath(path, here)).as_posix()


def entry(key: str, value: str | int) -> str:
    """`key: value` on one line, quoted if YAML would not read exactly this text."""
    return yaml.safe_dump({key: value}, allow_unicode=True, width=1 << 30).rstrip("\n")


def listed(names: Sequence[str]) -> str:
    """The first eight names."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(printable(name) for name in names[:8]) + more


def span(low: int, high: int) -> str:
    """`3`, or `3 to 9`."""
    return str(low) if low == high else f"{low} to {high}"


def list_lines(seen: Survey, here: Path) -> list[str]:
    """How a list is read, if there is one whose columns and paths are not the usual ones."""
    lines = []
    if seen.columns is not None:
        named = seen.columns.model_dump(exclude_none=True).items()
        lines += ["  columns:", *("    " + entry(key, text) for key, text in named)]
    if seen.images is not None:
        lines += [
            "  # files are looked up below it by the last parts of their paths",
            "  " + entry("images", relative(seen.images, here)),
        ]
    return lines


def shots_choice(seen: Survey) -> Choice:
    """Shots per class."""
    noun = f"{seen.train.noun}s"
    least, total = min(seen.train.counts()), sum(seen.train.counts())
    if seen.val is not None and total <= _AFFORDABLE:
        return Choice("all", f"all {total} training {noun} are few enough; a number per class trains faster")
    if seen.val is not None:
        shots = min(least, max(_SHOTS, _AFFORDABLE // len(seen.train.classes)))
        return Choice(shots, f"per class, of at least {least}; `all` takes all {total} and trains longer")
    # two for training for each one for validation: accuracy is also cross-validated on the shots, so the others only
    # have to prove the shipped build
    shots = max(1, min(int(_LEARN_FROM * least), max(_SHOTS, _AFFORDABLE // len(seen.train.classes))))
    left = least - shots
    return Choice(
        shots,
        f"of {least} per class are for training; {left} or more of each validate the shipped build\n"
        "fewer train faster, and the line `more shots` of the build shows their cost; with a `val` use `all`",
    )
