"""Names that people take for one although their bytes differ: Unicode forms, case, spaces at the ends."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

NAMED = 3
"""How many culprits an error line names before it only counts."""

SELDOM_CLASSES = frozenset(
    {"no_label", "nolabel", "unlabeled", "unlabelled", "unlabeled_data", "unknown", "unsorted", "undefined"}
)
"""What labelling tools call a folder of pictures that nobody labelled, in lower case and with `_` between words."""


def one_form(name: str) -> str:
    """The name in Unicode's composed form (NFC): macOS stores `é` as two characters, everybody else as one."""
    return unicodedata.normalize("NFC", name)


def loosely(name: str) -> str:
    """What a name is compared by when bytes are not what counts: Unicode form, case and outer spaces are gone."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold()).strip()


def alike(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more different names that are one once compared loosely, in order of appearance."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(loosely(name), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def what_differs(first: str, second: str) -> str:
    """In what two names differ that are one loosely."""
    if first.strip() == second.strip():
        return "spaces at the ends"
    if one_form(first) == one_form(second):
        return "the Unicode form"
    return (
        "upper and lower case" if first.strip().casefold() == second.strip().casefold() else "case or width of letters"
    )


def counterparts(wanted: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """For each wanted name, the one of `there` that it is loosely; those without one are left out."""
    by_key = {loosely(name): name for name in there}
    return {name: by_key[loosely(name)] for name in wanted if loosely(name) in by_key}


def seldom_a_class(name: str) -> bool:
    """Whether this is what tools call pictures without a label, or a folder of a tool's own."""
    key = loosely(name).replace("-", "_").replace(" ", "_")
    return key in SELDOM_CLASSES or key.endswith("checkpoints") or key.startswith(("@eadir", "thumbs", "$recycle"))


def in_quotes(names: Iterable[str], most: int = NAMED) -> str:
    """The first of the names, in backquotes, and how many more."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(f"`{name}`" for name in listed[:most]) + more


def warnings_about(classes: Sequence[str]) -> tuple[str, ...]:
    """One sentence for each thing about the names of classes that is seldom meant."""
    told = [
        f"the classes {in_quotes(group)} differ only in {what_differs(group[0], group[1])}: if they are one, put them "
        "together"
        for group in alike(classes)
    ]
    odd = [name for name in classes if seldom_a_class(name)]
    if odd:
        told.append(
            f"{in_quotes(odd)} {'is' if len(odd) == 1 else 'are'} trained as a class; "
            "pictures nobody labelled are seldom one: move them out if so"
        )
    return tuple(told)
