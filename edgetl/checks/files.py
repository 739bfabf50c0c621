"""Checks that need no network: files skipped, copies, groups on both sides, names of classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from edgetl.checks.copies.duplicates import Copy, Findings
from edgetl.checks.model import CheckName, Finding, Picture, Suspect
from edgetl.checks.subject import Subject, suspicion
from edgetl.data.groups import SharedGroup
from edgetl.data.names import NAMED, warnings_about
from edgetl.types import Conflict, Skipped

_ALLOW = "or let it pass with --allow-leak (check.allow_leak: true), which the report names"
_KINDS = {
    "bytes": "the same file",
    "pixels": "the same picture in another file",
    "copy": "the same picture changed: encoded again, rescaled, turned or trimmed",
    "near": "looks nearly the same",
}


def passed_over(subject: Subject, skipped: Sequence[Skipped]) -> Finding:
    """Files that were found and not used: unreadable, foreign, copies."""
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
    """The first file of each reason and how many more have it, the most frequent reasons first."""
    groups: dict[str, list[str]] = {}
    for item in skipped:
        reason = re.split(r":? (?=/)", item.reason)[0]  # without the path of another file
        groups.setdefault(reason, []).append(subject.short(item.path))
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    told = [
        f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''} ({reason})"
        for reason, paths in ordered[:NAMED]
    ]
    more = sum(len(paths) for _, paths in ordered[NAMED:])
    return ", ".join(told) + (f", and {more} more" if more else "")


def names(classes: Sequence[str]) -> Finding:
    """Classes whose names differ in what nobody sees, or that are seldom meant to be classes."""
    told = warnings_about(classes)
    if not told:
        return Finding(check="names", verdict="pass", sentence="no two names of classes are nearly one")
    return Finding(check="names", verdict="warn", sentence="; ".join(told), remedy="rename or move the folders")


def copies(subject: Subject, found: Findings, conflicts: Sequence[Conflict] = ()) -> tuple[Finding, Finding, Finding]:
    """Leaks (refused), pictures under two labels and redundant pictures (both warned of).

    conflicts  pictures that were left out because their bytes have two labels
    What only looks nearly the same may be another object in the same pose: it is warned of, and said so.
    """
    return (
        _judged(
            "copies",
            subject,
            found.leaks,
            "no picture is on both sides",
            lambda count: f"{_count(count, 'validation image')} also among the training images",
            lambda count: f"{_count(count, 'validation image')} {_look(count)} nearly the same as a training image",
            verdict="refuse",
            remedy=f"remove one of each pair, {_ALLOW}",
            near_remedy="look at them; what is of one recording or one object belongs on one side (data.group_by), "
            "different objects in one pose may stay",
        ),
        _judged(
            "contradictions",
            subject,
            found.contradictions,
            "no picture has two labels",
            lambda count: f"{_count(count, 'picture')} under two labels",
            lambda count: (
                f"{_count(count, 'pair')} of pictures {_look(count)} nearly the same and "
                f"{'has' if count == 1 else 'have'} two labels"
            ),
            remedy="keep each under its right label only",
            left_out=[_left_out(conflict) for conflict in conflicts],
            near_remedy="look at them; where a detail decides the class they may stay, else one label is wrong",
        ),
        _judged(
            "redundant",
            subject,
            found.redundant,
            "no picture is repeated within its class",
            lambda count: f"{_count(count, 'picture')} repeated within a class and side",
            lambda count: f"{_count(count, 'picture')} {_look(count)} nearly the same as another of the class and side",
            remedy="a repeated picture teaches or measures nothing new; replace it by another",
            near_remedy="look at them; what is of one recording teaches or measures little new",
        ),
    )


def groups(subject: Subject, shared: Sequence[SharedGroup] | None) -> Finding:
    """Groups (video, patient, site) that teach and measure: refused. `shared` indexes shots and val; None: no group is
    named."""
    if shared is None:
        return Finding(check="groups", verdict="not checked", sentence="no groups are named (data.group_by)")
    if not shared:
        return Finding(check="groups", verdict="pass", sentence="no group is on both sides")
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
        f"{_count(len(keys), 'group')} on both sides ({_named(keys)}), {_count(len(shared), 'validation image')}: "
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
    """`pass`, told by `none`, or the suspects: copies, told by `sure` and judged as `verdict`, and pictures that look
    nearly the same, told by `near` and warned of."""
    if not found and not left_out:
        return Finding(check=check, verdict="pass", sentence=none)
    copied = [*left_out, *(_pair(subject, copy) for copy in found if copy.kind != "near")]
    alike = [_pair(subject, copy) for copy in found if copy.kind == "near"]
    parts = [(copied, sure, remedy), (alike, near, near_remedy)]
    told = [
        (f"{say(len(pairs))}: {_named_pairs(subject, pairs)}", what_to_do) for pairs, say, what_to_do in parts if pairs
    ]
    return suspicion(
        check,
        [*copied, *alike],
        "; ".join(sentence for sentence, _ in told),
        verdict=verdict if copied else "warn",
        remedy="; ".join(what_to_do for _, what_to_do in told),
    )


def _pair(subject: Subject, copy: Copy) -> Suspect:
    # the correlation of thumbnails says something only where it is all that is known
    told = _KINDS[copy.kind] + (f", correlation {copy.correlation:.3f}" if copy.kind == "near" else "")
    pictures = (subject.picture(copy.first), subject.picture(copy.second))
    return Suspect(pictures=pictures, sentence=told, score=copy.correlation)


def _left_out(conflict: Conflict) -> Suspect:
    other = next(index for index, label in enumerate(conflict.labels) if label != conflict.labels[0])
    pictures = tuple(Picture(path=conflict.paths[index], label=conflict.labels[index]) for index in (0, other))
    return Suspect(pictures=pictures, sentence="the same file, left out under every label", score=1.0)


def _named_pairs(subject: Subject, suspects: Sequence[Suspect]) -> str:
    return _named([" and ".join(subject.short(picture.path) for picture in suspect.pictures) for suspect in suspects])


def _named(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def _look(number: int) -> str:
    return "looks" if number == 1 else "look"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
