"""Checks a target's `options`: an unknown or invalid one is refused, never ignored."""

from __future__ import annotations

from edgetl.errors import UsageError
from edgetl.files.text import nearest
from edgetl.types import Target


def refuse_unknown(target: Target, known: tuple[str, ...]) -> None:
    """Raise UsageError for an option that the target's backend does not have."""
    for name in target.options:
        if name not in known:
            hint = nearest(name, known) if known else "it has none"
            raise UsageError(f"target {target.name}: {target.backend} has no option `{name}`; {hint}")


def integer(target: Target, name: str, default: int, *, low: int, high: int) -> int:
    """The option `name`, a whole number in [low, high]."""
    value = target.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(
            f"target {target.name}: option `{name}`: expected a whole number from {low} to {high}; found {value!r}"
        )
    return value


def words(target: Target, name: str) -> tuple[str, ...]:
    """The option `name` as words split at commas and spaces; () if it is not given. `8.9` counts as one word."""
    value = target.options.get(name, "")
    if isinstance(value, bool):
        raise UsageError(f"target {target.name}: option `{name}`: expected words separated by commas; found {value!r}")
    return tuple(str(value).replace(",", " ").split())
