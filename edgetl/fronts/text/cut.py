"""The steps that cut a normalized section into words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from edgetl.fronts.text.description import Bytes, Cut, Cutting, Digits, Llama3, Metaspace
from edgetl.fronts.text.unicode import members

Words = Callable[[str, bool], list[str]]
"""(section, whether the whole text begins with it) -> its words, none of them empty."""
_Step = Callable[[str, bool], list[str]]


def cutting(steps: Iterable[Cutting]) -> Words:
    """All steps, each on every word of the one before."""
    functions = [_function(step) for step in _together(list(steps))]

    def apply(section: str, first: bool) -> list[str]:
        words = [section]
        for function in functions:
            words = [part for word in words for part in function(word, first)]
        return words

    return apply


def _together(steps: list[Cutting]) -> list[Cutting | str]:
    """BERT's two steps as one expression, for speed."""
    names = [step.step for step in steps[:2]]
    return ["white, punctuation", *steps[2:]] if names == ["white", "punctuation"] else list(steps)


def _function(step: Cutting | str) -> _Step:
    if isinstance(step, Metaspace):
        return _metaspace(step)
    if isinstance(step, Bytes):
        table = dict(enumerate(step.alphabet))
        return lambda word, _: [word.encode().decode("latin-1").translate(table)]
    if isinstance(step, Cut) and step.step == "prefix_space":
        return lambda word, _: [word if word.startswith(" ") else f" {word}"]
    find = re.compile(_expression(step)).findall
    return lambda word, _: find(word)


def _expression(step: Cut | Digits | Llama3 | str) -> str:
    """What matches each word; the rest is deleted."""
    white, letter, number = members("white"), members("letter"), members("number")
    if isinstance(step, Digits):
        numeric = members("numeric")
        return f"[{numeric}]{'' if step.single else '+'}|[^{numeric}]+"
    if isinstance(step, Llama3):
        return (
            "'(?:[sSſtTmMdD]|[rRvV][eE]|[lL][lL])"
            f"|[^\r\n{letter}{number}]?[{letter}]+|[{number}]{{1,{step.digits}}}| ?[^{white}{letter}{number}]+[\r\n]*"
            f"|[{white}]*[\r\n]+|[{white}]+(?![^{white}])|[{white}]+"
        )
    punctuation, word = members("punctuation"), members("word")
    return {
        "white, punctuation": f"[{punctuation}]|[^{white}{punctuation}]+",
        "white": f"[^{white}]+",
        "punctuation": f"[{punctuation}]|[^{punctuation}]+",
        "word": f"[{word}]+|[^{word}{white}]+",
        "gpt2": (
            f"'(?:[stmd]|[rv]e|ll)| ?[{letter}]+| ?[{number}]+| ?[^{white}{letter}{number}]+"
            f"|[{white}]+(?![^{white}])|[{white}]+"
        ),
    }[step if isinstance(step, str) else step.step]


def _metaspace(step: Metaspace) -> _Step:
    mark = step.mark
    find = re.compile(f"{re.escape(mark)}[^{re.escape(mark)}]*|[^{re.escape(mark)}]+").findall

    def apply(word: str, first: bool) -> list[str]:
        word = word.replace(" ", mark)
        wanted = step.prepend == "always" or (step.prepend == "first" and first)
        if wanted and not word.startswith(mark):
            word = mark + word
        return find(word) if step.cut else [word]

    return apply
