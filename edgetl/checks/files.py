"""Checks that need no network: skipped files, copies, groups on both sides, class names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgetl.checks.copies.duplicates import Copy, Findings
from edgetl.checks.model import CheckName, Finding, Picture, Suspect
from edgetl.checks.subject import Subject, suspicion
from edgetl.data.groups import SharedGroup
from edgetl.data.names import NAMED, first_of, warnings_about
from edgetl.types import Conflict, Skipped

_ALLOW = "or allow it with --allow-leak (check.allow_leak: true), which the report mentions"
_KINDS = {
    "image": {
        "bytes": "the same file",
        "pixels": "the same image in another file",
        "copy": "a changed copy of the same image: re-encoded, rescaled, turned or trimmed",
        "near": "looks nearly the same",
    },
    "clip": {
        "bytes": "the same file",
        "pixels": "the same samples in another file",
        "copy": "the same recording: louder, quieter, shifted, trimmed, with noise or re-encoded",
        "near": "sounds nearly the same",
    },
    "text": {
        "bytes": "the same text",
        "pixels": "the same text but for case, spaces or punctuation",
        "near": "reads nearly the same",
    },
    "window": {
        "bytes": "the same row",
        "pixels": "the same time steps in another place",
        "copy": "time steps of the same recording: windows that overlap",
        "near": "looks nearly the same",
    },
}


@dataclass(frozen=True)
class Words:
    """Of one kind of example, in sentences.

    seem     how one example and several look alike
    at_them  what to do with those that do
    several  those of one origin;  apart  those of several
    measure  of their likeness"""

    seem: tuple[str, str]
    at_them: str
    several: str
    apart: str
    measure: str


WORDS = {
    "image": Words(
        ("looks", "look"),
        "look at them",
        "images of one recording or one object",
        "different objects in one pose",
        "correlation",
    ),
    "clip": Words(
        ("sounds", "sound"), "listen to them", "clips of one recording", "different recordings", "correlation"
    ),
    "text": Words(
        ("reads", "read"), "read them", "versions of one text", "different texts of one form", "common pieces"
    ),
    "window": Words(
        ("looks", "look"), "look at them", "windows of one recording", "different recordings", "common time steps"
    ),
}


def passed_over(subject: Subject, skipped: Sequence[Skipped]) -> Finding:
    """Files that were found but not used: unreadable, not images, copies."""
    if not skipped:
        return Finding(check="files", verdict="pass", sentence="no file was skipped")
    suspects = [Suspect(pictures=(Picture(path=item.path),), sentence=item.reason) for item in skipped]
    return suspicion(
        "files",
        suspects,
        f"{_count(len(skipped), 'file')} skipped: {_by_reason(subject, skipped)}",
        remedy="replace or remove them, or set data.unreadable: refuse to stop at broken ones",
    )


def _by_reason(subject: Subject, skipped: Sequence[Skipped]) -> str:
    """For each reason its first file and the number of others, the most frequent reasons first."""
    groups: dict[str, list[str]] = {}
    for item in skipped:
        reason = re.split(r":? (?=/)", item.reason)[0]  # without the path of another file
        groups.setdefault(reason, []).append(subject.short(item.path))
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    reasons = [
        f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''} ({reason})"
        for reason, paths in ordered[:NAMED]
    ]
    more = sum(len(paths) for _, paths in ordered[NAMED:])
    return ", ".join(reasons) + (f", and {more} more" if more else "")


def names(classes: Sequence[str]) -> Finding:
    """Classes whose names differ invisibly, or that are rarely meant to be classes."""
    sentences = warnings_about(classes)
    if not sentences:
        return Finding(check="names", verdict="pass", sentence="no two class names are nearly the same")
    return Finding(check="names", verdict="warn", sentence="; ".join(sentences), remedy="rename or move the folders")


def copies(subject: Subject, found: Findings, conflicts: Sequence[Conflict] = ()) -> tuple[Finding, Finding, Finding]:
    """Leaks (refused), images under two labels and redundant images (both are warnings).

    conflicts  images that were skipped because their bytes have two labels
    Images that only look nearly the same may show different objects in one pose: they get a warning that says so.
    """
    noun, words = subject.noun, WORDS[subject.noun]
    at_them = words.at_them
    repeated = words.several if noun == "text" else f"{noun}s of one recording"

    def seem(count: int) -> str:
        return words.seem[count != 1]

    return (
        _judged(
            "copies",
            subject,
            found.leaks,
            f"no {noun} is in both training and validation",
            lambda count: f"{_count(count, f'validation {noun}')} also among the training {noun}s",
            lambda count: f"{_count(count, f'validation {noun}')} {seem(count)} nearly the same as a training {noun}",
            verdict="refuse",
            remedy=f"remove one of each pair, {_ALLOW}",
            near_remedy=f"{at_them}; {words.several} belong on one side (data.group_by), {words.apart} may stay",
        ),
        _judged(
            "contradictions",
            subject,
            found.contradictions,
            f"no {noun} has two labels",
            lambda count: f"{_count(count, noun)} under two labels",
            lambda count: (
                f"{_count(count, 'pair')} of {noun}s {seem(count)} nearly the same and "
                f"{'has' if count == 1 else 'have'} two labels"
            ),
            remedy="keep each only under its correct label",
            left_out=[_left_out(conflict, noun) for conflict in conflicts],
            near_remedy=f"{at_them}; they may stay if a detail decides the class, otherwise one label is wrong",
        ),
        _judged(
            "redundant",
            subject,
            found.redundant,
            f"no {noun} is repeated within its class",
            lambda count: f"{_count(count, noun)} repeated within one class and side",
            lambda count: f"{_count(count, noun)} {seem(count)} nearly the same as another in its class and side",
            remedy=f"a repeated {noun} adds nothing; replace it with another one",
            near_remedy=f"{at_them}; {repeated} add little",
        ),
    )


def groups(subject: Subject, shared: Sequence[SharedGroup] | None) -> Finding:
    """Groups (video, patient, site) in both training and validation: refused. `shared` indexes shots and val; None: no
    group is named."""
    if shared is None:
        return Finding(check="groups", verdict="not checked", sentence="no groups are named (data.group_by)")
    if not shared:
        return Finding(check="groups", verdict="pass", sentence="no group is in both training and validation")
    suspects = [
        Suspect(
            pictures=(subject.picture(item.shot), subject.picture(subject.shots + item.val)),
            sentence=f"both of group `{item.key}`",
        )
        for item in shared
    ]
    keys = list(dict.fromkeys(f"`{item.key}`" for item in shared))
    return suspicion(
        "groups",
        suspects,
        f"{_count(len(keys), 'group')} in both training and validation ({first_of(keys)}), "
        f"{_count(len(shared), f'validation {subject.noun}')}: "
        f"{_named_pairs(subject, suspects)}",
        verdict="refuse",
        remedy=f"keep each group on one side, {_ALLOW}",
    )


def _judged(
    check: CheckName,
    subject: Subject,
    found: Sequence[Copy],
    none: str,
    sure: Callable[[int], str],
    near: Callable[[int], str],
    *,
    verdict: str = "warn",
    remedy: str,
    near_remedy: str,
    left_out: Sequence[Suspect] = (),
) -> Finding:
    """`pass` with the sentence `none`, or the suspects: copies, described by `sure` with the verdict `verdict`, and
    images that look nearly the same, described by `near` as a warning."""
    if not found and not left_out:
        return Finding(check=check, verdict="pass", sentence=none)
    copied = [*left_out, *(_pair(subject, copy) for copy in found if copy.kind != "near")]
    alike = [_pair(subject, copy) for copy in found if copy.kind == "near"]
    parts = [(copied, sure, remedy), (alike, near, near_remedy)]
    sentences = [
        (f"{say(len(pairs))}: {_named_pairs(subject, pairs)}", what_to_do) for pairs, say, what_to_do in parts if pairs
    ]
    return suspicion(
        check,
        [*copied, *alike],
        "; ".join(sentence for sentence, _ in sentences),
        verdict=verdict if copied else "warn",
        remedy="; ".join(what_to_do for _, what_to_do in sentences),
    )


def _pair(subject: Subject, copy: Copy) -> Suspect:
    # the correlation of thumbnails matters only if nothing else is known
    sentence = _KINDS[subject.noun][copy.kind] + (
        f", {WORDS[subject.noun].measure} {copy.correlation:.3f}" if copy.kind == "near" else ""
    )
    pictures = (subject.picture(copy.first), subject.picture(copy.second))
    return Suspect(pictures=pictures, sentence=sentence, score=copy.correlation)


def _left_out(conflict: Conflict, noun: str) -> Suspect:
    other = next(index for index, label in enumerate(conflict.labels) if label != conflict.labels[0])
    pictures = tuple(Picture(path=conflict.paths[index], label=conflict.labels[index]) for index in (0, other))
    return Suspect(pictures=pictures, sentence=f"{_KINDS[noun]['bytes']}, skipped under every label", score=1.0)


def _named_pairs(subject: Subject, suspects: Sequence[Suspect]) -> str:
    return first_of([" and ".join(subject.short(picture.path) for picture in suspect.pictures) for suspect in suspects])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
