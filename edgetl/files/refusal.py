"""Turns a validation error into the user's words: place, expected value, found value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgetl.files.text import quoted, shortened

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KEY_CHARACTERS, _PROBLEM_CHARACTERS = 80, 400
_UNION_TAGS = {"int", "float", "str", "none", "constrained-int", "constrained-float", "constrained-str"}
_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "set": "a list",
    "dict": "a section with keys of its own",
    "model": "a section with keys of its own",
    "dataclass": "a section with keys of its own",
    "model_attributes": "a section with keys of its own",
    "mapping": "a section with keys of its own",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def place_of(problem: ErrorDetails) -> tuple[str, ...]:
    """The keys that lead to a problem, without pydantic's names for the members of a union."""
    unknown = problem["type"] in ("extra_forbidden", "unexpected_keyword_argument")
    *parents, last = problem["loc"] or ("",)
    place = [str(part) for part in parents if not _is_union_tag(part)]
    return (*place, *([str(last)] if unknown or not _is_union_tag(last) else []))


def key_of(place: Sequence[str]) -> str:
    """`data.shots`, shortened."""
    return shortened(".".join(place), _KEY_CHARACTERS)


def sentence(problems: Sequence[ErrorDetails]) -> str:
    """The mistake in one value: `expected a whole number or all; found 'abc'`. problems  all problems of its place"""
    value = problems[0]["input"]
    own = [problem["msg"].removeprefix("Value error, ") for problem in problems if problem["type"] == "value_error"]
    parts = list(dict.fromkeys(expectation(problem) for problem in problems if problem["type"] != "value_error"))
    text = "; ".join(own) or f"expected {' or '.join(parts)}"
    found = "" if isinstance(value, Mapping) else f"; found {quoted(value)}"
    quotes = ""
    if "string_type" in {problem["type"] for problem in problems} and isinstance(value, (int, float)):
        quotes = "; put it in quotes"
    return f"{shortened(text, _PROBLEM_CHARACTERS)}{found}{quotes}"


def expectation(problem: ErrorDetails) -> str:
    """The expected value, without the word "expected": `at least 1`, `a list`, `auto, qat or none`."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _BOUNDS:
        words, limit = _BOUNDS[kind]
        return f"{words} {_number(context[limit])}"
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind in ("string_too_short", "string_too_long"):
        return _length(context, "character")
    if kind in ("too_short", "too_long"):
        return _length(context, "value")
    if kind == "string_pattern_mismatch":
        return f"text of the form {context['pattern']}"
    if kind == "int_from_float":
        return "a whole number"
    word = next((kind.removesuffix(end) for end in ("_type", "_parsing", "_parsing_size") if kind.endswith(end)), kind)
    return _WORDS.get(word, shortened(problem["msg"].removeprefix("Input should be "), _PROBLEM_CHARACTERS))


def _length(context: Mapping[str, Any], unit: str) -> str:
    words, length = ("least", "min_length") if "min_length" in context else ("most", "max_length")
    return f"at {words} {context[length]} {unit}{'' if context[length] == 1 else 's'}"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_union_tag(part: object) -> bool:
    # pydantic adds the tried member of a union to the place: `int`, `literal['all']`, `tuple[str, ...]`, ...
    return isinstance(part, str) and (part in _UNION_TAGS or "[" in part)
