"""Surveys labeled images before there is a recipe: parts, classes, sizes, oddities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.data.lists import COLUMNS, Part, guess_columns, read_header
from edgetl.data.names import in_quotes, warnings_about
from edgetl.data.scan import Listing, is_hidden, locate, match_classes, require_classes, scan
from edgetl.errors import DataError
from edgetl.files.text import printable
from edgetl.fronts.image.decode import UnreadableImage, read_size
from edgetl.recipes.recipe import Columns

_TRAIN_NAMES = ("train", "training")
_VAL_NAMES = ("val", "valid", "validation", "dev", "test", "testing")
_TEST_NAMES = ("test", "testing")
_LOOKED_AT = 200


@dataclass(frozen=True)
class Survey:
    """The result of a survey.

    sizes    of some images as (height, width); `broken` of those examined would not open
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


def survey(root: Path) -> Survey:
    """Look at a folder with one sub-folder per class, one with train/ and val/ (or train.csv and val.csv), or a list.

    Opens only headers. Raises UsageError for a missing folder, DataError for unusable data.
    """
    root = locate(Path(), str(root))
    parts = _parts(root)
    train_path, val_path = _sides(root, parts)
    columns = _columns(train_path)
    train, images = _read(train_path, columns, part="train")
    require_classes(train)
    if train.measures and val_path is None:
        val_path = train_path
    val = None if val_path is None else scan(val_path, columns=columns, images=images, part="val")
    if val is not None:
        match_classes(train, val)
    _require_images(train, least=1 if val else 2)
    sizes, broken, why = _sizes(train)
    notes = [*_about_list(columns, images), *_about_folders(train, len(sizes) + broken, broken, why)]
    test = _first(parts, _TEST_NAMES)
    if test is not None and test not in (train_path, val_path):
        notes.append(f"{test.name} is not used; evaluate the finished bundle on it: edgetl bench BUNDLE --data {test}")
    return Survey(train_path, val_path, train, val, sizes, broken, columns, images, tuple(notes))


def listing_of(path: Path) -> Listing:
    """Labeled images without a recipe, read like in `survey`. Raises like `scan`."""
    path = locate(Path(), str(path))
    columns = _columns(path)
    return _read(path, columns, part=None)[0]


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
    return (root, None) if train is None else (train, _first(parts, _VAL_NAMES))


def _is_part(entry: Path) -> bool:
    # a folder of classes, or a list; a folder `train` with images directly in it is a class of trains
    return entry.suffix.lower() == ".csv" or (entry.is_dir() and any(inner.is_dir() for inner in entry.iterdir()))


def _first(parts: Mapping[str, Path], stems: Sequence[str]) -> Path | None:
    return next((parts[name] for stem in stems for name in (stem, f"{stem}.csv") if name in parts), None)


def _columns(path: Path) -> Columns | None:
    if not path.is_file():
        return None
    header = read_header(path)
    if sorted(cell.lower() for cell in header if cell.lower() != "split") == sorted(COLUMNS):
        return None
    return guess_columns(header)


def _read(path: Path, columns: Columns | None, *, part: Part | None) -> tuple[Listing, Path | None]:
    """The listing, and the folder in which its files are found if its paths are invalid."""
    try:
        return scan(path, columns=columns, part=part), None
    except DataError:
        if not path.is_file():
            raise
        try:
            return scan(path, columns=columns, images=path.parent, part=part), path.parent
        except DataError:
            pass
        raise


def _require_images(train: Listing, least: int) -> None:
    found = min(train.counts())
    if found < least:
        poorest = train.classes[train.counts().index(found)]
        raise DataError(f"{train.where}: class `{poorest}` has {found} images; expected at least {least}; add images")


def _sizes(train: Listing) -> tuple[tuple[tuple[int, int], ...], int, str]:
    """Sizes of some images, how many would not open, and why the first one did not."""
    sizes: list[tuple[int, int]] = []
    broken: list[str] = []
    looked_at = train.files[:: max(1, len(train.files) // _LOOKED_AT)]
    for path, _ in looked_at:
        try:
            sizes.append(read_size(Path(path)))
        except UnreadableImage as error:
            broken.append(f"{train.name_of(path)}: {error.reason}")
    if not sizes:
        raise DataError(f"{train.where}: none of {len(looked_at)} examined images can be opened: {broken[0]}")
    return tuple(sizes), len(broken), broken[0] if broken else ""


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
        are = "is hidden but contains images: it is" if len(hidden) == 1 else "are hidden but contain images: they are"
        sentences.append(f"{in_quotes(hidden)} {are} skipped; rename it if it is a class")
    sentences += [f"{Path(item.path).name}: {item.reason}" for item in train.skipped if "of the split" in item.reason]
    if broken:
        sentences.append(f"{broken} of {looked_at} examined images cannot be opened, for example {printable(why)}")
    return sentences
