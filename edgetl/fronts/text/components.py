"""Normalizers and pre-tokenizers of the library `tokenizers` -> steps of a description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgetl.errors import DataError
from edgetl.files.text import quoted
from edgetl.fronts.text.charsmap import pairs_of
from edgetl.fronts.text.description import (
    Bytes,
    Charsmap,
    Cut,
    Cutting,
    Digits,
    Llama3,
    Metaspace,
    Normalizing,
    Plain,
    Prepend,
    Repeated,
    Replace,
    Strip,
)

Component = dict[str, Any]
_VISIBLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_EXPRESSIONS: dict[str, Cutting] = {
    _GPT2: Cut(step="gpt2"),
    _LLAMA3 % "{1,3}": Llama3(step="llama3", digits=3),
    _LLAMA3 % "": Llama3(step="llama3", digits=1),
}
_SHORT_PICTOGRAMS = ("\u00a9", "\u00ae")


class Unsupported(DataError):
    """A component that no description has a step for."""


def alphabet() -> str:
    """GPT-2's character for every byte: itself if it is visible, else the next one from U+0100."""
    hidden = [byte for byte in range(256) if byte not in _VISIBLE]
    return "".join(chr(byte if byte in _VISIBLE else 0x100 + hidden.index(byte)) for byte in range(256))


def normalizing_steps(component: Component | None) -> list[Normalizing]:
    """Of `normalizer`. Raises Unsupported."""
    if component is None:
        return []
    kind = component.get("type")
    if kind == "Sequence":
        return [step for part in component["normalizers"] for step in normalizing_steps(part)]
    if kind in ("NFC", "NFD", "NFKC", "NFKD"):
        return _plain(kind.lower())
    makers: dict[str, Callable[[Component], list[Normalizing]]] = {
        "BertNormalizer": _bert,
        "Lowercase": lambda _: _plain("lower"),
        "StripAccents": lambda _: _plain("drop_marks"),
        "Strip": lambda c: [Strip(step="strip", left=c["strip_left"], right=c["strip_right"])],
        "Prepend": lambda c: [Prepend(step="prepend", text=c["prepend"])],
        "Replace": _replace,
        "Precompiled": _precompiled,
    }
    if kind not in makers:
        raise Unsupported(f"the normalizer {quoted(kind)} is not supported")
    return makers[kind](component)


def _plain(*names: Any) -> list[Normalizing]:
    return [Plain(step=name) for name in names]


def _bert(component: Component) -> list[Normalizing]:
    lower, accents = component["lowercase"], component["strip_accents"]
    steps = _plain("clean") if component["clean_text"] else []
    steps += _plain("spaced_cjk") if component["handle_chinese_chars"] else []
    steps += _plain("nfd", "drop_mn") if (lower if accents is None else accents) else []
    return steps + (_plain("lower") if lower else [])


def _replace(component: Component) -> list[Normalizing]:
    pattern, new = component["pattern"], component["content"]
    if pattern.get("String"):
        return [Replace(step="replace", old=pattern["String"], new=new)]
    if pattern.get("Regex") == " {2,}":
        return [Repeated(step="repeated", old=" ", new=new)]
    raise Unsupported(f"the normalizer `Replace` of the expression {quoted(pattern.get('Regex'))} is not supported")


def _precompiled(component: Component) -> list[Normalizing]:
    if not component["precompiled_charsmap"]:
        return []
    try:
        pairs = pairs_of(component["precompiled_charsmap"])
    except ValueError as error:
        raise Unsupported(f"the normalizer `Precompiled` is {error}") from error
    if any(old.startswith(_SHORT_PICTOGRAMS) for old in pairs[::2]):
        raise Unsupported("the normalizer `Precompiled` with a rule for © or ® is not supported")
    return [Charsmap(step="charsmap", pairs=pairs)]


def cutting_steps(component: Component | None) -> list[Cutting]:
    """Of `pre_tokenizer`. Raises Unsupported."""
    if component is None:
        return []
    kind = component.get("type")
    if kind == "Sequence":
        return [step for part in component["pretokenizers"] for step in cutting_steps(part)]
    makers: dict[str, Callable[[Component], list[Cutting]]] = {
        "BertPreTokenizer": lambda _: [Cut(step="white"), Cut(step="punctuation")],
        "WhitespaceSplit": lambda _: [Cut(step="white")],
        "Whitespace": lambda _: [Cut(step="word")],
        "Punctuation": _punctuation,
        "Digits": lambda c: [Digits(step="digits", single=c["individual_digits"])],
        "Metaspace": _metaspace,
        "ByteLevel": _byte_level,
        "Split": _split,
    }
    if kind not in makers:
        raise Unsupported(f"the pre-tokenizer {quoted(kind)} is not supported")
    return makers[kind](component)


def _punctuation(component: Component) -> list[Cutting]:
    if component.get("behavior", "Isolated") != "Isolated":
        raise Unsupported(f"the pre-tokenizer `Punctuation` that is {quoted(component['behavior'])} is not supported")
    return [Cut(step="punctuation")]


def _metaspace(component: Component) -> list[Cutting]:
    prepend = component.get("prepend_scheme", "always")
    if component.get("add_prefix_space") is False:
        prepend = "never"
    cut = component.get("split", True)
    return [Metaspace(step="metaspace", mark=component["replacement"], prepend=prepend, cut=cut)]


def _byte_level(component: Component) -> list[Cutting]:
    steps: list[Cutting] = [Cut(step="prefix_space")] if component["add_prefix_space"] else []
    steps += [Cut(step="gpt2")] if component.get("use_regex", True) else []
    return [*steps, Bytes(step="bytes", alphabet=alphabet())]


def _split(component: Component) -> list[Cutting]:
    expression = component["pattern"].get("Regex") or component["pattern"].get("String")
    whole = component["behavior"] == "Isolated" and not component["invert"]
    removed = component["behavior"] == "Removed" and component["invert"]  # the same: nothing lies between the matches
    if expression not in _EXPRESSIONS or not (whole or removed):
        raise Unsupported(f"the pre-tokenizer `Split` of {quoted(expression)} is not supported")
    return [_EXPRESSIONS[expression]]
