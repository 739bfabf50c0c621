"""Checks that need no network: files passed over, copies, groups on both sides."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.checks.model import CheckName, Finding, Picture, Suspect
from edgetl.checks.subject import Subject, suspicion
from edgetl.data.duplicates import Copy, Findings
from edgetl.data.groups import SharedGroup
from edgetl.data.scan import NAMED
from edgetl.types import Skipped

_ALLOW = "or let it pass with --allow-leak (check.allow_leak: true), which the report names"
_KINDS = {"bytes": "the same file", "pixels": "the same picture in another file", "near": "nearly the same picture"}


def passed_over(skipped: Sequence[Skipped]) -> Finding:
    """Files that were found and not used: unreadable, foreign, copies."""
    if not skipped:
        return Finding(check="files", verdict="pass", sentence="no file was passed over")
    suspects = [Suspect(pictures=(Picture(path=item.path),), sentence=item.reason) for item in skipped]
    return suspicion(
        "files",
        suspects,
        f"{_count(len(skipped), 'file')} passed over: {_named([item.path for item in skipped])}",
        remedy="replace or remove them, or set data.unreadable: refuse to stop at broken ones",
    )


def copies(subject: Subject, found: Findings) -> tuple[Finding, Finding, Finding]:
    """Leaks (refused), pictures under two labels and redundant pictures (both warned of)."""
    leaks, contrary, again = (
        [_pair(subject, copy) for copy in copied] for copied in (found.leaks, found.contradictions, found.redundant)
    )
    return (
        _judged(
            "copies",
            leaks,
            "no picture is on both sides",
            f"{_count(len(leaks), 'validation image')} also among the training images",
            verdict="refuse",
            remedy=f"remove one of each pair, {_ALLOW}",
        ),
        _judged(
            "contradictions",
            contrary,
            "no picture has two labels",
            f"{_count(len(contrary), 'picture')} under two labels",
            remedy="keep each under its right label only",
        ),
        _judged(
            "redundant",
            again,
            "no picture is repeated within its class",
            f"{_count(len(again), 'picture')} repeated within a class and side",
            remedy="a repeated picture teaches or measures nothing new; replace it by another",
        ),
    )


def groups(subject: Subject, shared: Sequence[SharedGroup], pattern: str | None) -> Finding:
    """Groups (video, patient, site) that teach and measure: refused. `shared` indexes shots and val."""
    if pattern is None:
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
        f"{_named_pairs(suspects)}",
        verdict="refuse",
        remedy=f"keep each group on one side, {_ALLOW}",
    )


def _judged(
    check: CheckName, suspects: Sequence[Suspect], none: str, some: str, *, verdict: str = "warn", remedy: str
) -> Finding:
    """`pass`, told by `none`, or the suspects, told by `some` and the first names."""
    if not suspects:
        return Finding(check=check, verdict="pass", sentence=none)
    return suspicion(check, suspects, f"{some}: {_named_pairs(suspects)}", verdict=verdict, remedy=remedy)


def _pair(subject: Subject, copy: Copy) -> Suspect:
    told = _KINDS[copy.kind] + (f", correlation {copy.correlation:.3f}" if copy.kind == "near" else "")
    pictures = (subject.picture(copy.first), subject.picture(copy.second))
    return Suspect(pictures=pictures, sentence=told, score=copy.correlation)


def _named_pairs(suspects: Sequence[Suspect]) -> str:
    return _named([" and ".join(picture.path for picture in suspect.pictures) for suspect in suspects])


def _named(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
