"""The steps that a section of a text passes before it is cut into words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, partial

from edgetl.fronts.text.description import Charsmap, Normalizing, Plain, Prepend, Repeated, Replace, Strip
from edgetl.fronts.text.unicode import Mapping, lowering, marking, members, normalized

Step = Callable[[str], str]
_SHORT_BYTES = 6
"""The reference takes a cluster of fewer bytes as a whole."""


def normalizing(steps: Iterable[Normalizing]) -> Step:
    """All steps, one after the other."""
    functions = [_function(step) for step in steps]

    def apply(text: str) -> str:
        for function in functions:
            text = function(text)
        return text

    return apply


def _function(step: Normalizing) -> Step:
    if isinstance(step, Plain):
        return _plain(step.step)
    if isinstance(step, Replace):
        return lambda text: text.replace(step.old, step.new)
    if isinstance(step, Repeated):
        pattern, new = re.compile(re.escape(step.old) + "{2,}"), step.new
        return lambda text: pattern.sub(lambda _: new, text)
    if isinstance(step, Prepend):
        return lambda text: step.text + text if text else text
    if isinstance(step, Strip):
        return _strip(step)
    return _charsmap(step)


def _plain(name: str) -> Step:
    if name.startswith("nf"):
        return partial(normalized, form=name)
    mappings = {
        "clean": lambda: [marking("control", lambda _: ""), marking("blank", lambda _: " ")],
        "spaced_cjk": lambda: [marking("cjk", lambda character: f" {character} ")],
        "drop_mn": lambda: [marking("nonspacing", lambda _: "")],
        "drop_marks": lambda: [marking("mark", lambda _: "")],
        "lower": lambda: [lowering()],
    }
    return partial(_translate, mappings=mappings[name](), only_beyond_ascii=name not in ("clean", "lower"))


def _translate(text: str, mappings: list[Mapping], only_beyond_ascii: bool) -> str:
    if only_beyond_ascii and text.isascii():
        return text
    for mapping in mappings:
        text = text.translate(mapping)
    return text


def _strip(step: Strip) -> Step:
    left = re.compile(f"\\A[{members('white')}]+") if step.left else None
    right = re.compile(f"[{members('white')}]+\\Z") if step.right else None

    def apply(text: str) -> str:
        text = left.sub("", text) if left else text
        return right.sub("", text) if right else text

    return apply


def _charsmap(step: Charsmap) -> Step:
    table = dict(zip(step.pairs[::2], step.pairs[1::2], strict=True))
    single = Mapping(lambda point: table.get(chr(point), chr(point)))
    clusters = _clusters()

    def cluster(found: re.Match[str]) -> str:
        text = found[0]
        if len(text) > 1 and len(text.encode()) < _SHORT_BYTES:
            for end in range(1, len(text) + 1):
                if (new := table.get(text[:end])) is not None:
                    return new
        return text.translate(single)

    def apply(text: str) -> str:
        return clusters.sub(cluster, text) if not text.isascii() or "\r" in text else text.translate(single)

    return apply


@cache
def _clusters() -> re.Pattern[str]:
    """Grapheme clusters, exact for those of fewer than 6 bytes."""
    joined, prepended, alone = members("joined"), members("prepended"), members("alone")
    lead, vowel, tail = "\u1100-\u115f\ua960-\ua97c", "\u1160-\u11a7\ud7b0-\ud7c6", "\u11a8-\u11ff\ud7cb-\ud7fb"
    hangul = f"[{lead}]*(?:[\uac00-\ud7a3][{vowel}]*|[{vowel}]+)[{tail}]*|[{lead}]+|[{tail}]+"
    return re.compile(f"\r\n|[{prepended}]*(?:{hangul}|[^{alone}])[{joined}]*|[{alone}]")
