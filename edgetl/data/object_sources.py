"""The annotations of a recipe, for `task: detection`: training and validation with the same classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.data.annotations.find import read_annotations
from edgetl.data.annotations.model import Annotated, Annotation
from edgetl.data.names import counterparts, in_quotes, what_differs
from edgetl.data.scan import locate
from edgetl.errors import DataError, UsageError
from edgetl.files.text import nearest
from edgetl.recipes.data import Data


@dataclass(frozen=True)
class ObjectSources:
    """`val` is `train` itself if the rest of its images are the validation set. Labels index `train.classes`."""

    train: Annotated
    val: Annotated


def read_object_sources(config: Data, base: Path) -> ObjectSources:
    """Both sides; `base` is the folder in which the recipe's relative paths start.

    Raises UsageError and DataError as `read_annotations` does, and DataError if there are no objects in the training
    part, or objects of another class in the validation part.
    """
    if config.columns is not None:
        raise UsageError("data.columns: only for task: classification; a list of objects has fixed columns")
    images = None if config.images is None else locate(base, config.images)
    place = locate(base, config.train)
    train = read_annotations(place, part="train", images=images)
    if not any(train.objects()):
        raise DataError(f"{train.where}: expected labeled objects, found none in {len(train.images)} images")
    if config.val is None and not train.measures:
        return ObjectSources(train, train)
    val = read_annotations(
        place if config.val is None else locate(base, config.val),
        part="val" if _has_parts(config) else None,
        images=images,
    )
    return ObjectSources(train, with_classes(val, train.classes, train.where))


def with_classes(annotated: Annotated, classes: tuple[str, ...], owner: str) -> Annotated:
    """The same images with labels that index `classes`. Classes without objects are left out.

    owner  what has these classes, for the message. Raises DataError for objects of another class.
    """
    used = {mark.label for image in annotated.images for mark in image.marks}
    unknown = [annotated.classes[label] for label in sorted(used) if annotated.classes[label] not in classes]
    if unknown:
        twins = counterparts(unknown, classes)
        hint = (
            f"`{unknown[0]}` differs from `{twins[unknown[0]]}` only in {what_differs(unknown[0], twins[unknown[0]])}"
            if unknown[0] in twins
            else nearest(unknown[0], classes)
        )
        are = "is not a class" if len(unknown) == 1 else "are not classes"
        raise DataError(f"{annotated.where}: {in_quotes(unknown)} {are} of {owner}; {hint}")
    number = {label: classes.index(annotated.classes[label]) for label in used}
    return replace(annotated, classes=classes, images=tuple(_renumbered(image, number) for image in annotated.images))


def _renumbered(image: Annotation, number: dict[int, int]) -> Annotation:
    return replace(image, marks=tuple(replace(mark, label=number[mark.label]) for mark in image.marks))


def _has_parts(config: Data) -> bool:
    """Whether the validation part is one that a data set names: the same one, or a file of settings."""
    return config.val is None or config.val == config.train or config.val.lower().endswith((".yaml", ".yml"))
