"""Lists labeled files: a folder with one sub-folder per class, or a CSV list. Opens none of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from edgetl.data.lists import Part, check_label, read_rows
from edgetl.data.lookup import Lookup
from edgetl.data.names import counterparts, first_of, in_quotes, one_form, what_differs
from edgetl.data.tables import is_table, table_rows
from edgetl.errors import DataError, UsageError
from edgetl.files.file_kind import describe
from edgetl.files.rows import LabeledRow
from edgetl.files.text import nearest, printable, shortened
from edgetl.fronts.base import Front, Rowed, load_front
from edgetl.recipes.data import Columns
from edgetl.store.results import MARKER
from edgetl.types import FrontName, Skipped

_HIDDEN = "hidden, but contains "

_HIDDEN_LOOKED_AT = 2000
_PATH_CHARACTERS = 120

UNNAMEABLE = "its name has control characters or is not UTF-8; rename it"
"""Why a file or a folder is skipped whose name `printable` changes."""

SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "dev"})


@dataclass(frozen=True)
class Listing:
    """Labeled files, not yet opened.

    root     absolute; the folder of classes, or the folder of the list; if that does not contain all files, the
             deepest folder that does
    list     absolute path of the CSV list; None for a folder
    classes  naturally sorted: "2" before "10"; in Unicode's composed form
    files    (absolute path, label) with label an index into `classes`; ordered by label, then naturally by name
    skipped  files that are not candidates, with the reason
    measures whether the list has rows with `val` in its column `split`, which form another listing
    noun     one example, in sentences
    rows_of  whose rows of a table the files are; None if they are files
    """

    root: Path
    list: Path | None
    classes: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    skipped: tuple[Skipped, ...]
    measures: bool = False
    noun: str = "image"
    rows_of: FrontName | None = None

    @property
    def where(self) -> str:
        return str(self.list or self.root)

    def name_of(self, path: str) -> str:
        """The path relative to `root`, with `/`: independent of the location of the data."""
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


def scan(
    root: Path,
    *,
    columns: Columns | None = None,
    images: Path | None = None,
    part: Part | None = None,
    front: FrontName = "image",
    group: str = "",
    blank: bool = False,
) -> Listing:
    """List a folder (one sub-folder per class, nested folders allowed) or a CSV file (header `path,label`).

    columns, images  `data.columns` and `data.images`, for lists
    part             for a list with a column `split`: "train" takes rows with `train`, "val" those with `val`, or with
                     `test` if there are none; None takes all
    front            whose files are listed
    group            `data.group_by`, for tables whose other columns are channels
    blank            whether rows of a list or table may have no label; they are left out

    Hidden files and output folders of edgetl are ignored. Hidden folders with images and files without an image suffix
    are named in `skipped`. Paths in a list are relative to the list. Raises UsageError if `root` does not exist and
    DataError for everything else: no images, an invalid header or row, a missing file, a file with two labels.
    """
    root, kind = locate(Path(), str(root)), load_front(front)
    if printable(str(root)) != str(root):
        raise DataError(f"{printable(str(root))}: the path holds control characters or is not UTF-8; rename it")
    try:
        if root.is_dir():
            return _scan_folder(root, kind)
        if root.is_file():
            if isinstance(kind, Rowed) and root.suffix.lower() in kind.tables and kind.holds_examples(root, columns):
                return _scan_rows(root, kind.rows(root, columns, group), part, kind)
            if is_table(root, kind, columns):
                return _scan_table(root, columns, part, kind, blank)
            listing = _scan_list(root, columns, Lookup(root.parent, images, kind.suffixes), part, blank)
            return replace(listing, noun=kind.noun)
        if root.exists():
            raise DataError(f"{root}: expected a folder of classes or a CSV list, found {describe(root).name}")
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be read: {error.strerror}") from error
    raise UsageError(
        f"{root}: no such folder or list of {kind.noun}s; name a folder with one sub-folder per class, or a CSV list "
        "(in a recipe: `data.train`, `data.val`)"
    )


def require_classes(listing: Listing) -> None:
    """Raise DataError unless there are two classes or more, and they are classes and not splits."""
    if set(map(str.lower, listing.classes)) <= SPLIT_NAMES and listing.list is None:
        raise DataError(
            f"{listing.where}: contains {in_quotes(listing.classes)}, which are not classes; "
            f"name {listing.classes[0]} itself as `data.train`, the other part as `data.val`"
        )
    if len(listing.classes) < 2:
        hidden = [Path(item.path).name for item in listing.skipped if is_hidden(item)]
        rename = f"; hidden folders are not classes, rename {in_quotes(hidden)}" if hidden else ""
        raise DataError(
            f"{listing.where}: expected at least two classes, found only {in_quotes(listing.classes)}"
            + (rename or "; add a second class (a folder with one sub-folder per class, or a second label)")
        )


def match_classes(train: Listing, val: Listing) -> None:
    """Raise DataError unless both have exactly the same classes."""
    unknown = [name for name in val.classes if name not in train.classes]
    absent = [name for name in train.classes if name not in val.classes]
    twins = counterparts(unknown, absent)
    if unknown and len(twins) == len(unknown):
        differs = f"differ{'s' if len(unknown) == 1 else ''}"
        raise DataError(
            f"{val.where}: {in_quotes(unknown)} {differs} from {in_quotes(twins.values())} of {train.where} only in "
            f"{what_differs(*next(iter(twins.items())))}; give both the same name"
        )
    if unknown:
        raise DataError(
            f"{val.where}: {in_quotes(unknown)} is not a class of {train.where}; {nearest(unknown[0], train.classes)}"
        )
    if absent:
        raise DataError(
            f"{val.where}: has no {val.noun}s of {in_quotes(absent)}, a class of {train.where}; "
            "add some, or remove the class from the training data"
        )


def natural_key(text: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Sort key that compares runs of digits as numbers: "img2" < "img10"; the text itself breaks ties."""
    parts = re.split(r"([0-9]+)", text.casefold())
    keyed = [(len(part.lstrip("0")), part.lstrip("0")) if i % 2 else (0, part) for i, part in enumerate(parts)]
    return tuple(keyed), text


def _scan_folder(root: Path, front: Front) -> Listing:
    skipped: list[Skipped] = []
    found: dict[str, list[str]] = {}
    loose_images = 0
    for entry in _entries(root, skipped, front):
        if is_output(entry):
            continue
        if entry.is_dir():
            check_label(entry.name, str(root))
            # two Unicode forms of a name are one class
            found.setdefault(one_form(entry.name), []).extend(_examples_below(entry, skipped, front))
        else:
            loose_images += entry.suffix.lower() in front.suffixes
            skipped.append(Skipped(printable(str(entry)), "not inside a class folder"))
    if not any(found.values()):
        noun = f"{front.noun}s"
        loose = f"{loose_images} {noun} directly in it" if loose_images else f"{len(found)} folders without {noun}"
        seen = loose if found or loose_images else "nothing"
        hidden = "; hidden folders are not classes" if any(map(is_hidden, skipped)) else ""
        raise DataError(f"{root}: expected one sub-folder of {noun} per class, found {seen}{hidden}")
    classes = tuple(sorted(found, key=natural_key))
    files = tuple((path, label) for label, name in enumerate(classes) for path in sorted(found[name], key=natural_key))
    return Listing(root, None, classes, files, tuple(skipped), noun=front.noun)


def _examples_below(folder: Path, skipped: list[Skipped], front: Front) -> Iterator[str]:
    pending = [folder]
    while pending:
        for entry in _entries(pending.pop(), skipped, front):
            reason = _why_no_candidate(entry, front)
            if not reason and entry.is_dir():
                if not is_output(entry):
                    pending.append(entry)
                continue
            if reason:
                skipped.append(Skipped(printable(str(entry)), reason))
            else:
                yield str(entry)


def _entries(folder: Path, skipped: list[Skipped], front: Front) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{printable(str(folder))}: cannot be listed: {error.strerror}") from error
    hidden = (entry for entry in entries if hides_examples(entry, front.suffixes))
    skipped.extend(Skipped(printable(str(entry)), hidden_reason(front.noun)) for entry in hidden)
    return [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]


def hidden_reason(noun: str) -> str:
    """Why a folder of examples is skipped whose name begins with a dot."""
    return f"{_HIDDEN}{noun}s; rename it to use them"


def is_hidden(skipped: Skipped) -> bool:
    """Whether it was skipped for that reason."""
    return skipped.reason.startswith(_HIDDEN)


def hides_examples(folder: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether this is a hidden folder with files of these suffixes."""
    if not folder.name.startswith(".") or folder.is_symlink() or not folder.is_dir():
        return False
    seen = 0
    for _, _, names in os.walk(folder):
        if any(name.lower().endswith(suffixes) and not name.startswith("._") for name in names):
            return True
        seen += 1 + len(names)
        if seen > _HIDDEN_LOOKED_AT:  # a repository, a cache
            return False
    return False


def is_output(folder: Path) -> bool:
    """Whether edgetl writes its results there: by default beside the classes, for a recipe that lies among them."""
    return (folder / MARKER).is_file()


def _why_no_candidate(path: Path, front: Front) -> str:
    if printable(path.name) != path.name:
        return UNNAMEABLE
    if path.is_dir():  # a link to a parent would never end
        return "a link to a folder; copy the files here, or link each" if path.is_symlink() else ""
    suffix = path.suffix.lower()
    if suffix not in front.suffixes:
        ending = f"its name ends in {suffix}" if suffix else "its name has no ending"
        convert = f"; convert it to {front.plain}" if suffix in front.foreign else ""
        return f"not taken as {front.a_noun}: {ending}{convert}"
    return "" if path.is_file() else "not a regular file"


def _scan_list(path: Path, columns: Columns | None, lookup: Lookup, part: Part | None, blank: bool) -> Listing:
    labels: dict[str, tuple[str, int]] = {}  # path -> label, line
    skipped: list[Skipped] = []
    missing: list[str] = []
    hint = ""
    rows = list(read_rows(path, columns, blank=blank))
    measures = any(row.part == "val" for row in rows)
    for row in _rows_of_part(rows, part, skipped, path):
        target = lookup.find(row.path)
        if target is None:
            missing.append(f"`{shortened(row.path, _PATH_CHARACTERS)}` (line {row.line})")
            hint = hint or lookup.why_not(row.path)
        elif target in labels:
            other, first = labels[target]
            if other != row.label:
                raise DataError(
                    f"{path}: `{shortened(row.path, _PATH_CHARACTERS)}` is labeled `{other}` in line {first} "
                    f"and `{row.label}` in line {row.line}; keep one"
                )
            skipped.append(Skipped(target, f"listed again in line {row.line} of {path.name}"))
        else:
            labels[target] = (row.label, row.line)
    if missing:
        sentence = hint or f"paths are relative to {path.parent}"
        raise DataError(f"{path}: no such file: {first_of(missing)}; {sentence}")
    if not labels:
        raise DataError(f"{path}: expected rows of `path,label` below the header{_of_part(rows, part)}, found none")
    return replace(_listing_of(path, labels, skipped), measures=measures)


def _scan_table(path: Path, columns: Columns | None, part: Part | None, front: Front, blank: bool) -> Listing:
    skipped: list[Skipped] = []
    rows = list(table_rows(path, columns, front, blank=blank))
    labels = {row.path: (row.label, row.line) for row in _rows_of_part(rows, part, skipped, path)}
    if not labels:
        raise DataError(f"{path}: expected rows with a {front.noun} and a label{_of_part(rows, part)}, found none")
    measures = any(row.part == "val" for row in rows)
    return replace(_listing_of(path, labels, skipped), measures=measures, noun=front.noun, rows_of=front.name)


def _scan_rows(path: Path, rows: Sequence[LabeledRow], part: Part | None, front: Front) -> Listing:
    """The rows that a front finds in its own tables; a place is as good as a path."""
    skipped: list[Skipped] = []
    labels: dict[str, tuple[str, int]] = {}
    for row in _rows_of_part(rows, part, skipped, path):
        if not row.label:
            raise DataError(f"{row.row}: expected a label, found nothing; fill it, or remove the row")
        label = one_form(row.label)
        check_label(label, str(row.row))
        labels[str(row.row)] = (label, row.row.number)
    if not labels:
        raise DataError(f"{path}: expected rows of labeled {front.noun}s{_of_part(rows, part)}, found none")
    measures = any(row.part == "val" for row in rows)
    return replace(_listing_of(path, labels, skipped), measures=measures, noun=front.noun, rows_of=front.name)


class _InPart(Protocol):
    @property
    def part(self) -> Part | None: ...


_InAPart = TypeVar("_InAPart", bound=_InPart)


def _rows_of_part(
    rows: Sequence[_InAPart], part: Part | None, skipped: list[Skipped], path: Path
) -> Iterator[_InAPart]:
    measures = any(row.part == "val" for row in rows)
    unused = sum(row.part == "test" for row in rows) if part == "train" else 0
    if unused:
        skipped.append(Skipped(str(path), f"{unused} rows of the split `test` are not used"))
    return (row for row in rows if _wanted(row.part, part, measures))


def _of_part(rows: Sequence[_InPart], part: Part | None) -> str:
    return f" with the split `{part}`" if part and any(row.part for row in rows) else ""


def _wanted(found: Part | None, part: Part | None, measures: bool) -> bool:
    if part is None or found is None:
        return True
    return found == part or (part == "val" and not measures and found == "test")


def _listing_of(path: Path, labels: dict[str, tuple[str, int]], skipped: list[Skipped]) -> Listing:
    classes = tuple(sorted({label for label, _ in labels.values()}, key=natural_key))
    index = {name: i for i, name in enumerate(classes)}
    # names of images elsewhere do not depend on the location of the list, because the draw is by name
    inside = all(Path(target).is_relative_to(path.parent) for target in labels)
    root = path.parent if inside else Path(os.path.commonpath([Path(target).parent for target in labels]))
    bare = Listing(root, path, classes, (), tuple(skipped))
    files = [(target, index[label]) for target, (label, _) in labels.items()]
    files.sort(key=lambda item: (item[1], natural_key(bare.name_of(item[0]))))
    return replace(bare, files=tuple(files))
