"""The check stage for texts: writes check.json for a split of texts. It refuses nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgetl.checks import files, sizes
from edgetl.checks.check import write_findings
from edgetl.checks.copies.duplicates import across
from edgetl.checks.drift_findings import Plain, drift
from edgetl.checks.features import frozen_of, of_frozen
from edgetl.checks.model import Finding
from edgetl.checks.subject import Subject, beginning, groups_of, rows_of, whole
from edgetl.checks.texts.copies import find_text_copies
from edgetl.checks.texts.prints import PROPERTIES, TextPrints, text_prints
from edgetl.checks.texts.remarks import cut_off, letters, scripts
from edgetl.data.groups import SplitKeys, shared_groups, split_keys
from edgetl.fronts.text.load import tokenizer_of
from edgetl.fronts.text.shown import quote
from edgetl.recipes.run import Run
from edgetl.types import Preprocessing, TextPreprocessing, WeightSource

_QUOTED = 40
_SHOWN = (("characters", ""), ("words", ""))
_ADVICE = (
    "train on texts of the same source, language and length as the validation texts, or expect lower accuracy on them"
)


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
        files.passed_over(subject, split.skipped),
        files.names(split.classes),
        *files.copies(subject, across(copies, subject.sides, subject.labels.tolist()), split.conflicts),
        files.groups(subject, None if keys is None else shared_groups(keys)),
        letters(subject, prints),
        scripts(subject, prints),
        *_by_features(run, source if recipe.check.features else None, obstacle, looked_at, prints, keys),
        sizes.balance(split),
        sizes.precision(split, recipe.gates.max_drop_points),
    ]
    write_findings([_quoted(each, quotes) for each in findings], subject, looked_at, out, progress)


@dataclass(frozen=True)
class _Quoting(Subject):
    """A subject whose sentences name texts by their places and beginnings."""

    quotes: Mapping[str, str] = field(default_factory=dict)

    def short(self, path: str) -> str:
        return f"{super().short(path)} {self.quotes[path]}" if path in self.quotes else super().short(path)


def _quoting(subject: Subject, quotes: Mapping[str, str]) -> Subject:
    return _Quoting(subject.classes, subject.samples, subject.shots, subject.noun, quotes)


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
