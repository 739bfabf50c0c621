"""Texts without a letter, in a script that training does not have, or longer than the network reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgetl.checks.model import Finding, Suspect
from edgetl.checks.subject import Subject, suspicion
from edgetl.checks.texts.prints import TextPrints
from edgetl.data.names import NAMED

_CUT_SHARE = 0.01
"""Share of texts that are cut from which on the finding is a warning."""


def letters(subject: Subject, prints: TextPrints) -> Finding:
    """Texts that are only digits, signs or emoji."""
    suspects = [
        Suspect(pictures=(subject.picture(index),), sentence="no letter")
        for index, script in enumerate(prints.scripts)
        if not script
    ]
    if not suspects:
        return Finding(check="letters", verdict="pass", sentence="every text has a letter")
    return suspicion(
        "letters",
        suspects,
        f"{_texts(len(suspects))} without a letter: {_named(subject, suspects)}",
        remedy="remove them, unless numbers, signs or emoji decide the class",
    )


def scripts(subject: Subject, prints: TextPrints) -> Finding:
    """Validation texts in a script that no training text is in."""
    trained = Counter(filter(None, prints.scripts[: subject.shots]))
    measured = Counter(filter(None, prints.scripts[subject.shots :]))
    numbers = {f"train_{name.lower()}": float(count) for name, count in trained.most_common(NAMED)} | {
        f"val_{name.lower()}": float(count) for name, count in measured.most_common(NAMED)
    }
    suspects = [
        Suspect(pictures=(subject.picture(index),), sentence=f"in {script.capitalize()} letters")
        for index, script in enumerate(prints.scripts)
        if index >= subject.shots and script and script not in trained
    ]
    known = ", ".join(name.capitalize() for name, _ in trained.most_common(NAMED)) or "none"
    if not suspects:
        sentence = f"validation texts are in scripts of the training texts ({known})"
        return Finding(check="scripts", verdict="pass", sentence=sentence, numbers=numbers)
    return suspicion(
        "scripts",
        suspects,
        f"{_texts(len(suspects), 'validation text')} in a script that no training text has (they have {known}): "
        f"{_named(subject, suspects)}",
        remedy="add training texts in it, or leave them out: the network never saw it in training",
    ).model_copy(update={"numbers": numbers})


def cut_off(subject: Subject, tokens: Sequence[int], longest: int) -> Finding:
    """Texts longer than the network reads.

    tokens   of each text, with those that the tokenizer adds, before it is cut
    longest  how many the network reads
    """
    cut = sorted((index for index, count in enumerate(tokens) if count > longest), key=lambda index: -tokens[index])
    lost = sum(tokens[index] - longest for index in cut)
    numbers = {
        "longest_tokens": float(max(tokens, default=0)),
        "read_tokens": float(longest),
        "cut_share": len(cut) / max(len(tokens), 1),
        "lost_share": lost / max(sum(tokens), 1),
    }
    if not cut:
        sentence = f"every text fits into {longest} tokens; the longest has {max(tokens, default=0)}"
        return Finding(check="window", verdict="pass", sentence=sentence, numbers=numbers)
    suspects = [
        Suspect(
            pictures=(subject.picture(index),),
            sentence=f"{tokens[index]} tokens, of which the last {tokens[index] - longest} are not read",
            score=tokens[index] / longest,
        )
        for index in cut
    ]
    return suspicion(
        "window",
        suspects,
        f"{len(cut)} of {len(tokens)} texts {'is' if len(cut) == 1 else 'are'} longer than the {longest} tokens that "
        f"are read, which cuts off "
        f"{100 * numbers['lost_share']:.1f} % of all tokens: {_named(subject, suspects)}",
        verdict="warn" if numbers["cut_share"] >= _CUT_SHARE else "pass",
        remedy="set text.max_tokens higher (slower), or put what decides the class at the beginning",
    ).model_copy(update={"numbers": numbers})


def _texts(count: int, what: str = "text") -> str:
    return f"{count} {what} is" if count == 1 else f"{count} {what}s are"


def _named(subject: Subject, suspects: Sequence[Suspect]) -> str:
    more = f" and {len(suspects) - NAMED} more" if len(suspects) > NAMED else ""
    return ", ".join(subject.short(suspect.pictures[0].path) for suspect in suspects[:NAMED]) + more
