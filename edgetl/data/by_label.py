"""Labelled pictures for classes that are known already: those of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgetl.data.names import NAMED, counterparts, in_quotes
from edgetl.data.scan import Listing
from edgetl.errors import DataError
from edgetl.types import Sample


@dataclass(frozen=True)
class Matched:
    """samples  labels index the known classes; without: known classes that no picture shows; renamed: the name in the
    listing -> the known class, where only case, spaces at the ends or the Unicode form differ"""

    samples: tuple[Sample, ...]
    without: tuple[str, ...]
    renamed: dict[str, str]

    def notes(self) -> tuple[str, ...]:
        """What is to be said besides the result."""
        told = [f"no images of {in_quotes(self.without)}: accuracy is of the other classes"] if self.without else []
        told += [f"`{name}` is taken for the class `{label}`" for name, label in self.renamed.items()]
        return tuple(told)


def match_labels(listing: Listing, labels: Sequence[str], owner: str) -> Matched:
    """Pictures of a folder or a list by the names of their classes, of which some may have none.

    owner  what the labels are of, for the message
    Raises DataError where pictures lie in a class that is no label.
    """
    used = [name for name, count in zip(listing.classes, listing.counts(), strict=True) if count]
    own = [name for name in used if name in labels]
    renamed = counterparts([name for name in used if name not in own], [label for label in labels if label not in own])
    foreign = [name for name in used if name not in own and name not in renamed]
    if foreign:
        are, them = ("is no class", "it") if len(foreign) == 1 else ("are no classes", "them")
        raise DataError(
            f"{listing.where}: {in_quotes(foreign)} {are} of {owner}, which has {in_quotes(labels, 4 * NAMED)}; "
            f"remove or rename {them}"
        )
    number = {name: list(labels).index(renamed.get(name, name)) for name in used}
    samples = tuple(Sample(path, number[listing.classes[label]], "") for path, label in listing.files)
    shown = set(number.values())
    return Matched(samples, tuple(label for index, label in enumerate(labels) if index not in shown), renamed)
