"""Tables with several columns of labels: one head of the network for each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.data.lists import Part, check_label, part_column, path_column, read_header
from edgetl.data.names import in_quotes
from edgetl.data.scan import Listing, locate, match_classes, natural_key, require_classes, scan
from edgetl.data.tables import is_table
from edgetl.errors import DataError
from edgetl.fronts.base import Tabular, load_front
from edgetl.recipes.data import Columns, Data
from edgetl.types import FrontName, HeadClasses, Labels


@dataclass(frozen=True)
class Labeled:
    """One part of the data.

    listing  its examples, each once; its classes are those of all heads, and the labels of its files mean nothing
    truths   path -> the indices of its classes, one for each head that it is labeled for
    """

    listing: Listing
    truths: Mapping[str, Labels]


@dataclass(frozen=True)
class HeadSources:
    """`val` is `train` itself if the rest of its examples are the validation set."""

    heads: tuple[HeadClasses, ...]
    train: Labeled
    val: Labeled


def read_heads(config: Data, base: Path, front: FrontName = "image") -> HeadSources:
    """Both parts of a recipe with `data.labels`. Raises UsageError and DataError like `scan`, and DataError for a head
    with fewer than two classes, or with other classes in validation."""
    assert config.labels is not None
    images = None if config.images is None else locate(base, config.images)
    place = locate(base, config.train)
    found = _by_head(place, config, images, "train", front)
    for listing in found.values():
        require_classes(listing)
    heads = heads_of({name: listing.classes for name, listing in found.items()})
    train = _merged(heads, found)
    if config.val is None and not train.listing.measures:
        return HeadSources(heads, train, train)
    val_place = place if config.val is None else locate(base, config.val)
    measured = _by_head(val_place, config, images, "val", front)
    for name, listing in measured.items():
        match_classes(found[name], listing)
    return HeadSources(heads, train, _merged(heads, measured))


def read_labeled(place: Path, heads: Sequence[HeadClasses], front: FrontName, images: Path | None = None) -> Labeled:
    """All examples of a table for known heads, those of a bundle. A head whose column is missing has no labels.

    Raises DataError for a class that a head does not have, and if no column of any head is there; else like `scan`.
    """
    there = _header(place, front)
    known = [head for head in heads if head.name in there]
    if not known:
        raise DataError(
            f"{place}: expected a column of labels for a head, {in_quotes(head.name for head in heads)}; "
            f"found {in_quotes(there, 8)}"
        )
    config = Data(train=str(place), labels=tuple(head.name for head in known))
    found = _by_head(place, config, images, None, front)
    listings = {head.name: _renumbered(found[head.name], head) for head in known}
    return _merged(tuple(known), listings)


def heads_of(classes: Mapping[str, Sequence[str]]) -> tuple[HeadClasses, ...]:
    """Heads side by side, in the given order."""
    heads: list[HeadClasses] = []
    for name, own in classes.items():
        heads.append(HeadClasses(name, heads[-1].columns.stop if heads else 0, tuple(own)))
    return tuple(heads)


def _renumbered(listing: Listing, head: HeadClasses) -> Listing:
    foreign = [name for name in listing.classes if name not in head.classes]
    if foreign:
        raise DataError(
            f"{listing.where}: {in_quotes(foreign)} is not a class of `{head.name}`, which has "
            f"{in_quotes(head.classes, 8)}; remove or rename it"
        )
    files = tuple((path, head.classes.index(listing.classes[label])) for path, label in listing.files)
    return replace(listing, classes=head.classes, files=files)


def _by_head(place: Path, config: Data, images: Path | None, part: Part | None, front: FrontName) -> dict[str, Listing]:
    columns = _columns(place, config, front)
    return {
        name: scan(
            place,
            columns=columns.model_copy(update={"label": name}),
            images=images,
            part=part,
            front=front,
            blank=True,
        )
        for name in config.labels or ()
    }


def _columns(place: Path, config: Data, front: FrontName) -> Columns:
    """The other columns, by their usual names unless the recipe names them."""
    if config.columns is not None:
        return config.columns
    header, kind = _header(place, front), load_front(front)
    split = part_column(header)
    if isinstance(kind, Tabular) and place.suffix.lower() in kind.tables:
        value = kind.open_table(place).value_column()
        if value is not None and value not in (config.labels or ()):
            return Columns(text=value, split=split)
    path = path_column(header)
    if path is None:
        key = "text" if kind.tables else "path"
        raise DataError(
            f"{place}, line 1: which column has the {kind.noun}s is not clear: found {in_quotes(header, 8)}; name it "
            f"in the recipe: data.columns: {{{key}: ...}}"
        )
    return Columns(path=path, split=split)


def _header(place: Path, front: FrontName) -> list[str]:
    if place.is_dir():
        raise DataError(
            f"{place}: expected a list or table with a column of labels for each head, found a folder; "
            "name the list (in a recipe: data.train)"
        )
    kind = load_front(front)
    if place.is_file() and is_table(place, kind, None) and isinstance(kind, Tabular):
        return list(kind.open_table(place).columns)
    return read_header(place)


def _merged(heads: Sequence[HeadClasses], listings: Mapping[str, Listing]) -> Labeled:
    truths: dict[str, list[int]] = {}
    for head in heads:
        for path, label in listings[head.name].files:
            truths.setdefault(path, []).append(head.first + label)
    first = listings[heads[0].name]
    classes = tuple(label for head in heads for label in head.labels)
    for name in classes:
        check_label(name, first.where)
    merged = replace(
        first,
        root=Path(os.path.commonpath([listing.root for listing in listings.values()])),
        classes=classes,
        skipped=tuple(dict.fromkeys(each for listing in listings.values() for each in listing.skipped)),
        measures=any(listing.measures for listing in listings.values()),
    )
    ordered = sorted(truths, key=lambda path: natural_key(merged.name_of(path)))
    files = tuple((path, truths[path][0]) for path in ordered)
    return Labeled(replace(merged, files=files), {path: tuple(truths[path]) for path in ordered})
