"""Surveys labeled images, clips or texts before there is a recipe: parts, classes, sizes, oddities."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from edgetl.data.background import lent, with_windows
from edgetl.data.lists import COLUMNS, Part, guess_columns, part_of, path_column, read_header, without_part
from edgetl.data.names import in_quotes, warnings_about
from edgetl.data.scan import Listing, is_hidden, locate, match_classes, require_classes, scan
from edgetl.errors import DataError
from edgetl.files.text import printable
from edgetl.fronts.audio.examine import ClipFacts, examine
from edgetl.fronts.audio.window import USUAL_S
from edgetl.fronts.base import FRONTS, Tabular, Unreadable, load_front
from edgetl.fronts.image.decode import read_size
from edgetl.fronts.text.front import TextFacts, TextFront
from edgetl.recipes.data import Columns
from edgetl.types import FrontName

_TRAIN_NAMES = ("train", "training")
_VAL_NAMES = ("val", "valid", "validation", "dev", "test", "testing")
_TEST_NAMES = ("test", "testing")
_LOOKED_AT = 200
_COUNTED = 2000
_TABLES = 20
_LIST_CHARACTERS = 200_000


T = TypeVar("T")


@dataclass(frozen=True)
class Survey:
    """The result of a survey.

    sizes    of some images as (height, width); `broken` of those examined would not open
    clips, texts  the same of some clips, and of some texts
    columns  the column names of the list, if they had to be guessed
    images   folder in which the files of the list are found by the last parts of their paths, if the paths are invalid
    notes    one sentence per oddity or useful fact
    """

    train_path: Path
    val_path: Path | None
    train: Listing
    val: Listing | None
    sizes: tuple[tuple[int, int], ...]
    broken: int
    columns: Columns | None
    images: Path | None
    notes: tuple[str, ...]
    clips: tuple[ClipFacts, ...] = ()
    texts: tuple[TextFacts, ...] = ()


def front_of(root: Path) -> FrontName:
    """Whose examples a folder or a list mostly names, or a table holds."""
    if is_text_table(_part_to_train(locate(Path(), str(root)))):
        return "text"
    counts = dict.fromkeys(FRONTS, 0)
    for suffix in _suffixes(locate(Path(), str(root))):
        for name in FRONTS:
            counts[name] += suffix in load_front(name).suffixes
    if any(counts[name] for name in FRONTS if name not in ("text", "series")):
        counts["text"] = counts["series"] = 0  # those of annotations, remarks, or lists
    elif _text_tables(root):
        return "text"
    return max(counts, key=lambda name: counts[name])


def is_text_table(path: Path) -> bool:
    """Whether it is a table with a column of texts and one of labels, and none of paths."""
    kind = load_front("text")
    if path.suffix.lower() not in kind.tables or not path.is_file() or not isinstance(kind, Tabular):
        return False
    try:
        table = kind.open_table(path)
    except DataError:
        # a CSV may be a damaged list of images; the others are nothing else
        return path.suffix.lower() != ".csv"
    return path_column(table.columns) is None and table.value_column() is not None


def _part_to_train(root: Path) -> Path:
    """The table in a folder that training takes, or the path itself."""
    return _sides(root, _parts(root))[0] if root.is_dir() else root


def _text_tables(folder: Path) -> list[Path]:
    """Those directly in a folder; of the first few files."""
    if not folder.is_dir():
        return []
    entries = sorted(each for each in folder.iterdir() if each.suffix.lower() in load_front("text").tables)
    return [each for each in entries[:_TABLES] if is_text_table(each)]


def _suffixes(root: Path) -> Iterator[str]:
    """In lower case, of the first files of a folder or the paths in a list."""
    try:
        if root.is_file():
            text = root.read_text(encoding="utf-8", errors="replace")[:_LIST_CHARACTERS]
            yield from re.findall(r"\.[a-z0-9]{2,5}\b", text.lower())
            return
    except OSError:  # `scan` names it
        return
    found = (Path(name).suffix.lower() for _, _, names in os.walk(root) for name in names)
    yield from islice(found, _COUNTED)


def survey(root: Path, front: FrontName = "image") -> Survey:
    """Look at a folder with one sub-folder per class, one with train/ and val/ (or train.csv and val.csv), or a list.

    Opens only headers of images, and some clips. Raises UsageError for a missing folder, DataError for unusable data.
    """
    root = locate(Path(), str(root))
    parts = _parts(root)
    train_path, val_path = _sides(root, parts)
    columns = None if is_text_table(train_path) and front == "text" else _columns(train_path)
    train, images = _read(train_path, columns, part="train", front=front)
    require_classes(train)
    if train.measures and val_path is None:
        val_path = train_path
    val = None if val_path is None else scan(val_path, columns=columns, images=images, part="val", front=front)
    if val is not None:
        val = lent(train, with_windows(val, USUAL_S)) if front == "audio" else val
        match_classes(train, val)
    _require_images(train, least=1 if val else 2)
    clips: tuple[ClipFacts, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    texts: tuple[TextFacts, ...] = ()
    if front == "audio":
        clips, broken, why = _looked_at(train, examine)
    elif front == "text":
        texts, broken, why = _looked_at(train, TextFront().examine)
    else:
        sizes, broken, why = _looked_at(train, read_size)
    looked_at = len(sizes) + len(clips) + len(texts) + broken
    notes = [*_about_list(columns, images), *_about_folders(train, looked_at, broken, why)]
    test = _first(parts, _TEST_NAMES)
    if test is not None and test not in (train_path, val_path):
        notes.append(f"{test.name} is not used; evaluate the finished bundle on it: edgetl bench BUNDLE --data {test}")
    return Survey(train_path, val_path, train, val, sizes, broken, columns, images, tuple(notes), clips, texts)


def listing_of(path: Path, front: FrontName = "image", window_s: float = USUAL_S) -> Listing:
    """Labeled files without a recipe, read like in `survey`; windows of background noise have `window_s` seconds.
    Raises like `scan`."""
    path = locate(Path(), str(path))
    columns = None if is_text_table(path) and front == "text" else _columns(path)
    return _read(path, columns, part=None, front=front, window_s=window_s)[0]


def _parts(root: Path) -> dict[str, Path]:
    """Entries of a folder that could be a part of the data, by their names in lower case."""
    try:
        entries = {entry.name.lower(): entry for entry in sorted(root.iterdir(), reverse=True)} if root.is_dir() else {}
        return {name: entry for name, entry in entries.items() if _is_part(entry)}
    except OSError as error:
        raise DataError(f"{root}: cannot be listed: {error.strerror}") from error


def _sides(root: Path, parts: Mapping[str, Path]) -> tuple[Path, Path | None]:
    """The training and the validation part of the user's path."""
    train = _first(parts, _TRAIN_NAMES)
    tables = [] if train or not root.is_dir() else _text_tables(root)
    trained = [each for each in tables if part_of(each.stem) == "train"] or tables
    if len(trained) > 1:
        named = in_quotes(each.name for each in trained)
        raise DataError(f"{root}: holds several tables of texts ({named}); name one: edgetl new {trained[0]}")
    if train is None and trained:
        return trained[0], _counterpart(trained[0])
    if train is None:
        return root, _counterpart(root)
    return train, _first(parts, _VAL_NAMES)


def _counterpart(table: Path) -> Path | None:
    """For a table of texts named as one part (`reviews_train.csv`), the one beside it for validation."""
    if not is_text_table(table) or part_of(table.stem) != "train":
        return None
    same = [
        each
        for each in sorted(table.parent.iterdir())
        if each.suffix == table.suffix and without_part(each.stem) == without_part(table.stem)
    ]
    by_part = {part_of(each.stem): each for each in reversed(same)}
    return by_part.get("val") or by_part.get("test")


def _is_part(entry: Path) -> bool:
    # a folder of classes, or a list; a folder `train` with images directly in it is a class of trains
    return entry.suffix.lower() in load_front("text").tables or (
        entry.is_dir() and any(inner.is_dir() for inner in entry.iterdir())
    )


def _first(parts: Mapping[str, Path], stems: Sequence[str]) -> Path | None:
    endings = ("", *load_front("text").tables)
    return next((parts[stem + ending] for stem in stems for ending in endings if stem + ending in parts), None)


def _columns(path: Path) -> Columns | None:
    if not path.is_file():
        return None
    header = read_header(path)
    if sorted(cell.lower() for cell in header if cell.lower() != "split") == sorted(COLUMNS):
        return None
    return guess_columns(header)


def _read(
    path: Path, columns: Columns | None, *, part: Part | None, front: FrontName, window_s: float = USUAL_S
) -> tuple[Listing, Path | None]:
    """The listing, and the folder in which its files are found if its paths are invalid."""
    try:
        found = scan(path, columns=columns, part=part, front=front)
        return with_windows(found, window_s) if front == "audio" else found, None
    except DataError:
        if not path.is_file():
            raise
        try:
            return scan(path, columns=columns, images=path.parent, part=part, front=front), path.parent
        except DataError:
            pass
        raise


def _require_images(train: Listing, least: int) -> None:
    found, noun = min(train.counts()), f"{train.noun}s"
    if found < least:
        poorest = train.classes[train.counts().index(found)]
        raise DataError(f"{train.where}: class `{poorest}` has {found} {noun}; expected at least {least}; add {noun}")


def _looked_at(train: Listing, look: Callable[[Path], T]) -> tuple[tuple[T, ...], int, str]:
    """What is seen of some files, how many would not open, and why the first one did not."""
    seen: list[T] = []
    broken: list[str] = []
    looked_at = train.files[:: max(1, len(train.files) // _LOOKED_AT)]
    for path, _ in looked_at:
        try:
            seen.append(look(Path(path)))
        except Unreadable as error:
            broken.append(f"{train.name_of(path)}: {error.reason}")
    if not seen:
        raise DataError(f"{train.where}: none of {len(looked_at)} examined {train.noun}s can be opened: {broken[0]}")
    return tuple(seen), len(broken), broken[0] if broken else ""


def _about_list(columns: Columns | None, images: Path | None) -> list[str]:
    sentences = []
    if columns is not None:
        sentences.append(f"the columns `{columns.path}` and `{columns.label}` are taken as path and label")
    if images is not None:
        sentences.append(f"files are looked up below {images} by the last parts of their paths")
    return sentences


def _about_folders(train: Listing, looked_at: int, broken: int, why: str) -> list[str]:
    sentences = list(warnings_about(train.classes))
    hidden = [Path(item.path).name for item in train.skipped if is_hidden(item)]
    if hidden:
        are, it_is = ("is hidden but contains", "it is") if len(hidden) == 1 else ("are hidden but contain", "they are")
        sentences.append(f"{in_quotes(hidden)} {are} {train.noun}s: {it_is} skipped; rename it if it is a class")
    sentences += [f"{Path(item.path).name}: {item.reason}" for item in train.skipped if "of the split" in item.reason]
    if broken:
        sentences.append(
            f"{broken} of {looked_at} examined {train.noun}s cannot be opened, for example {printable(why)}"
        )
    return sentences
