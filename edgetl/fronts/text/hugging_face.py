"""A folder in Hugging Face layout -> the description of its tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgetl.errors import DataError
from edgetl.files.json_file import first_problem, read_json_value
from edgetl.files.text import quoted, shortened
from edgetl.fronts.text.components import Component, Unsupported, cutting_steps, normalizing_steps
from edgetl.fronts.text.description import MOST_BYTES, SCHEMA, Description, Normalizing, Replace
from edgetl.fronts.text.normalize import normalizing

FILE = "tokenizer.json"
_OLDER = ("vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
_REASON_CHARACTERS = 200
_FILLING = ("pad_token", "eos_token", "unk_token")
_UNKNOWN_PENALTY = 10.0
"""How much worse than the worst piece an unknown character is, in the reference."""


def from_hf(folder: Path) -> Description:
    """Read `tokenizer.json`; or older files by way of the package `transformers`. Raises DataError with one line."""
    where = folder / FILE
    try:
        if not where.exists():
            where = folder
            return _of_older(older(folder))
        content = read_json_value(where, most_bytes=MOST_BYTES, what="a tokenizer")
        if isinstance(content, list):
            return _described(scored_pieces(content))
        settings = _setting(folder, "tokenizer_config.json") | _setting(folder, "special_tokens_map.json")
        return _described(_converted(content, settings, _setting(folder, "config.json").get("pad_token_id")))
    except Unsupported as error:
        raise DataError(f"{where}: {error}; choose a model with another tokenizer") from error
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: not a file of the library `tokenizers`: {_reason(error)}") from error


def _of_older(tokenizer: Any) -> Description:
    settings = {name: getattr(tokenizer, name) for name in _FILLING}
    return _described(_converted(json.loads(tokenizer.backend_tokenizer.to_str()), settings, None))


def _reason(error: Exception) -> str:
    reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
    return shortened(reason, _REASON_CHARACTERS)


def older(folder: Path) -> Any:
    """The tokenizer that `transformers` makes of older files. Raises DataError."""
    if not any((folder / name).exists() for name in _OLDER):
        raise DataError(f"{folder}: expected {FILE} or {', '.join(_OLDER)}; found none of them")
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise DataError(f"{folder}: has no {FILE}; older files need the extra: pip install 'edgetl[text]'") from error
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever it raises for files that it cannot read
        raise DataError(f"{folder}: transformers cannot read the tokenizer: {_reason(error)}") from error


def _described(content: Component) -> Description:
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        raise Unsupported(first_problem(error)) from error


def _converted(content: Component, settings: Component, pad: object) -> Component:
    vocabulary = _vocabulary(content["model"])
    normalize = normalizing_steps(content["normalizer"])
    cut = [] if _finds_no_space(content["pre_tokenizer"], normalize) else cutting_steps(content["pre_tokenizer"])
    if normalize and any(step.step == "metaspace" and step.prepend == "first" for step in cut):
        raise Unsupported("the pre-tokenizer `Metaspace` with `first` after a normalizer is not supported")
    before, after = _template(content["post_processor"])
    added = {token["content"]: vocabulary.get(token["content"], token["id"]) for token in content["added_tokens"]}
    return {
        "schema": SCHEMA,
        "special": list(_specials(content["added_tokens"], added, normalize)),
        "normalize": normalize,
        "cut": cut,
        "model": _model(content["model"], vocabulary),
        "before": before,
        "after": after,
        "pad": _pad(settings, content, pad, vocabulary | added),
    }


def _finds_no_space(component: Component | None, normalize: list[Normalizing]) -> bool:
    """Whether it cuts at spaces, but the last normalizer has replaced all of them, as in Gemma."""
    last = normalize[-1] if normalize else None
    replaced = isinstance(last, Replace) and last.old == " " and " " not in last.new
    at_spaces = component and component.get("type") == "Split" and component["pattern"].get("String") == " "
    return bool(replaced and at_spaces)


def _vocabulary(model: Component) -> dict[str, int]:
    """The id of every piece, in the order of ids."""
    if isinstance(model["vocab"], list):
        return {piece: place for place, (piece, _) in enumerate(model["vocab"])}
    ordered = dict(sorted(model["vocab"].items(), key=lambda item: item[1]))
    missing = next((place for place, found in enumerate(ordered.values()) if place != found), None)
    if missing is not None:
        raise Unsupported(f"a vocabulary without a piece of the id {missing} is not supported")
    return ordered


def _model(model: Component, vocabulary: dict[str, int]) -> Component:
    kind = model.get("type", "Unigram" if "unk_id" in model else "BPE" if "merges" in model else "WordPiece")
    if kind == "WordPiece":
        return {
            "kind": "wordpiece",
            "pieces": tuple(vocabulary),
            "unknown": vocabulary[model["unk_token"]],
            "prefix": model["continuing_subword_prefix"],
            "longest": model["max_input_chars_per_word"],
        }
    if kind == "Unigram":
        return _unigram(model)
    if kind != "BPE":
        raise Unsupported(f"the model {quoted(kind)} is not supported")
    return _bpe(model, vocabulary)


def _unigram(model: Component) -> Component:
    scores = [score for _, score in model["vocab"]]
    if model["unk_id"] is None:
        raise Unsupported("the model `Unigram` without an unknown token is not supported")
    return {
        "kind": "unigram",
        "pieces": [piece for piece, _ in model["vocab"]],
        "scores": scores,
        "unknown": model["unk_id"],
        "unknown_score": min(scores) - _UNKNOWN_PENALTY,
        "byte_fallback": model.get("byte_fallback", False),
    }


def _bpe(model: Component, vocabulary: dict[str, int]) -> Component:
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise Unsupported(f"the model `BPE` with `{name}` is not supported")
    ranks: dict[tuple[str, str], int] = {}
    for rank, merge in enumerate(model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        ranks[left, right] = rank
    return {
        "kind": "bpe",
        "pieces": tuple(vocabulary),
        "unknown": vocabulary[model["unk_token"]] if model.get("unk_token") else None,
        "fuse_unknown": model.get("fuse_unk", False),
        "byte_fallback": model.get("byte_fallback", False),
        "whole_words": model.get("ignore_merges", False),
        "merges": [n for (a, b), rank in ranks.items() for n in (vocabulary[a], vocabulary[b], rank)],
    }


def _specials(tokens: list[Component], ids: dict[str, int], normalize: list[Normalizing]) -> Iterator[Component]:
    normalized = normalizing(normalize)
    for token in tokens:
        if token["single_word"]:
            raise Unsupported(f"the added token {quoted(token['content'])} with `single_word` is not supported")
        yield {
            "text": normalized(token["content"]) if token["normalized"] else token["content"],
            "id": ids[token["content"]],
            "normalized": token["normalized"],
            "lstrip": token["lstrip"],
            "rstrip": token["rstrip"],
        }


def _template(component: Component | None) -> tuple[list[int], list[int]]:
    """The ids before and after those of a text."""
    kind = component.get("type") if component else "ByteLevel"
    if component is None or kind == "ByteLevel":
        return [], []
    if kind == "Sequence":
        parts = [_template(part) for part in component["processors"]]
        return [n for before, _ in reversed(parts) for n in before], [n for _, after in parts for n in after]
    if kind in ("BertProcessing", "RobertaProcessing"):
        return [component["cls"][1]], [component["sep"][1]]
    if kind != "TemplateProcessing":
        raise Unsupported(f"the post-processor {quoted(kind)} is not supported")
    names = [part["SpecialToken"]["id"] if "SpecialToken" in part else None for part in component["single"]]
    if names.count(None) != 1:
        raise Unsupported("the post-processor `TemplateProcessing` without exactly one text is not supported")
    ids = [[] if name is None else component["special_tokens"][name]["ids"] for name in names]
    place = names.index(None)
    return [n for part in ids[:place] for n in part], [n for part in ids[place:] for n in part]


def _pad(settings: Component, content: Component, number: object, ids: dict[str, int]) -> int:
    """The id that fills up: the model's own one; else that of the end or of the unknown token."""
    for name in _FILLING:
        token = settings.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if token in ids:
            return ids[token]
        if name == "pad_token" and content.get("padding"):
            return int(content["padding"]["pad_id"])
    if isinstance(number, int) and number >= 0:
        return number
    raise Unsupported("a tokenizer without a padding, end or unknown token is not supported")


def _setting(folder: Path, name: str) -> Component:
    path = folder / name
    value = read_json_value(path, most_bytes=MOST_BYTES, what="settings") if path.exists() else {}
    return value if isinstance(value, dict) else {}


def scored_pieces(rows: list[Any]) -> Component:
    """Pieces with scores in the order of ids, as llama2.c has them: unknown, begin, end, 256 bytes, text.

    The pair whose merged piece has the highest score is merged first; a space stands before the text.
    """
    pieces, scores = [str(piece) for piece, _ in rows], [float(score) for _, score in rows]
    ids = {piece: place for place, piece in enumerate(pieces) if place > 2}
    ranks = {score: rank for rank, score in enumerate(sorted(set(scores), reverse=True))}
    merges = [
        number
        for piece, place in ids.items()
        for middle in range(1, len(piece))
        if piece[:middle] in ids and piece[middle:] in ids
        for number in (ids[piece[:middle]], ids[piece[middle:]], ranks[scores[place]])
    ]
    model = {"kind": "bpe", "pieces": pieces, "unknown": None, "fuse_unknown": False, "byte_fallback": True}
    return {
        "schema": SCHEMA,
        "special": [],
        "normalize": [{"step": "prepend", "text": " "}],
        "cut": [],
        "model": {**model, "whole_words": False, "merges": merges},
        "before": [1],
        "after": [],
        "pad": 0,
    }
