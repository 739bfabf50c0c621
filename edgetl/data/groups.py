"""Groups of images that belong together (a video, a patient, a site), read from file names by `data.group_by`."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgetl.data.names import first_of, in_quotes
from edgetl.data.scan import Listing, locate
from edgetl.data.sources import read_files
from edgetl.data.tables import group_of
from edgetl.errors import UsageError
from edgetl.fronts.audio.piece import piece_of
from edgetl.recipes.run import Run
from edgetl.types import FrontName, Progress, Sample, Silent


@dataclass(frozen=True)
class SharedGroup:
    """A validation image whose group is also in training. `val` and `shot` index `Split.val` and `Split.shots`."""

    key: str
    shot: int
    val: int


@dataclass(frozen=True)
class SplitKeys:
    """Groups of `Split.shots` and `Split.val`, in their order."""

    shots: tuple[str, ...]
    val: tuple[str, ...]


def group_keys(pattern: str, listing: Listing, progress: Progress | None = None) -> dict[str, str]:
    """The group of every file of a listing: absolute path -> key.

    For files `pattern` is searched in the name relative to the listing's root; the key is its named group `group`, else
    its first capture group, else the whole match; that of a window of background noise is its recording. For rows of a
    table it is the name of the column with the key. Raises UsageError naming files without a key. Names and pattern are
    short, but a pattern with nested repeats can still run forever on one name: `progress` shows where, and an interrupt
    ends it.
    """
    if listing.rows_of is not None:
        return _keys_of_rows(pattern, (path for path, _ in listing.files), listing.rows_of)
    named = [(path, listing.name_of(path)) for path, _ in listing.files]
    return _keys(pattern, named, listing.where, progress or Silent())


def split_keys(run: Run) -> SplitKeys | None:
    """The group of every image of a run's split, by the names it was drawn by; None without `data.group_by`.

    Raises UsageError as `group_keys` does, and what `scan` raises for a list that is no longer as it was.
    """
    shots = shot_keys(run)
    config = run.job.recipe.data
    if config.group_by is None or shots is None:
        return None
    return SplitKeys(shots, _keys_of_samples(config.group_by, run.split.val, _listing(run, "val")))


def shot_keys(run: Run) -> tuple[str, ...] | None:
    """`split_keys` of the shots alone."""
    config = run.job.recipe.data
    if config.group_by is None:
        return None
    return _keys_of_samples(config.group_by, run.split.shots, _listing(run, "train"))


def val_groups(run: Run) -> tuple[str, ...] | None:
    """The groups of the validation images for the intervals of a detector; None without `data.group_by`. Those of a
    classifier are of shares of single images."""
    if run.job.recipe.task == "classification":
        return None
    keys = split_keys(run)
    return None if keys is None else keys.val


def shared_groups(keys: SplitKeys) -> tuple[SharedGroup, ...]:
    """The validation images whose group also has a shot, each with the first such shot; ordered like `Split.val`.

    They can occur only with a separate `data.val`.
    """
    first: dict[str, int] = {}
    for shot, key in enumerate(keys.shots):
        first.setdefault(key, shot)
    return tuple(SharedGroup(key, first[key], val) for val, key in enumerate(keys.val) if key in first)


def order_by_group(
    ordered: Sequence[Sequence[str]], classes: Sequence[str], keys: Mapping[str, str], seed: int
) -> list[list[str]]:
    """The paths of each class in the order they become shots, such that complete groups remain for validation.

    ordered  the paths of each class as they would be drawn without groups

    Half of a class's groups are for training, drawn by a hash of (seed, key): each gives one image before any gives a
    second. The other half follows group by group, for classes that would otherwise have too few. The order does not
    depend on the number of shots: fewer shots are a subset of more shots. A group shared by several classes is on the
    same side for all; the class with the fewest groups decides.
    """
    groups = [sorted({keys[path] for path in paths}, key=lambda key: _rank(key, seed)) for paths in ordered]
    training = _training_groups(groups, classes)
    drawn: list[list[str]] = []
    for paths, own in zip(ordered, groups, strict=True):
        place = {key: (0, 0) if key in training else (1, rank) for rank, key in enumerate(own)}
        turns: Counter[str] = Counter()
        keyed: list[tuple[tuple[int, int], int, int]] = []
        for index, path in enumerate(paths):
            keyed.append((place[keys[path]], turns[keys[path]], index))
            turns[keys[path]] += 1
        drawn.append([paths[index] for _, _, index in sorted(keyed)])
    return drawn


def most_shots(listing: Listing, keys: Mapping[str, str], seed: int) -> int:
    """The most shots per class with which `order_by_group` leaves half of the groups for validation."""
    paths: list[list[str]] = [[] for _ in listing.classes]
    for path, label in listing.files:
        paths[label].append(path)
    groups = [sorted({keys[path] for path in own}, key=lambda key: _rank(key, seed)) for own in paths]
    training = _training_groups(groups, listing.classes)
    return min(sum(keys[path] in training for path in own) for own in paths)


def _training_groups(groups: Sequence[Sequence[str]], classes: Sequence[str]) -> set[str]:
    trains: dict[str, bool] = {}
    for label in sorted(range(len(groups)), key=lambda label: (len(groups[label]), classes[label])):
        open_places = (len(groups[label]) + 1) // 2 - sum(trains.get(key, False) for key in groups[label])
        for key in groups[label]:
            if key not in trains:
                trains[key] = open_places > 0
                open_places -= 1
    return {key for key, is_training in trains.items() if is_training}


def _rank(key: str, seed: int) -> tuple[bytes, str]:
    return hashlib.sha256(json.dumps([seed, "group", key]).encode()).digest(), key


def _listing(run: Run, side: Literal["train", "val"]) -> Listing:
    recipe, base = run.job.recipe, run.job.base
    config = recipe.data
    place = locate(base, config.val or config.train if side == "val" else config.train)
    if place.is_dir() and recipe.task == "classification":
        return Listing(place, None, (), (), ())
    # the start of names in a list depends on where its images lie
    sources = read_files(recipe.task, config, base, recipe.front)
    return sources.train if side == "train" else sources.val


def _keys_of_samples(pattern: str, samples: Sequence[Sample], listing: Listing) -> tuple[str, ...]:
    if listing.rows_of is not None:
        return tuple(_keys_of_rows(pattern, (sample.path for sample in samples), listing.rows_of).values())
    named = [(sample.path, listing.name_of(sample.path)) for sample in samples]
    keys = _keys(pattern, named, listing.where, Silent())
    return tuple(keys[sample.path] for sample in samples)


def _keys_of_rows(column: str, paths: Iterable[str], front: FrontName) -> dict[str, str]:
    keys = {path: group_of(path, column, front) for path in paths}
    without = [Path(path).name for path, key in keys.items() if not key]
    if without:
        raise UsageError(
            f"data.group_by: the column `{column}` is empty in {len(without)} of {len(keys)} rows: "
            f"{first_of(without)}; expected a group in every row"
        )
    return keys


def _keys(pattern: str, named: Iterable[tuple[str, str]], where: str, progress: Progress) -> dict[str, str]:
    expression = re.compile(pattern)
    wanted: str | int = "group" if "group" in expression.groupindex else min(1, expression.groups)
    keys: dict[str, str] = {}
    without: list[str] = []
    named = list(named)
    with progress.task("grouping", total=len(named)) as advance:
        for path, name in named:
            advance(1, name)
            window = piece_of(name)
            found = expression.search(name)
            key = str(window.recording) if window else found[wanted] if found else None
            if key:
                keys[path] = key
            else:
                without.append(name)
    if without:
        raise UsageError(
            f"{where}: data.group_by {pattern!r} matches no group in {len(without)} of {len(named)} names: "
            f"{in_quotes(without)}; expected one in every name, change the "
            "pattern, or rename or remove these files"
        )
    return keys
