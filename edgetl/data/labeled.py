"""Labeled examples for known classes, those of a bundle: by class, and images with objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.data.annotations.find import read_annotations
from edgetl.data.annotations.place import place
from edgetl.data.names import NAMED, counterparts, in_quotes
from edgetl.data.object_sources import with_classes
from edgetl.data.scan import Listing
from edgetl.errors import DataError
from edgetl.fronts.image.decode import UnreadableImage, read_size
from edgetl.fronts.image.examine import Seen
from edgetl.types import Remark, Sample, Skipped


@dataclass(frozen=True)
class Matched:
    """samples  labels index the known classes; without: known classes without examples; renamed: the name in the
    listing -> the known class, if only case, spaces at the ends or the Unicode form differ; noun: one example"""

    samples: tuple[Sample, ...]
    without: tuple[str, ...]
    renamed: dict[str, str]
    noun: str = "image"

    def notes(self) -> tuple[str, ...]:
        """Notes about the result."""
        sentences = (
            [f"no {self.noun}s of {in_quotes(self.without)}: accuracy covers only the other classes"]
            if self.without
            else []
        )
        sentences += [f"`{name}` is taken as the class `{label}`" for name, label in self.renamed.items()]
        return tuple(sentences)


def match_labels(listing: Listing, labels: Sequence[str], owner: str) -> Matched:
    """Examples of a folder or a list by class name; some classes may have none.

    owner  the owner of the labels, for the message
    Raises DataError if a class of the examples is not a label.
    """
    used = [name for name, count in zip(listing.classes, listing.counts(), strict=True) if count]
    own = [name for name in used if name in labels]
    renamed = counterparts([name for name in used if name not in own], [label for label in labels if label not in own])
    foreign = [name for name in used if name not in own and name not in renamed]
    if foreign:
        are, them = ("is not a class", "it") if len(foreign) == 1 else ("are not classes", "them")
        raise DataError(
            f"{listing.where}: {in_quotes(foreign)} {are} of {owner}, which has {in_quotes(labels, 4 * NAMED)}; "
            f"remove or rename {them}"
        )
    number = {name: list(labels).index(renamed.get(name, name)) for name in used}
    samples = tuple(Sample(path, number[listing.classes[label]], "") for path, label in listing.files)
    shown = set(number.values())
    without = tuple(label for index, label in enumerate(labels) if index not in shown)
    return Matched(samples, without, renamed, listing.noun)


@dataclass(frozen=True)
class LabeledObjects:
    """samples  labels index the known classes; the digests of the files are not computed
    without   known classes without objects;  skipped  images that cannot be used;  remarks  objects left out or clipped
    """

    samples: tuple[Sample, ...]
    without: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    remarks: tuple[Remark, ...]

    def notes(self) -> tuple[str, ...]:
        """Notes about the result."""
        sentences = [f"no objects of {in_quotes(self.without)}: AP covers only the other classes"] * bool(self.without)
        sentences += [f"skipped {each.path}: {each.reason}" for each in self.skipped]
        return (*sentences, *(f"{each.path}: {each.sentence}" for each in self.remarks))


def labeled_objects(root: Path, classes: tuple[str, ...], owner: str) -> LabeledObjects:
    """Read annotations without a recipe. Opens the headers of the images.

    root   as `data.val` of a recipe names it; of a data set with parts of its own the validation part
    owner  the owner of the classes, for messages
    Raises as `read_annotations` does, and DataError for objects of another class or if no object is usable.
    """
    found = read_annotations(root, part="val" if root.suffix.lower() in (".yaml", ".yml") else None)
    found = with_classes(found, classes, owner)
    samples: list[Sample] = []
    skipped = list(found.skipped)
    remarks: list[Remark] = []
    for image in found.images:
        try:
            height, width = read_size(Path(image.path))
        except UnreadableImage as error:
            skipped.append(Skipped(image.path, error.reason))
            continue
        placed = place(image, found.unit, classes, Seen(height, width))
        remarks += [Remark(image.path, text) for text in placed.remarks]
        if image.marks and not placed.boxes:
            skipped.append(Skipped(image.path, f"none of its {len(image.marks)} objects is usable"))
        else:
            samples.append(Sample(image.path, placed.boxes, ""))
    shown = {box.label for sample in samples for box in sample.boxes if not box.ignore}
    if not shown:
        raise DataError(f"{found.where}: expected labeled objects of {in_quotes(classes)}, found none that is usable")
    without = tuple(name for label, name in enumerate(classes) if label not in shown)
    return LabeledObjects(tuple(samples), without, tuple(skipped), tuple(remarks))
