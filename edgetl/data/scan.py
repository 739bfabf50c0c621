"""What labelled images there are: a folder with one sub-folder per class, or a CSV list. Opens no image."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.data.images import SUFFIXES
from edgetl.errors import DataError, UsageError
from edgetl.recipe import nearest
from edgetl.store import MARKER
from edgetl.text import printable
from edgetl.types import Skipped

COLUMNS = ("path", "label")
MAX_LIST_BYTES = 64_000_000
MAX_LIST_ROWS = 1_000_000
MAX_LABEL_CHARACTERS = 200
NAMED = 3
"""How many culprits an error line names before it only counts."""

UNNAMEABLE = "its name holds control characters or is not UTF-8; rename it"
"""Why a file or a folder is passed over whose name `printable` changes."""

SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "dev"})


@dataclass(frozen=True)
class Listing:
    """Labelled image files, not yet opened.

    root     absolute; the folder of classes, or the folder that holds the list; where that does not hold all images,
             the closest folder that does
    list     absolute path of the CSV list; None for a folder
    classes  naturally sorted: "2" before "10"
    files    (absolute path, label) with label an index into `classes`; ordered by label, then naturally by name
    skipped  files that are no candidates, with the reason
    """

    root: Path
    list: Path | None
    classes: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    skipped: tuple[Skipped, ...]

    @property
    def where(self) -> str:
        return str(self.list or self.root)

    def name_of(self, path: str) -> str:
        """The path relative to `root`, with `/`: the same wherever the data lies."""
        return Path(os.path.relpath(path, self.root)).as_posix()

    def counts(self) -> tuple[int, ...]:
        """Candidates per class, in the order of `classes`."""
        counts = [0] * len(self.classes)
        for _, label in self.files:
            counts[label] += 1
        return tuple(counts)


def locate(base: Path, text: str) -> Path:
    """The absolute path that a recipe in the folder `base` means by `text`. Links are kept."""
    return Path(os.path.abspath(base / text))  # noqa: PTH100 - resolve() would replace links


def scan(root: Path) -> Listing:
    """List a folder (one sub-folder per class, nested folders allowed) or a CSV file (header `path,label`).

    Hidden files and output folders of edgetl are ignored; other files that do not end like an image are named in
    `skipped`. Paths in a list are relative to the list. Raises UsageError when `root` does not exist and DataError for
    everything else: nothing in it, a header or a row that cannot be meant, a listed file that is absent, a file with
    two labels.
    """
    root = locate(Path(), str(root))
    if printable(str(root)) != str(root):
        raise DataError(f"{printable(str(root))}: the path holds control characters or is not UTF-8; rename it")
    try:
        if root.is_dir():
            return _scan_folder(root)
        if root.is_file():
            return _scan_list(root)
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be read: {error.strerror}") from error
    raise UsageError(f"{root}: no such folder or list of images; correct `data.train` or `data.val` in the recipe")


def require_classes(listing: Listing) -> None:
    """Raise DataError unless there are two classes or more, and unless they are classes and not splits."""
    if set(map(str.lower, listing.classes)) <= SPLIT_NAMES and listing.list is None:
        raise DataError(
            f"{listing.where}: holds {_quoted(listing.classes)}, which are no classes; "
            f"name {listing.classes[0]} itself as `data.train`, the other part as `data.val`"
        )
    if len(listing.classes) < 2:
        raise DataError(
            f"{listing.where}: expected at least two classes, found only {_quoted(listing.classes)}; "
            "add a second class (a folder with one sub-folder per class, or a second label)"
        )


def match_classes(train: Listing, val: Listing) -> None:
    """Raise DataError unless both have exactly the same classes."""
    unknown = [name for name in val.classes if name not in train.classes]
    if unknown:
        raise DataError(
            f"{val.where}: {_quoted(unknown)} is no class of {train.where}; {nearest(unknown[0], train.classes)}"
        )
    absent = [name for name in train.classes if name not in val.classes]
    if absent:
        raise DataError(
            f"{val.where}: has no images of {_quoted(absent)}, a class of {train.where}; "
            "add some, or remove the class from the training data"
        )


def natural_key(text: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Sort key that compares runs of digits as numbers: "img2" < "img10"; the text itself breaks ties."""
    parts = re.split(r"([0-9]+)", text.casefold())
    keyed = [(len(part.lstrip("0")), part.lstrip("0")) if i % 2 else (0, part) for i, part in enumerate(parts)]
    return tuple(keyed), text


def _scan_folder(root: Path) -> Listing:
    skipped: list[Skipped] = []
    found: dict[str, list[str]] = {}
    loose_images = 0
    for entry in _entries(root):
        if is_output(entry):
            continue
        if entry.is_dir():
            _check_label(entry.name, str(root))
            found[entry.name] = sorted(_images_below(entry, skipped), key=natural_key)
        else:
            loose_images += entry.suffix.lower() in SUFFIXES
            skipped.append(Skipped(printable(str(entry)), "not inside a class folder"))
    if not any(found.values()):
        loose = f"{loose_images} images directly in it" if loose_images else f"{len(found)} folders without images"
        seen = loose if found or loose_images else "nothing"
        raise DataError(f"{root}: expected one sub-folder of images per class, found {seen}")
    classes = tuple(sorted(found, key=natural_key))
    files = tuple((path, label) for label, name in enumerate(classes) for path in found[name])
    return Listing(root, None, classes, files, tuple(skipped))


def _images_below(folder: Path, skipped: list[Skipped]) -> Iterator[str]:
    pending = [folder]
    while pending:
        for entry in _entries(pending.pop()):
            reason = _why_no_candidate(entry)
            if not reason and entry.is_dir():
                if not is_output(entry):
                    pending.append(entry)
                continue
            if reason:
                skipped.append(Skipped(printable(str(entry)), reason))
            else:
                yield str(entry)


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{printable(str(folder))}: cannot be listed: {error.strerror}") from error
    return [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]


def is_output(folder: Path) -> bool:
    """Whether edgetl writes its results there: beside the classes, by default, for a recipe that lies among them."""
    return (folder / MARKER).is_file()


def _why_no_candidate(path: Path) -> str:
    if printable(path.name) != path.name:
        return UNNAMEABLE
    if path.is_dir():  # a link to a parent would never end
        return "a link to a folder; put the files here, or link each" if path.is_symlink() else ""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        ending = f"its name ends in {suffix}" if suffix else "its name has no ending"
        convert = "; convert it to JPEG or PNG" if suffix in {".heic", ".heif"} else ""
        return f"not taken for an image: {ending}{convert}"
    return "" if path.is_file() else "not a regular file"


def _scan_list(path: Path) -> Listing:
    labels: dict[str, tuple[str, int]] = {}  # path -> label, line
    skipped: list[Skipped] = []
    missing: list[str] = []
    for line, name, label in _rows(path):
        target = str(locate(path.parent, name))
        if target in labels:
            other, first = labels[target]
            if other != label:
                raise DataError(
                    f"{path}: `{name}` is labelled `{other}` in line {first} and `{label}` in line {line}; keep one"
                )
            skipped.append(Skipped(target, f"listed again in line {line} of {path.name}"))
        elif os.path.isfile(target):  # noqa: PTH113 - Path.is_file raises on names that are too long
            labels[target] = (label, line)
        else:
            missing.append(f"`{name}` (line {line})")
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DataError(
            f"{path}: no such file: {', '.join(missing[:NAMED])}{more}; paths are relative to {path.parent}"
        )
    if not labels:
        raise DataError(f"{path}: expected rows of `path,label` below the header, found none")
    return _listing_of(path, labels, skipped)


def _listing_of(path: Path, labels: dict[str, tuple[str, int]], skipped: list[Skipped]) -> Listing:
    classes = tuple(sorted({label for label, _ in labels.values()}, key=natural_key))
    index = {name: i for i, name in enumerate(classes)}
    # images elsewhere have names without a trace of where the list lies: a draw is by name
    inside = all(Path(target).is_relative_to(path.parent) for target in labels)
    root = path.parent if inside else Path(os.path.commonpath([Path(target).parent for target in labels]))
    bare = Listing(root, path, classes, (), tuple(skipped))
    files = [(target, index[label]) for target, (label, _) in labels.items()]
    files.sort(key=lambda item: (item[1], natural_key(bare.name_of(item[0]))))
    return replace(bare, files=tuple(files))


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    reader = csv.reader(io.StringIO(_read_list(path), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, path)
        at = {column: header.index(column) for column in COLUMNS}
        for count, row in enumerate(reader):
            if count >= MAX_LIST_ROWS:
                raise DataError(f"{path}: more than {MAX_LIST_ROWS} rows")
            if not any(cell.strip() for cell in row):
                continue
            where = f"{path}, line {reader.line_num}"
            if len(row) != len(COLUMNS):
                raise DataError(f"{where}: expected {len(COLUMNS)} cells, found {len(row)}; quote cells with commas")
            name, label = row[at["path"]].strip(), row[at["label"]].strip()
            if not name or printable(name) != name:
                raise DataError(f"{where}: expected a path, found {_short(name)}")
            _check_label(label, where)
            yield reader.line_num, name, label
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from error


def _read_list(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_LIST_BYTES:
        raise DataError(f"{path}: larger than {MAX_LIST_BYTES} bytes; expected a CSV list of `path,label`")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text (byte {error.start}); expected a CSV list of `path,label`, save it as UTF-8"
        ) from error


def _check_header(header: list[str], path: Path) -> None:
    if sorted(header) == sorted(COLUMNS):
        return
    expected = f"{path}, line 1: expected the header `{','.join(COLUMNS)}`"
    separator = next((name for sign, name in ((";", "`;`"), ("\t", "tabs")) if header and sign in header[0]), None)
    if separator:
        raise DataError(f"{expected}, found cells separated by {separator}; separate them by commas")
    close = [column for column in header if column in COLUMNS]
    if not header or (not close and not any("did you mean" in nearest(cell, COLUMNS) for cell in header)):
        found = _short(",".join(header)) if header else "nothing"
        raise DataError(f"{expected}, found {found}; the first line names the columns")
    for column in header:
        if column not in COLUMNS:
            raise DataError(f"{expected}, found the unknown column {_short(column)}; {nearest(column, COLUMNS)}")
    problem = next((f"`{name}` twice" for name in close if close.count(name) > 1), f"only `{close[0]}`")
    raise DataError(f"{expected}, found {problem}")


def _check_label(label: str, where: str) -> None:
    if not label or printable(label) != label or len(label) > MAX_LABEL_CHARACTERS:
        raise DataError(
            f"{where}: expected a class name of 1 to {MAX_LABEL_CHARACTERS} printable characters, found {_short(label)}"
        )


def _short(text: str) -> str:
    plain = printable(text)
    return f"`{plain[:60]}...`" if len(plain) > 60 else f"`{plain}`"


def _quoted(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(f"`{name}`" for name in listed[:NAMED]) + more
