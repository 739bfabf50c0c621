"""The check stage for texts: writes check.json for a split of texts. It refuses nothing itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgetl.checks.check import of_files, sizes_of, write_findings
from edgetl.checks.copies.duplicates import across
from edgetl.checks.copies.texts import find_text_copies
from edgetl.checks.drift_findings import Plain, drift
from edgetl.checks.features import frozen_of, of_frozen
from edgetl.checks.model import Finding, Suspect
from edgetl.checks.subject import Subject, beginning, groups_of, rows_of, suspicion, whole
from edgetl.checks.text_prints import PROPERTIES, TextPrints, text_prints
from edgetl.data.groups import SplitKeys, split_keys
from edgetl.data.names import NAMED
from edgetl.fronts.text.load import tokenizer_of
from edgetl.fronts.text.shown import quote
from edgetl.recipes.run import Run
from edgetl.types import Preprocessing, TextPreprocessing, WeightSource

_QUOTED = 40
_SHOWN = (("characters", ""), ("words", ""))
_ADVICE = (
    "train on texts of the same source, language and length as the validation texts, or expect lower accuracy on them"
)
_CUT_SHARE = 0.01
"""Share of texts that are cut from which on the finding is a warning."""


def check_texts(run: Run, source: WeightSource | None, obstacle: str, out: Path) -> None:
    """Write check.json into the folder `out`; the parameters and errors are those of `edgetl.checks.check`.

    There is no contact sheet: sentences quote the beginnings of texts.
    """
    split, recipe, progress = run.split, run.job.recipe, run.progress
    bare = whole(split)
    prints = text_prints(bare.samples, progress)
    quotes = {sample.path: f'"{quote(text, _QUOTED)}"' for sample, text in zip(bare.samples, prints.texts, strict=True)}
    subject, looked_at = _quoting(bare, quotes), _quoting(beginning(split, recipe.check.max_images), quotes)
    copies = find_text_copies(prints, progress)
    keys = split_keys(run)
    findings = [
        *of_files(run, subject, across(copies, subject.sides, subject.labels.tolist()), keys),
        letters(subject, prints),
        scripts(subject, prints),
        *_by_features(run, source if recipe.check.features else None, obstacle, looked_at, prints, keys),
        *sizes_of(run),
    ]
    write_findings([_quoted(each, quotes) for each in findings], subject, looked_at, out, progress)


@dataclass(frozen=True)
class _Quoting(Subject):
    """A subject whose sentences name texts by their places and beginnings."""

    quotes: Mapping[str, str] = field(default_factory=dict)

    def short(self, path: str) -> str:
        return f"{super().short(path)} {self.quotes[path]}" if path in self.quotes else super().short(path)


def _quoting(subject: Subject, quotes: Mapping[str, str]) -> Subject:
    return _Quoting(subject.classes, subject.samples, subject.shots, subject.noun, subject.heads, quotes)


def _quoted(finding: Finding, quotes: Mapping[str, str]) -> Finding:
    """The finding whose suspects quote their texts."""
    suspects = tuple(
        each.model_copy(update={"sentence": f"{each.sentence}: {said}" if said else each.sentence})
        for each in finding.suspects
        for said in [_said(dict.fromkeys(quotes.get(picture.path, "") for picture in each.pictures))]
    )
    return finding.model_copy(update={"suspects": suspects})


def _said(quotes: Iterable[str]) -> str:
    return " and ".join(each for each in quotes if each)


def _by_features(
    run: Run,
    source: WeightSource | None,
    obstacle: str,
    looked_at: Subject,
    prints: TextPrints,
    keys: SplitKeys | None,
) -> list[Finding]:
    seed = run.job.recipe.data.seed
    rows = rows_of(looked_at, run.split)
    features = None
    if source is None:
        reason = obstacle if run.job.recipe.check.features else "check.features: false"
        found = [Finding(check=name, verdict="not checked", sentence=reason) for name in ("window", "labels")]
    else:
        # its numerics need scikit-learn, which only the training half has
        from edgetl.checks.likeness import labels

        frozen = frozen_of(run, source, looked_at)
        features = of_frozen(run, frozen, looked_at)
        tokens, longest = _tokens(frozen.spec.preprocessing, [prints.texts[row] for row in rows])
        found = [cut_off(looked_at, tokens, longest), labels(looked_at, features, seed=seed)]
    plain = Plain("length and letters", prints.values[rows], PROPERTIES, _SHOWN, _ADVICE)
    return [*found, drift(looked_at, features, plain, seed=seed, groups=groups_of(keys, looked_at))]


def _tokens(p: Preprocessing, texts: Sequence[str]) -> tuple[list[int], int]:
    """How many each text has before it is cut, and how many are read."""
    assert isinstance(p, TextPreprocessing)
    tokenizer = tokenizer_of(p)
    return [len(tokenizer.encode(text)) for text in texts], p.lengths[-1]


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
        f"{_texts(len(suspects))} without a letter: {subject.named(suspects)}",
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
        f"{subject.named(suspects)}",
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
        f"{100 * numbers['lost_share']:.1f} % of all tokens: {subject.named(suspects)}",
        verdict="warn" if numbers["cut_share"] >= _CUT_SHARE else "pass",
        remedy="set text.max_tokens higher (slower), or put what decides the class at the beginning",
    ).model_copy(update={"numbers": numbers})


def _texts(count: int, what: str = "text") -> str:
    return f"{count} {what} is" if count == 1 else f"{count} {what}s are"
