"""Labeled examples for known classes: those of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgetl.data.names import NAMED, counterparts, in_quotes
from edgetl.data.scan import Listing
from edgetl.errors import DataError
from edgetl.types import Sample


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
