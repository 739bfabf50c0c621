"""The few-shot split of images with objects. Same seed and files, same split, on every machine.

Images are looked at in the order of a hash of (seed, role, relative name). An image is a shot if it has an object of a
class of which the images before it have fewer than `data.shots` objects; all of its objects count then, each for its
class. Images without objects count as a class of their own. So a split with fewer shots is a subset of one with more:
the objects of a class that is still short were all taken, whatever the number of shots. Classes with fewer objects than
`data.shots` give all they have. Validation uses all objects of its images.

With `data.group_by` and no `data.val`, images come group by group (`order_by_group`), and a group with a shot gives no
validation image.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from edgetl.data.annotations.model import Annotated, Annotation
from edgetl.data.annotations.place import Placed, counted, place
from edgetl.data.desk import Desk, refuse_unreadable
from edgetl.data.fingerprint import hash_files
from edgetl.data.groups import group_keys, order_by_group
from edgetl.data.names import in_quotes
from edgetl.data.object_sources import read_object_sources
from edgetl.data.split import split_digest
from edgetl.errors import DataError, UsageError
from edgetl.fronts.image.examine import Seen, examine
from edgetl.fronts.image.resize import auto_policy
from edgetl.recipes.data import Data
from edgetl.types import Conflict, Progress, Remark, Sample, Silent, Skipped, Split

BACKGROUND = -1
"""In place of a class, for images without objects."""


def make_object_split(
    config: Data, base: Path, progress: Progress | None = None, *, look: Callable[[Path], Seen] = examine
) -> Split:
    """Draw images with `config.shots` objects per class and choose the validation images.

    With `config.val`, or a data set that names its own part, all its images are for validation, else those that were
    not drawn; at most `config.max_val_images`. Both sides take classes in turn. Images are skipped if they cannot be
    decoded, repeat the bytes of another one, have the bytes of another one with other boxes (`conflicts`), or if none
    of their objects is usable; `remarks` name objects that were clipped or left out.

    Raises UsageError for `resize: crop`, which cuts off objects, and as `read_object_sources` does. Raises DataError
    for the errors of the readers, images of another size than their labels state, no shots, no labeled object to
    validate with, and, with `unreadable: refuse`, images that cannot be decoded.
    """
    progress = progress or Silent()
    if config.resize == "crop":
        raise UsageError("data.resize: `crop` cuts off objects at the edges; use squash or letterbox, or leave it out")
    sources = read_object_sources(config, base)
    train, val = sources.train, sources.val
    separate = val is not train
    sides = (train, val) if separate else (train,)
    for note in dict.fromkeys(note for side in sides for note in side.notes):
        progress.note(note)
    desk = _Desk(Desk(_hash_all(sides, progress), look))
    conflicts = desk.set_conflicts_aside(sides)

    ordered = _ordered(train, config.seed, "shots")
    groups = group_keys(config.group_by, train.listing(), progress) if config.group_by and not separate else {}
    if groups:
        ordered = _by_group(ordered, groups, config.seed)
    shots = _draw_shots(config, train, ordered, desk, progress)
    rest = _ordered(val, config.seed, "val") if separate else _not_drawn(ordered, shots, groups)
    measured = _draw_val(config, val, rest, desk, progress)
    refuse_unreadable(config, desk.files)
    _refuse_shortage(config, train, val, shots, measured)

    shots, measured = in_turn(shots), in_turn(measured)
    seen = [[desk.files.seen[sample.path] for sample in side] for side in (shots, measured)]
    policy, reason = (
        auto_policy([(each.height, each.width) for each in seen[0]])
        if config.resize == "auto"
        else (config.resize, "set in the recipe")
    )
    skipped = dict.fromkeys((*train.skipped, *val.skipped, *desk.files.skipped, *desk.unusable))
    bare = Split(train.classes, shots, measured, tuple(skipped), policy, reason, digest="")
    used = {sample.path for sample in (*shots, *measured)}
    return replace(
        bare,
        digest=split_digest(bare),
        traits=tuple(trait for each in chain(*seen) for trait in each.traits),
        conflicts=conflicts,
        croppable=False,
        remarks=tuple(Remark(path, text) for path, texts in desk.remarks.items() if path in used for text in texts),
    )


def objects_by_class(samples: Iterable[Sample], classes: int) -> tuple[int, ...]:
    """Objects that count, by class."""
    found = Counter(label for sample in samples for label in counted(sample.boxes))
    return tuple(found[label] for label in range(classes))


def in_turn(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples such that every prefix is as stratified as possible: the class with the fewest objects so far comes
    next, images of background being one; each class in the given order."""
    waiting: dict[int, list[int]] = {}
    for index, sample in enumerate(samples):
        for label in _kinds(sample):
            waiting.setdefault(label, []).append(index)
    for queue in waiting.values():
        queue.reverse()
    had: Counter[int] = Counter()
    taken: dict[int, None] = {}
    while waiting:
        label = min(waiting, key=lambda each: (had[each], each == BACKGROUND, each))
        while waiting[label] and waiting[label][-1] in taken:
            waiting[label].pop()
        if not waiting[label]:
            del waiting[label]
            continue
        index = waiting[label].pop()
        taken[index] = None
        had.update(_kinds(samples[index]))
    return tuple(samples[index] for index in taken)


@dataclass
class _Desk:
    """The files examined so far, and what was found about their labels."""

    files: Desk[Seen]
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unusable: dict[Skipped, None] = field(default_factory=dict)

    def placed(self, image: Annotation, side: Annotated) -> Placed | None:
        """The boxes of an image that is free, None if it cannot be used."""
        if not self.files.free(image.path):
            return None
        found = place(image, side.unit, side.classes, self.files.seen[image.path])
        self.remarks[image.path] = found.remarks
        if image.marks and not found.boxes:
            reason = f"none of its {len(image.marks)} objects is usable: {found.remarks[0]}"
            self.unusable[Skipped(image.path, reason)] = None
            return None
        return found

    def set_conflicts_aside(self, sides: Sequence[Annotated]) -> tuple[Conflict, ...]:
        """Images with the same bytes and other boxes: none is used, because the correct boxes are unknown."""
        by_bytes: dict[str, dict[str, tuple[Annotation, Annotated]]] = {}
        for side in sides:
            for image in side.images:
                by_bytes.setdefault(self.files.digests[image.path], {}).setdefault(image.path, (image, side))
        conflicts: list[Conflict] = []
        for sha256, found in by_bytes.items():
            if len(found) < 2 or not sha256 or len({_truth(*each) for each in found.values()}) < 2:
                continue
            if not self.files.readable(next(iter(found))):  # broken files may be equal by accident
                continue
            conflicts.append(Conflict(tuple(found), tuple(_words(*each) for each in found.values())))
            for path in found:
                other = next(each for each in found if _truth(*found[each]) != _truth(*found[path]))
                self.files.conflicting[path] = f"the same image has other boxes elsewhere, skipped in both: {other}"
        return tuple(conflicts)


def _draw_shots(
    config: Data, train: Annotated, ordered: Sequence[Annotation], desk: _Desk, progress: Progress
) -> tuple[Sample, ...]:
    enough = None if config.shots == "all" else config.shots
    had: Counter[int] = Counter()
    drawn: list[Sample] = []
    with progress.task("drawing shots", total=len(ordered)) as step:
        for image in ordered:
            step(1, Path(image.path).name)
            if not _wanted(counted(image.marks), had, enough, bare=not image.marks):
                continue
            found = desk.placed(image, train)
            # objects that are left out may have been the wanted ones
            if found is None or not _wanted(counted(found.boxes), had, enough, bare=not found.boxes):
                continue
            had.update(counted(found.boxes) or [BACKGROUND] * (not found.boxes))
            drawn.append(desk.files.use(image.path, found.boxes, "training"))
    return tuple(drawn)


def _wanted(labels: Sequence[int], had: Counter[int], enough: int | None, *, bare: bool) -> bool:
    return enough is None or any(had[label] < enough for label in (*labels, *([BACKGROUND] * bare)))


def _draw_val(
    config: Data, val: Annotated, ordered: Sequence[Annotation], desk: _Desk, progress: Progress
) -> tuple[Sample, ...]:
    drawn: list[Sample] = []
    with progress.task("checking validation images", total=len(ordered)) as step:
        for image in ordered:
            step(1, Path(image.path).name)
            found = desk.placed(image, val)
            if found is not None:
                drawn.append(desk.files.use(image.path, found.boxes, "validation"))
    return in_turn(drawn)[: config.max_val_images]


def _ordered(side: Annotated, seed: int, role: str) -> list[Annotation]:
    name_of = side.listing().name_of

    def rank(image: Annotation) -> tuple[bytes, str]:
        name = name_of(image.path)
        return hashlib.sha256(json.dumps([seed, role, name]).encode()).digest(), name

    return sorted(side.images, key=rank)


def _by_group(ordered: Sequence[Annotation], groups: Mapping[str, str], seed: int) -> list[Annotation]:
    images = {image.path: image for image in ordered}
    return [images[path] for path in order_by_group([list(images)], ("",), groups, seed)[0]]


def _not_drawn(ordered: Sequence[Annotation], shots: Sequence[Sample], groups: Mapping[str, str]) -> list[Annotation]:
    drawn = {sample.path for sample in shots}
    training = {groups[path] for path in drawn if path in groups}
    return [image for image in ordered if image.path not in drawn and groups.get(image.path) not in training]


def _hash_all(sides: Sequence[Annotated], progress: Progress) -> dict[str, str]:
    paths = [image.path for side in sides for image in side.images]
    with progress.task("hashing images", total=len(paths)) as advance:
        digests = hash_files(paths)
        advance(len(paths))
    return digests


def _refuse_shortage(
    config: Data, train: Annotated, val: Annotated, shots: Sequence[Sample], measured: Sequence[Sample]
) -> None:
    if not any(objects_by_class(shots, len(train.classes))):
        raise DataError(f"{train.where}: no usable image with labeled objects for training; add images")
    if any(objects_by_class(measured, len(train.classes))):
        return
    if val is train:
        groups = "of other groups (data.group_by) " if config.group_by else ""
        lower = "" if config.shots == 1 else ", set data.shots lower"
        raise DataError(
            f"{train.where}: data.shots: {config.shots} leaves no image with objects {groups}for validation; "
            f"set `data.val`{lower}, or add images"
        )
    raise DataError(f"{val.where}: no usable image with labeled objects for validation; add images")


def _kinds(sample: Sample) -> list[int]:
    """The classes of its objects; BACKGROUND if it has none that counts."""
    return counted(sample.boxes) or [BACKGROUND]


def _truth(image: Annotation, side: Annotated) -> frozenset[tuple[object, ...]]:
    return frozenset((side.unit, mark.corners, side.classes[mark.label], mark.ignore) for mark in image.marks)


def _words(image: Annotation, side: Annotated) -> str:
    found = Counter(side.classes[mark.label] for mark in image.marks)
    return in_quotes([f"{count} {name}" for name, count in sorted(found.items())]) if found else "no objects"
