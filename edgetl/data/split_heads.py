"""The few-shot split of examples that have labels for several heads.

As in `edgetl.data.split`, examples of a class are drawn in the order of a hash of (seed, role, class, relative name).
Classes of all heads take turns: in round n every class that has fewer than n shots draws one, and an example counts for
each head that it is labeled for. So every class has at least `shots` of them, those that come with others may have
more, and a split with fewer shots is a subset of one with more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.data.described import described
from edgetl.data.desk import Desk, refuse_unreadable
from edgetl.data.fingerprint import hash_examples
from edgetl.data.groups import group_keys, order_by_group
from edgetl.data.head_sources import HeadSources, Labeled, read_heads
from edgetl.data.names import NAMED
from edgetl.data.split import rank_of, split_digest
from edgetl.errors import DataError, UsageError
from edgetl.fronts.base import Seen, load_front
from edgetl.recipes.data import Data
from edgetl.types import Conflict, FrontName, HeadClasses, Labels, Progress, Sample, Split

_ALL = 1_000_000_000


def make_head_split(config: Data, base: Path, progress: Progress, *, front: FrontName = "image") -> Split:
    """Draw at least `config.shots` examples per class of every head; paths are relative to the folder `base`.

    With `config.val` (or a column of parts) all its examples are for validation; without it, those that were not drawn,
    and with `config.group_by` none whose group has a shot. Copies, contradictions and unreadable files are treated as
    in `make_split`. Raises UsageError and DataError as it does.
    """
    sources, kind = read_heads(config, base, front), load_front(front)
    listings = dict.fromkeys((sources.train.listing, sources.val.listing))
    paths = [path for listing in listings for path, _ in listing.files]
    with progress.task(f"hashing {kind.noun}s", total=len(paths)) as advance:
        desk = Desk(hash_examples(paths, front), kind.examine, kind.noun)
        advance(len(paths))
    conflicts = _set_conflicts_aside(sources, desk)
    groups: dict[str, str] = {}
    if config.group_by is not None:
        for listing in listings:
            groups |= group_keys(config.group_by, listing, progress)
    alone = sources.val is sources.train
    wanted = _ALL if config.shots == "all" else config.shots
    ordered = _ordered(sources.train, config.seed, "shots", groups if alone else {})
    shots = _draw(sources.train, ordered, wanted, _ALL, "training", desk)
    drawn = {sample.path for sample in shots}
    trained = {groups[path] for path in drawn if path in groups} if alone else set()
    rest = [
        [path for path in own if not alone or (path not in drawn and groups.get(path) not in trained)]
        for own in _ordered(sources.val, config.seed, "shots" if alone else "val", {})
    ]
    val = _draw(sources.val, rest, _ALL, _limit(config, len(rest)), "validation", desk)
    refuse_unreadable(config, desk)
    _refuse_shortage(sources.train, shots, 1 if config.shots == "all" else config.shots, f"data.shots: {config.shots}")
    _refuse_shortage(sources.val, val, 1, "for validation" + ", neither a shot nor of the group of one" * alone)
    skipped = dict.fromkeys((*sources.train.listing.skipped, *sources.val.listing.skipped, *desk.skipped))
    split = Split(
        sources.train.listing.classes, shots, val, tuple(skipped), "squash", "", digest="", front=front,
        heads=sources.heads, conflicts=conflicts,
    )  # fmt: skip
    split = described(split, desk.seen, config)
    for head, counted in _counts(split).items():
        progress.note(f"{head}: {counted}")
    return replace(split, digest=split_digest(split))


def of_head(split: Split, head: HeadClasses) -> Split:
    """The examples that are labeled for one head, with its classes, as if there were no others."""

    def own(samples: Sequence[Sample]) -> tuple[Sample, ...]:
        return tuple(replace(each, truth=label) for each in samples if (label := head.own(each.truth)) >= 0)

    return replace(split, classes=head.classes, shots=own(split.shots), val=own(split.val), heads=())


def each_head(split: Split) -> tuple[tuple[str, Split], ...]:
    """The name and the split of every head; the split itself, without a name, if there is only one head."""
    return tuple((head.name, of_head(split, head)) for head in split.heads) or (("", split),)


def _ordered(part: Labeled, seed: int, role: str, groups: Mapping[str, str]) -> list[list[str]]:
    """Paths of each class, in the order they are drawn."""
    listing = part.listing
    ordered: list[list[str]] = [[] for _ in listing.classes]
    names = {path: listing.name_of(path) for path in part.truths}
    for label, name in enumerate(listing.classes):
        own = [path for path, truth in part.truths.items() if label in truth]
        ordered[label] = sorted(own, key=lambda path: rank_of(seed, role, name, names[path]))
    return order_by_group(ordered, listing.classes, groups, seed) if groups else ordered


def _draw(
    part: Labeled, ordered: Sequence[Sequence[str]], wanted: int, limit: int, role: str, desk: Desk[Seen]
) -> tuple[Sample, ...]:
    """At least `wanted` examples of every class, as long as there are some, and `limit` in all."""
    drawn: dict[str, Sample] = {}
    turns, counts = [iter(own) for own in ordered], [0] * len(ordered)
    left = set(range(len(ordered)))
    turn = 0
    while left and turn < wanted:
        turn += 1
        for label in sorted(left):
            while counts[label] < turn and label in left and len(drawn) < limit:
                path = next(turns[label], None)
                if path is None:
                    left.discard(label)
                elif path not in drawn and (sample := desk.take(path, part.truths[path], role)) is not None:
                    drawn[path] = sample
                    for each in part.truths[path]:
                        counts[each] += 1
        if len(drawn) >= limit:
            break
    return tuple(drawn.values())


def _limit(config: Data, classes: int) -> int:
    limit = config.max_val_images
    if limit is not None and limit < classes:
        raise UsageError(f"data.max_val_images: expected at least one for each of {classes} classes, found {limit}")
    return _ALL if limit is None else limit


def _set_conflicts_aside(sources: HeadSources, desk: Desk[Seen]) -> tuple[Conflict, ...]:
    """Equal bytes that one head would have to give several classes."""
    classes = sources.train.listing.classes
    named: dict[str, dict[str, Labels]] = {}
    for part in (sources.train, sources.val):
        for path, truth in part.truths.items():
            named.setdefault(desk.digests[path], {})[path] = truth
    conflicts: list[Conflict] = []
    for sha256, truths in named.items():
        if not sha256 or len(truths) < 2:
            continue
        if all(len({head.own(truth) for truth in truths.values()} - {-1}) < 2 for head in sources.heads):
            continue
        if not desk.readable(next(iter(truths))):
            continue
        said = {path: " and ".join(classes[label] for label in truth) for path, truth in truths.items()}
        conflicts.append(Conflict(tuple(said), tuple(said.values())))
        for path in said:
            other = next(each for each in said if each != path)
            desk.conflicting[path] = f"the same {desk.noun} has other labels, skipped in both: {other}"
    return tuple(conflicts)


def _refuse_shortage(part: Labeled, drawn: Sequence[Sample], wanted: int, asked: str) -> None:
    listing, counts = part.listing, [0] * len(part.listing.classes)
    for sample in drawn:
        assert isinstance(sample.truth, tuple)
        for label in sample.truth:
            assert isinstance(label, int)
            counts[label] += 1
    short = [f"`{name}` has {count}" for name, count in zip(listing.classes, counts, strict=True) if count < wanted]
    if short:
        more = f" and {len(short) - NAMED} more have too few" if len(short) > NAMED else ""
        raise DataError(
            f"{listing.where}: {', '.join(short[:NAMED])} usable {listing.noun}s{more}; wanted {wanted} of every class "
            f"of every head ({asked}); add {listing.noun}s, set data.shots lower, or set `data.val`"
        )


@dataclass(frozen=True)
class _Counted:
    """How many shots and validation examples a head has."""

    shots: tuple[int, int]
    val: int
    unlabeled: int
    noun: str

    def __str__(self) -> str:
        least, most = self.shots
        per_class = f"{least}" if least == most else f"{least} to {most}"
        none = f", {self.unlabeled} {self.noun}s without a label" if self.unlabeled else ""
        return f"{per_class} shots per class, {self.val} validation {self.noun}s{none}"


def _counts(split: Split) -> dict[str, _Counted]:
    found: dict[str, _Counted] = {}
    everything, noun = len(split.shots) + len(split.val), load_front(split.front).noun
    for name, own in each_head(split):
        counts = [0] * len(own.classes)
        for sample in own.shots:
            counts[sample.label] += 1
        labeled = len(own.shots) + len(own.val)
        found[name] = _Counted((min(counts), max(counts)), len(own.val), everything - labeled, noun)
    return found
