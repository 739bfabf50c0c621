"""Names that people read as equal although their bytes differ: Unicode forms, case, spaces at the ends."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

NAMED = 3
"""How many names an error line lists before it only counts."""

SELDOM_CLASSES = frozenset(
    {"no_label", "nolabel", "unlabeled", "unlabelled", "unlabeled_data", "unknown", "unsorted", "undefined"}
)
"""Names that labeling tools give to folders of unlabeled images, in lower case and with `_` between words."""


def one_form(name: str) -> str:
    """The name in Unicode's composed form (NFC): macOS stores `é` as two characters, other systems as one."""
    return unicodedata.normalize("NFC", name)


def loosely(name: str) -> str:
    """The form of a name for loose comparison: without Unicode form, case and outer spaces."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold()).strip()


def alike(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more different names that are loosely equal, in order of appearance."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(loosely(name), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def what_differs(first: str, second: str) -> str:
    """How two loosely equal names differ."""
    if first.strip() == second.strip():
        return "spaces at the ends"
    if one_form(first) == one_form(second):
        return "the Unicode form"
    return (
        "upper and lower case" if first.strip().casefold() == second.strip().casefold() else "case or width of letters"
    )


def counterparts(wanted: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """For each wanted name, the name in `there` that is loosely equal; names without one are omitted."""
    by_key = {loosely(name): name for name in there}
    return {name: by_key[loosely(name)] for name in wanted if loosely(name) in by_key}


def seldom_a_class(name: str) -> bool:
    """Whether tools use this name for images without a label, or for a folder of their own."""
    key = loosely(name).replace("-", "_").replace(" ", "_")
    return key in SELDOM_CLASSES or key.endswith("checkpoints") or key.startswith(("@eadir", "thumbs", "$recycle"))


def in_quotes(names: Iterable[str], most: int = NAMED) -> str:
    """The first of the names, in backquotes, and how many more."""
    return first_of([f"`{name}`" for name in names], most=most)


def first_of(texts: Sequence[str], joint: str = ", ", *, most: int = NAMED) -> str:
    """The first of the texts, and how many more."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return joint.join(texts[:most]) + more


def warnings_about(classes: Sequence[str]) -> tuple[str, ...]:
    """One sentence for each class name that is rarely intended."""
    sentences = [
        f"the classes {in_quotes(group)} differ only in {what_differs(group[0], group[1])}: if they are the same, "
        f"put them "
        "together"
        for group in alike(classes)
    ]
    odd = [name for name in classes if seldom_a_class(name)]
    if odd:
        sentences.append(
            f"{in_quotes(odd)} {'is' if len(odd) == 1 else 'are'} trained as a class; "
            "if it holds unlabeled examples, move them out"
        )
    return tuple(sentences)
