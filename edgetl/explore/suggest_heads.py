"""Finds several columns of labels in a list of images or clips, and writes a recipe with a head for each."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from edgetl.data.head_sources import HeadSources, read_heads
from edgetl.data.lists import LABELS, only, part_column, path_column, read_text
from edgetl.data.scan import locate
from edgetl.data.survey import front_of
from edgetl.explore.recipe_lines import end_lines, entry, listed, relative, title_of
from edgetl.fronts.base import load_front
from edgetl.recipes.data import Data
from edgetl.types import FrontName

_SHOTS, _LEARN_FROM = 10, 2 / 3
_MOST_CLASSES = 50
_BACKBONES = {"image": "mobilenetv2_100", "audio": "speech_embedding"}


@dataclass(frozen=True)
class HeadsSeen:
    """A list and what its columns of labels name."""

    table: Path
    front: FrontName
    columns: tuple[str, ...]
    sources: HeadSources


def label_columns(root: Path) -> tuple[str, ...]:
    """The columns of a list that look like labels: several columns besides that of the paths, none of them called so,
    each with 2 to 50 values that come twice on the mean and are not all numbers: those are sizes, scores, or one column
    for each class. Raises DataError for a file that is not a list."""
    if not root.is_file() or root.suffix.lower() != ".csv":
        return ()
    rows = list(csv.DictReader(io.StringIO(read_text(root), newline="")))
    header = list(rows[0]) if rows else []
    path = path_column(header)
    if path is None or only(header, LABELS) is not None:
        return ()
    found = []
    for name in header:
        values = [text for row in rows if (text := (row[name] or "").strip())]
        alike = 2 <= len(set(values)) <= min(_MOST_CLASSES, len(values) // 2)
        if name not in (path, part_column(header)) and alike and not all(map(_is_number, set(values))):
            found.append(name)
    return tuple(found) if len(found) > 1 else ()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def survey_heads(root: Path) -> HeadsSeen | None:
    """None for what is no list of images or clips with several columns of labels. Raises DataError."""
    table, front = locate(Path(), str(root)), front_of(root)
    columns = label_columns(table) if front in _BACKBONES else ()
    if not columns:
        return None
    return HeadsSeen(table, front, columns, read_heads(Data(train=str(table), labels=columns), table.parent, front))


def heads_recipe_text(seen: HeadsSeen, recipe_dir: Path, name: str | None, *, vnni: bool = True) -> str:
    """YAML text of a recipe, to be written into the folder `recipe_dir`. Raises UsageError for an invalid name."""
    here, noun = locate(Path(), str(recipe_dir)), load_front(seen.front).noun
    train, val = seen.sources.train.truths, seen.sources.val.truths
    counts = [0] * len(seen.sources.train.listing.classes)
    for truth in train.values():
        for label in truth:
            counts[label] += 1
    apart = val is not train
    shots = max(1, min(_SHOTS, min(counts) if apart else int(_LEARN_FROM * min(counts))))
    return "\n".join(
        [
            f"# {len(seen.columns)} heads on one backbone:",
            *(f"#   {head.name}: {len(head.classes)} classes: {listed(head.classes)}" for head in seen.sources.heads),
            f"# {len(train)} {noun}s" + (f" for training, {len(val)} for validation" if apart else ""),
            "",
            entry("name", title_of(seen.table, name)),
            *([entry("front", seen.front)] if seen.front != "image" else []),
            "",
            "data:",
            "  # relative to this file",
            "  " + entry("train", relative(seen.table, here)),
            "  # one head for each of these columns; an empty cell counts for none. Leave out what is no label",
            f"  labels: [{', '.join(entry('x', column)[3:] for column in seen.columns)}]",
            "  # at least so many per class of every head",
            f"  shots: {shots}",
            "  seed: 0",
            "",
            "backbone:",
            f"  name: {_BACKBONES[seen.front]}",
            *end_lines(vnni, "; also heads: {NAME: {min_score: 0.9}}, min_score,"),
        ]
    )
