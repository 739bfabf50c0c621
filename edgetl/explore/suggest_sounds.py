"""Writes a commented recipe that suits a folder of labeled clips: every choice states its reason, and who speaks
is told by the names of the files or not at all."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edgetl.data.groups import group_keys, most_shots
from edgetl.data.scan import Listing, locate
from edgetl.data.survey import Survey
from edgetl.errors import DataError
from edgetl.explore.recipe_lines import (
    UNREADABLE_LINES,
    Choice,
    end_lines,
    entry,
    head_lines,
    list_lines,
    place_lines,
    relative,
    shots_choice,
    shots_lines,
    title_of,
)
from edgetl.fronts.audio.piece import piece_of
from edgetl.fronts.audio.window import USUAL_S

_SPEECH_COMMANDS = r"([0-9a-f]{8})(_nohash_\d+)?\.\w+$"
"""Names of Google's Speech Commands: a hash of the speaker, and a counter."""
_CLIPS_EACH = 3
"""Clips per speaker, on average, below which a part of the name is no speaker."""


def speaker_pattern(train: Listing, val: Listing | None) -> str:
    """A pattern for `data.group_by`; "" if nothing in the names is surely a speaker.

    Either all names are those of Speech Commands and some speaker has two clips, or all have equally many parts
    between `_` or `-`, and exactly one part has a letter in every name, several clips for each value, and values that
    recur in other classes: the class's own name and a counter do not.
    """
    labeled = [
        (listing.name_of(path), label)
        for listing in (train, val)
        if listing
        for path, label in listing.files
        if piece_of(path) is None
    ]
    found = [re.search(_SPEECH_COMMANDS, name) for name, _ in labeled]
    hashes = [match[1] for match in found if match]
    if len(hashes) == len(labeled):
        return _SPEECH_COMMANDS if len(set(hashes)) < len(hashes) else ""
    return next((pattern for sign in "_-" if (pattern := _by_parts(labeled, sign))), "")


def _by_parts(labeled: Sequence[tuple[str, int]], sign: str) -> str:
    rows = [PurePosixPath(name).stem.split(sign) for name, _ in labeled]
    count = len(rows[0])
    if count < 2 or any(len(row) != count for row in rows):
        return ""
    labels = [label for _, label in labeled]
    places = [place for place in range(count) if _is_speaker([row[place] for row in rows], labels)]
    if len(places) != 1:
        return ""
    part = f"[^/{sign}]+"
    return f"({part}){(sign + part) * (count - places[0] - 1)}" + r"\.\w+$"


def _is_speaker(values: Sequence[str], labels: Sequence[int]) -> bool:
    if not all(re.search(r"[^\W\d_]", value) for value in values):
        return False
    classes: dict[str, set[int]] = {}
    for value, label in zip(values, labels, strict=True):
        classes.setdefault(value, set()).add(label)
    several = all(len(own) > 1 for own in classes.values())
    return 2 <= len(classes) <= len(values) / _CLIPS_EACH and several


BACKBONE = "speech_embedding"

_LONGEST_WINDOW_S = 10.0
_COVERED = 0.95


def sound_recipe_text(seen: Survey, root: Path, recipe_dir: Path, name: str | None, *, vnni: bool = True) -> str:
    """YAML text of a recipe for sound, to be written into the folder `recipe_dir`; the rest as in `recipe_text`.

    Raises DataError for clips of several rates.
    """
    rates = sorted({each.rate_hz for each in seen.clips})
    if len(rates) > 1:
        named = ", ".join(map(str, rates))
        raise DataError(
            f"{seen.train.where}: expected clips of one rate, found {named} Hz; convert all to the rate that the "
            "device records, for example with ffmpeg -i FILE -ar 16000 NEW.wav"
        )
    title, here = title_of(root, name), locate(Path(), str(recipe_dir))
    return "\n".join((*_head(title, seen), *_data(seen, here), *_rest(seen, here, vnni)))


def _head(title: str, seen: Survey) -> list[str]:
    seconds = _seconds(seen)
    lengths = f"{seen.clips[0].rate_hz} Hz, {seconds[0]:.2f} to {seconds[-1]:.2f} s long"
    return head_lines(title, seen, lengths, "front: audio")


def _data(seen: Survey, here: Path) -> list[str]:
    shots, groups = shots_choice(seen), _group_lines(seen)
    if seen.val_path is None:
        shots = _fewer(seen, shots)
    return [
        *place_lines(seen.train_path, seen.val_path, here, "clip", "those of other people"),
        *list_lines(seen, here),
        *shots_lines(shots),
        "  # shifted, louder or quieter, with noise, faster or slower; `sounds` if the speed decides the class",
        "  augment: speech",
        *UNREADABLE_LINES,
        *groups,
        "",
    ]


def _group_lines(seen: Survey) -> list[str]:
    pattern = speaker_pattern(seen.train, seen.val)
    if not pattern:
        return [
            "  # if file names tell who speaks, a pattern keeps each speaker on one side:",
            r"  # group_by: '_([a-z]+)_\d+\.wav$'",
        ]
    keys = [set(group_keys(pattern, side).values()) for side in (seen.train, seen.val) if side is not None]
    if len(keys) == 2 and keys[0] & keys[1]:
        return [
            f"  # {len(keys[0] & keys[1])} speakers, by the file names, are in training and validation: expect lower "
            "accuracy",
            "  # for new speakers. With this key the build refuses them:",
            "  # " + entry("group_by", pattern),
        ]
    return [
        f"  # {len(set().union(*keys))} speakers, by the file names; each is only on one side",
        "  " + entry("group_by", pattern),
    ]


def _fewer(seen: Survey, shots: Choice) -> Choice:
    """With speakers, at most what half of them give."""
    pattern = speaker_pattern(seen.train, None)
    if not pattern or not isinstance(shots.value, int):
        return shots
    most = max(1, most_shots(seen.train, group_keys(pattern, seen.train), seed=0))
    return shots if shots.value <= most else Choice(most, "per class: what half of the speakers give")


def _rest(seen: Survey, here: Path, vnni: bool) -> list[str]:
    seconds = _seconds(seen)
    covered = seconds[min(len(seconds) - 1, math.floor(_COVERED * len(seconds)))]
    window = min(max(USUAL_S, math.ceil(10 * covered) / 10), _LONGEST_WINDOW_S)
    weights = _weights_folder(seen.train)
    found = (
        ["  " + entry("weights_dir", relative(weights, here))]
        if weights
        else [f"  # the folder with {BACKBONE}/model.safetensors", "  # weights_dir: weights"]
    )
    return [
        "audio:",
        f"  # 95 % of the clips are at most {covered:.2f} s long; longer ones are cut to their middle",
        f"  window_s: {window:g}",
        "",
        "# Google's network for words; it takes over the sampling rate and the mel spectrum it was trained with",
        "backbone:",
        f"  name: {BACKBONE}",
        *found,
        *end_lines(vnni, "; also min_top1,"),
    ]


def _seconds(seen: Survey) -> list[float]:
    return sorted(each.samples / each.rate_hz for each in seen.clips)


def _weights_folder(train: Listing) -> Path | None:
    """A folder `weights` beside the clips or above them that holds the backbone."""
    folders = (folder / "weights" for folder in (train.root, *train.root.parents))
    return next((folder for folder in folders if (folder / BACKBONE / "model.safetensors").is_file()), None)
