"""The few-shot split into training and validation examples. Same seed and files, same split, on every machine.

A class is drawn in the order of a hash of (seed, role, class, relative name), independent of the folder's order and
location and of all other classes; a split with fewer shots is a subset of one with more. With `data.group_by` and no
`data.val`, shots are drawn group by group (`order_by_group`), and a group with a shot gives no validation image. Such a
split still does not depend on order and location, and fewer shots are a subset of more, but it depends on other classes
that share its groups.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edgetl.data.background import is_background, recordings
from edgetl.data.described import described
from edgetl.data.desk import Desk, refuse_unreadable
from edgetl.data.fingerprint import hash_examples
from edgetl.data.given_classes import with_classes
from edgetl.data.groups import group_keys, most_shots, order_by_group
from edgetl.data.names import NAMED, in_quotes
from edgetl.data.scan import Listing, match_classes, require_classes
from edgetl.data.sources import Sources, read_sources
from edgetl.errors import DataError, UsageError
from edgetl.files.json_file import first_problem
from edgetl.fronts.audio.window import USUAL_S
from edgetl.fronts.base import Seen, load_front
from edgetl.recipes.data import Data
from edgetl.types import Conflict, FrontName, Progress, Sample, Silent, Split
from edgetl.types.data import as_json, labels_of

SPLIT_FILE = "split.json"
MAX_SPLIT_BYTES = 1_000_000_000
_NOTED = 5


def make_split(
    config: Data,
    base: Path,
    progress: Progress | None = None,
    *,
    front: FrontName = "image",
    look: Callable[[Path], Seen] | None = None,
    window_s: float = USUAL_S,
    classes: Sequence[str] | None = None,
) -> Split:
    """Draw `config.shots` images per class and choose the validation images; paths are relative to the folder `base`.

    With `config.val` all its images are for validation; without it, the training images that were not drawn. At most
    `config.max_val_images` are used, stratified. Both parts take classes in turn, so every prefix is as stratified as
    possible. Each image in use was decoded once by `look`, by default the front's `examine`; images that cannot be
    decoded are skipped. No two images of a split have the same bytes: repetitions are skipped and listed in `skipped`,
    and so are all images whose bytes have two labels (`conflicts`).
    With `config.group_by` and without `config.val` no group is in both parts; with `config.val` nothing is removed, and
    `shared_groups` names the groups in both. Windows of background noise (`edgetl.data.background`), `window_s` seconds
    long, never come from one recording in both parts. `classes` are those of the user's own network, in their order;
    some of them may have no images.

    Raises UsageError for a path that does not exist, for a `max_val_images` below the number of classes and for a
    `group_by` that matches no group in some name. Raises DataError for the errors of `scan`, fewer than two classes,
    classes that differ between train and val, a class with too few usable images, and, with `unreadable: refuse`, for
    images that cannot be decoded; also for clips of several rates, and for windows of several channels or rates.
    """
    progress = progress or Silent()
    kind = load_front(front)
    sources = read_sources(config, base, front, window_s)
    train, val = sources.train, sources.val
    if classes is not None:
        train, val = _as_given(sources, classes)
    require_classes(train)
    if val is not train:
        match_classes(train, val)
    groups = _groups(config, (train, val), progress)
    digests = _hash_all((train, val), front, progress)
    desk = Desk(digests, look or kind.examine, kind.noun)
    conflicts = _set_conflicts_aside(dict.fromkeys((train, val)), desk)

    kept_apart = groups if val is train else {path: groups[path] for path in _lent(train, val)}
    shots = _draw_shots(config, train, kept_apart, desk, progress)
    measured = _draw_val(config, train, val, shots, kept_apart, desk, progress)
    refuse_unreadable(config, desk)
    if kept_apart:
        _refuse_shared_groups(config, train, shots, kept_apart)
    if classes is None:
        _refuse_shortage(config, train, val, shots, measured, desk)
    elif not (any(shots) and any(measured)):
        raise DataError(f"{train.where}: expected images for calibration and others for validation; set data.val")

    skipped = dict.fromkeys((*train.skipped, *val.skipped, *desk.skipped))
    drawn = Split(
        train.classes, _in_turn(shots), _in_turn(measured), tuple(skipped), "squash", "", digest="", front=front
    )
    split = described(replace(drawn, conflicts=conflicts), desk.seen, config)
    return replace(split, digest=split_digest(split))


def _as_given(sources: Sources, classes: Sequence[str]) -> tuple[Listing, Listing]:
    train = with_classes(sources.train, classes)
    return train, train if sources.val is sources.train else with_classes(sources.val, classes)


def keep_split(split: Split, out: Path, progress: Progress) -> None:
    """Write split.json into the existing folder `out`. Reports skipped files, and objects that were left out."""
    noted = [f"skipped {skipped.path}: {skipped.reason}" for skipped in split.skipped]
    _note(noted, "skipped {} more", progress)
    _note([f"{remark.path}: {remark.sentence}" for remark in split.remarks], "{} more objects like these", progress)
    write_split(split, out / SPLIT_FILE)


def _note(sentences: Sequence[str], more: str, progress: Progress) -> None:
    for sentence in sentences[:_NOTED]:
        progress.note(sentence)
    if len(sentences) > _NOTED:
        progress.note(f"{more.format(len(sentences) - _NOTED)}; all are listed in {SPLIT_FILE}")


def write_split(split: Split, path: Path) -> None:
    """Write a split as JSON, with absolute paths."""
    values = asdict(split)
    for name in ("clips", "windows", "heads"):
        if not values[name]:
            del values[name]
    if split.front in ("image", "audio"):  # known by its clips
        del values["front"]
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_split(path: Path) -> Split:
    """Read a file of `write_split`. Raises DataError if it is missing, damaged or was edited."""
    try:
        if path.stat().st_size > MAX_SPLIT_BYTES:
            raise DataError(f"{path}: larger than {MAX_SPLIT_BYTES} bytes; expected a split")
        split = TypeAdapter(Split).validate_json(path.read_bytes())
        split = replace(split, front="audio") if split.clips else split
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; build again") from error
    except ValidationError as error:
        raise DataError(f"{path}: not a split: {first_problem(error)}; build again") from error
    labels = {label for sample in (*split.shots, *split.val) for label in labels_of(sample.truth)}
    if not labels <= set(range(len(split.classes))) or split.digest != split_digest(split):
        raise DataError(f"{path}: its content does not match its digest, so it was edited; build again")
    return split


def split_digest(split: Split) -> str:
    """sha256 (hex) over the content of the split: classes, resize policy, rate and lengths of clips, channels of
    windows, and label and bytes of each file in order."""
    meaning: dict[str, object] = {
        "classes": split.classes,
        "resize": split.resize,
        "shots": [(as_json(sample.truth), sample.sha256) for sample in split.shots],
        "val": [(as_json(sample.truth), sample.sha256) for sample in split.val],
    }
    if split.clips is not None:
        meaning |= {"clips": asdict(split.clips)}
    if split.windows is not None:
        meaning |= {"windows": asdict(split.windows)}
    if split.heads:
        meaning |= {"heads": [asdict(head) for head in split.heads]}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _hash_all(listings: Sequence[Listing], front: FrontName, progress: Progress) -> dict[str, str]:
    paths = [path for listing in dict.fromkeys(listings) for path, _ in listing.files]
    with progress.task(f"hashing {listings[0].noun}s", total=len(paths)) as advance:
        digests = hash_examples(paths, front)
        advance(len(paths))
    return digests


def _groups(config: Data, listings: Sequence[Listing], progress: Progress) -> dict[str, str]:
    """path -> group of every file; without `group_by` only of windows of background noise."""
    groups: dict[str, str] = {}
    if config.group_by is not None:
        for listing in dict.fromkeys(listings):
            groups.update(group_keys(config.group_by, listing, progress))
    for listing in reversed(listings):
        groups.update(recordings(listing))
    return groups


def _lent(train: Listing, val: Listing) -> set[str]:
    """The windows of background noise that are for both parts."""
    return set(recordings(train)) & {path for path, _ in val.files}


def _draw_shots(
    config: Data, train: Listing, groups: Mapping[str, str], desk: Desk[Seen], progress: Progress
) -> list[list[Sample]]:
    ordered = _by_class(train, config.seed, "shots")
    wanted = [len(paths) if config.shots == "all" else config.shots for paths in ordered]
    if groups:
        grouped = _by_group(config, train, ordered, groups)
        if config.shots == "all":  # the groups are those of noise that is for both parts
            for label, paths in grouped.items():
                own = tuple((path, 0) for path in paths)
                wanted[label] = most_shots(replace(train, classes=("",), files=own), groups, config.seed)
        for label, paths in grouped.items():
            # recordings that cannot be read have no group; they come first, so that they are named
            ordered[label] = [path for path in ordered[label] if path not in groups] + paths
    return _draw(ordered, wanted, "training", desk, "drawing shots", progress)


def _by_group(
    config: Data, train: Listing, ordered: list[list[str]], groups: Mapping[str, str]
) -> dict[int, list[str]]:
    """Of each class that has any, the paths with a group, in an order that takes whole groups."""
    grouped = {label: [path for path in paths if path in groups] for label, paths in enumerate(ordered)}
    labels = [label for label, paths in grouped.items() if paths]
    names = [train.classes[label] for label in labels]
    return dict(
        zip(labels, order_by_group([grouped[label] for label in labels], names, groups, config.seed), strict=True)
    )


def _draw_val(
    config: Data,
    train: Listing,
    val: Listing,
    shots: list[list[Sample]],
    groups: Mapping[str, str],
    desk: Desk[Seen],
    progress: Progress,
) -> list[list[Sample]]:
    drawn = {sample.path for part in shots for sample in part}
    training_groups = {groups[path] for path in drawn if path in groups}
    # without a separate val the draw continues after the shots
    role = "shots" if val is train else "val"
    ordered = [
        [path for path in paths if (path not in drawn or val is not train) and groups.get(path) not in training_groups]
        for paths in _by_class(val, config.seed, role)
    ]
    counts = [len(paths) for paths in ordered]
    return _draw(ordered, _quotas(config, counts), "validation", desk, f"checking validation {val.noun}s", progress)


def _draw(
    ordered: list[list[str]], wanted: list[int], role: str, desk: Desk[Seen], title: str, progress: Progress
) -> list[list[Sample]]:
    drawn: list[list[Sample]] = []
    with progress.task(title, total=sum(min(w, len(paths)) for w, paths in zip(wanted, ordered, strict=True))) as step:
        for label, (paths, count) in enumerate(zip(ordered, wanted, strict=True)):
            part: list[Sample] = []
            for path in paths:
                if len(part) == count:
                    break
                sample = desk.take(path, label, role)
                if sample is not None:
                    part.append(sample)
                    step(1, Path(path).name)
            drawn.append(part)
    return drawn


def rank_of(seed: int, role: str, label: str, name: str) -> tuple[bytes, str]:
    """The place of an example in the order of its class."""
    return hashlib.sha256(json.dumps([seed, role, label, name]).encode()).digest(), name


def _by_class(listing: Listing, seed: int, role: str) -> list[list[str]]:
    """Paths per class, in the order they are drawn."""
    ordered: list[list[str]] = [[] for _ in listing.classes]
    keyed = sorted(
        (*rank_of(seed, role, listing.classes[label], name), path, label)
        for path, label in listing.files
        for name in [listing.name_of(path)]
    )
    for _, _, path, label in keyed:
        ordered[label].append(path)
    return ordered


def _quotas(config: Data, counts: list[int]) -> list[int]:
    """Validation images per class: in proportion to `counts`, at least one, by largest remainders."""
    limit, total = config.max_val_images, sum(counts)
    if limit is None or limit >= total:
        return counts
    if limit < len(counts):
        raise UsageError(f"data.max_val_images: expected at least one for each of {len(counts)} classes, found {limit}")
    quotas = [max(1, count * limit // total) for count in counts]

    def surplus(label: int) -> float:
        return quotas[label] - counts[label] * limit / total

    while sum(quotas) < limit:
        quotas[min((i for i, count in enumerate(counts) if quotas[i] < count), key=surplus)] += 1
    while sum(quotas) > limit:
        quotas[max((i for i, quota in enumerate(quotas) if quota > 1), key=surplus)] -= 1
    return quotas


def _set_conflicts_aside(listings: Iterable[Listing], desk: Desk[Seen]) -> tuple[Conflict, ...]:
    """Files whose bytes occur under several labels: none is used, because the correct label is unknown."""
    labels: dict[str, dict[str, str]] = {}  # sha256 -> path -> label
    for path, name in _labeled(listings):
        labels.setdefault(desk.digests[path], {}).setdefault(path, name)
    conflicts: list[Conflict] = []
    for sha256, named in labels.items():
        # broken files (for example empty ones) may be equal by accident
        if len(set(named.values())) < 2 or not sha256 or not desk.readable(next(iter(named))):
            continue
        conflicts.append(Conflict(tuple(named), tuple(named.values())))
        for path, name in named.items():
            other = next(each for each in named if named[each] != name)
            desk.conflicting[path] = f"the same {desk.noun} is also in `{named[other]}`, skipped in both: {other}"
    return tuple(conflicts)


def _labeled(listings: Iterable[Listing]) -> Iterator[tuple[str, str]]:
    for listing in listings:
        for path, label in listing.files:
            yield path, listing.classes[label]


def _refuse_shared_groups(config: Data, train: Listing, shots: list[list[Sample]], groups: Mapping[str, str]) -> None:
    training_groups = {groups[sample.path] for part in shots for sample in part if sample.path in groups}
    kept = Counter(label for path, label in train.files if groups.get(path) not in training_groups)
    bare = [
        label
        for label, part in enumerate(shots)
        if len(part) == config.shots and len(part) < train.counts()[label] and not kept[label]
    ]
    if bare:
        named = in_quotes(train.classes[label] for label in bare)
        noise = all(is_background(train.classes[label]) for label in bare)
        group, others = ("recording", "recordings") if noise else ("group (data.group_by)", "groups")
        lower = "" if config.shots == 1 else "set data.shots lower, "
        raise DataError(
            f"{train.where}: every {group} of class {named} is used for training with "
            f"data.shots: {config.shots}; expected one left for validation; {lower}add {train.noun}s of other "
            f"{others}, or set `data.val`"
        )


def _refuse_shortage(
    config: Data,
    train: Listing,
    val: Listing,
    shots: list[list[Sample]],
    measured: list[list[Sample]],
    desk: Desk[Seen],
) -> None:
    found_in_train = [
        len(part) + (len(rest) if val is train else 0) for part, rest in zip(shots, measured, strict=True)
    ]
    extra = 1 if val is train else 0
    wanted = (1 if config.shots == "all" else config.shots) + extra
    short = [label for label, found in enumerate(found_in_train) if found < wanted]
    if short:
        asked = f"data.shots: {config.shots}" + (" and one more for validation" if extra else "")
        enough = min(found_in_train) - extra
        lower = f", set data.shots to {enough}" if enough >= 1 else ""
        other = ", or set `data.val`" if extra and min(found_in_train) >= 1 else ""
        raise DataError(
            f"{train.where}: {_shortage(train, short, found_in_train, desk)}; wanted {wanted} ({asked}); "
            f"add {train.noun}s{lower}{other}"
        )
    empty = [label for label, part in enumerate(measured) if not part]
    if empty:
        raise DataError(
            f"{val.where}: {_shortage(val, empty, [0] * len(measured), desk)}; wanted at least 1 for validation that "
            f"is not a training {val.noun}; add {val.noun}s"
        )


def _shortage(listing: Listing, labels: list[int], found: list[int], desk: Desk[Seen]) -> str:
    named = ", ".join(f"class `{listing.classes[i]}` has {found[i]}" for i in labels[:NAMED])
    more = f" and {len(labels) - NAMED} more classes have too few" if len(labels) > NAMED else ""
    passed = [f"{len(desk.unreadable)} unreadable ({_first(desk.unreadable)})"] if desk.unreadable else []
    passed += [f"{len(desk.copies)} copies"] * bool(desk.copies)
    passed += [f"{len(desk.conflicting)} under two labels"] * bool(desk.conflicting)
    if listing.skipped:
        passed.append(f"{len(listing.skipped)} not taken as {listing.noun}s, for example {listing.skipped[0].path}")
    passed_over = f" (skipped: {', '.join(passed)})" if passed else ""
    return f"{named} usable {listing.noun}s{more}{passed_over}"


def _first(reasons: Mapping[str, str]) -> str:
    path, reason = next(iter(reasons.items()))
    return f"{Path(path).name}: {reason}"


def _in_turn(parts: list[list[Sample]]) -> tuple[Sample, ...]:
    return tuple(sample for row in zip_longest(*parts) for sample in row if sample is not None)
