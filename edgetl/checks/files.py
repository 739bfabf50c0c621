"""Checks that need no network: files passed over, copies, groups on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgetl.checks.model import CheckName, Finding, Picture, Suspect
from edgetl.checks.subject import Subject, suspicion
from edgetl.data.duplicates import Copy, Findings
from edgetl.data.groups import SharedGroup
from edgetl.data.names import NAMED
from edgetl.types import Skipped

_ALLOW = "or let it pass with --allow-leak (check.allow_leak: true), which the report names"
_KINDS = {
    "bytes": "the same file",
    "pixels": "the same picture in another file",
    "copy": "the same picture changed: encoded again, rescaled, turned or trimmed",
    "near": "looks nearly the same",
}


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
    """Leaks (refused), pictures under two labels and redundant pictures (both warned of).

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
        f"{_named_pairs(suspects)}",
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
) -> Finding:
    """`pass`, told by `none`, or the suspects: copies, told by `sure` and judged as `verdict`, and pictures that look
    nearly the same, told by `near` and warned of."""
    if not found:
        return Finding(check=check, verdict="pass", sentence=none)
    copied = [_pair(subject, copy) for copy in found if copy.kind != "near"]
    alike = [_pair(subject, copy) for copy in found if copy.kind == "near"]
    parts = [(copied, sure, remedy), (alike, near, near_remedy)]
    told = [(f"{say(len(pairs))}: {_named_pairs(pairs)}", what_to_do) for pairs, say, what_to_do in parts if pairs]
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


def _named_pairs(suspects: Sequence[Suspect]) -> str:
    return _named([" and ".join(picture.path for picture in suspect.pictures) for suspect in suspects])


def _named(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def _look(number: int) -> str:
    return "looks" if number == 1 else "look"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
