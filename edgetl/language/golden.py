"""Golden prompts: what a language model's bundle must say again, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import save_file

from edgetl.bundle.golden_steps import Step, StepCheck
from edgetl.errors import BundleError, UsageError
from edgetl.files.arrays import UnreadableArray, read_tensors
from edgetl.files.json_file import StrictModel, read_json
from edgetl.fronts.text.decode import Decoder
from edgetl.language.bundle import LOGITS_FILE, PROMPTS_FILE, LanguageBundle
from edgetl.language.continuation import Network, continuation, prompt_ids

PROMPTS = 4
_TOKENS, _WORDS = 24, 6
_LIKELIEST = 32
_MOST_BYTES = 4_000_000
_ARRAYS = {"ids": np.dtype(np.int32), "logits": np.dtype(np.float32), "range": np.dtype(np.float32)}
"""Of each prompt, a row for each token that follows: the likeliest tokens, their logits, the range of all logits."""
_Ids = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1, max_length=4096)]


class Prompt(StrictModel):
    """A text, its tokens, and the tokens and the text that follow."""

    prompt: Annotated[str, Field(min_length=1, max_length=100_000)]
    ids: _Ids
    following: _Ids
    text: Annotated[str, Field(max_length=100_000)]


class Prompts(StrictModel):
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1, max_length=64)]


def choose_prompts(texts: Sequence[str], encode: Callable[[str], list[int]]) -> list[tuple[str, list[int]]]:
    """The beginnings of the first texts that differ, and their tokens; `encode` raises UsageError for an unfit one."""
    found: dict[str, list[int]] = {}
    for text in texts:
        words = " ".join(text.split()[:_WORDS])
        try:
            found.setdefault(words, encode(words))
        except UsageError:
            continue
        if len(found) == PROMPTS:
            break
    return list(found.items())


def greedy(network: Network, ids: Sequence[int], context: int) -> list[int]:
    """What follows `ids`, through the mark of the end: at least one token."""
    return list(continuation(network, ids, _TOKENS, end=(), context=context))


def write_golden(
    folder: Path, network: Network, prompts: Sequence[tuple[str, list[int]]], decoder: Decoder, context: int
) -> None:
    """Run `network` on the prompts and write what it says into `folder`."""
    (folder / PROMPTS_FILE).parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for number, (prompt, ids) in enumerate(prompts):
        following = greedy(network, ids, context)
        logits = _stepwise(network, ids, following)
        best = np.argsort(-logits, axis=1, kind="stable")[:, :_LIKELIEST]
        rows.append({"prompt": prompt, "ids": ids, "following": following, "text": _text(decoder, following)})
        arrays |= {
            f"{number}.ids": best.astype(np.int32),
            f"{number}.logits": np.take_along_axis(logits, best, axis=1),
            f"{number}.range": logits.max(axis=1) - logits.min(axis=1),
        }
    (folder / PROMPTS_FILE).write_text(json.dumps({"prompts": rows}, ensure_ascii=False, indent=1) + "\n", "utf-8")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / LOGITS_FILE)


def replay(bundle: LanguageBundle, network: Network) -> tuple[StepCheck, ...]:
    """Tokenize every prompt, run the network on it and with its cache on what follows, and write that as text.

    `network` is the prompt in one piece, `cache` also every token after it.

    raises  BundleError if the golden files are damaged or do not fit the network
    """
    try:
        prompts = read_json(
            bundle.folder / PROMPTS_FILE, Prompts, most_bytes=_MOST_BYTES, what="golden prompts"
        ).prompts
        arrays = read_tensors(bundle.folder / LOGITS_FILE)
    except (OSError, UnreadableArray) as error:
        raise BundleError(f"{bundle.folder}: the golden files cannot be read: {error}") from error
    decoder = Decoder(bundle.tokenizer.description)
    return tuple(
        check
        for number, prompt in enumerate(prompts)
        for check in _replayed(bundle, network, decoder, number, prompt, arrays)
    )


def _replayed(
    bundle: LanguageBundle, network: Network, decoder: Decoder, number: int, golden: Prompt, arrays: dict[str, Any]
) -> list[StepCheck]:
    shape, allowed = bundle.manifest.decoder, bundle.manifest.tolerance
    _refuse_unfit(bundle, golden, number, arrays)
    found = prompt_ids(bundle.tokenizer, golden.prompt, shape.context)
    logits = _stepwise(network, golden.ids, golden.following)
    golden_rows = {name: arrays[f"{number}.{name}"] for name in _ARRAYS}
    text = _text(decoder, golden.following)
    return [
        _exactly(number, "tokenize", tuple(found) == golden.ids, "tokens"),
        _near(number, "network", logits[:1], {name: array[:1] for name, array in golden_rows.items()}, allowed),
        _near(number, "cache", logits, golden_rows, allowed),
        _exactly(number, "text", text == golden.text, "characters"),
    ]


def _refuse_unfit(bundle: LanguageBundle, golden: Prompt, number: int, arrays: dict[str, Any]) -> None:
    shape, count = bundle.manifest.decoder, len(golden.following)
    fits = all(
        (array := arrays.get(f"{number}.{name}")) is not None
        and array.dtype == dtype
        and array.shape[0] == count
        and np.isfinite(array).all()
        for name, dtype in _ARRAYS.items()
    )
    known = max(*golden.ids, *golden.following, 0) < shape.vocabulary
    if not fits or not known or len(golden.ids) + count > shape.context or not _fit(arrays, number, shape.vocabulary):
        raise BundleError(f"{bundle.folder}: golden prompt {number} does not fit the network: build the bundle again")


def _fit(arrays: dict[str, Any], number: int, vocabulary: int) -> bool:
    ids, logits = arrays[f"{number}.ids"], arrays[f"{number}.logits"]
    inside = ids.ndim == 2 and ids.size > 0 and bool((ids >= 0).all() and (ids < vocabulary).all())
    return inside and logits.shape == ids.shape and arrays[f"{number}.range"].ndim == 1


def _stepwise(network: Network, ids: Sequence[int], following: Sequence[int]) -> NDArray[np.float32]:
    """Logits (len(following), vocabulary) of the prompt in one piece and then of one token after the other."""
    network.reset()
    rows = [network.feed(ids)[-1], *(network.feed([token])[-1] for token in following[:-1])]
    return np.stack(rows)


def _near(number: int, step: Step, logits: NDArray[np.float32], golden: dict[str, Any], allowed: float) -> StepCheck:
    found = np.take_along_axis(logits, golden["ids"].astype(np.int64), axis=1)
    spread = np.maximum(golden["range"], 1e-9)[:, None]
    difference = float((np.abs(found - golden["logits"]) / spread).max())
    passed = difference <= allowed  # not of NaN
    detail = f"logits differ by at most {difference:.2%} of their range (allowed {allowed:.2%})"
    return StepCheck(number, step, passed, difference, allowed, detail)


def _exactly(number: int, step: Step, passed: bool, what: str) -> StepCheck:
    detail = f"the same {what}" if passed else f"other {what} than when it was built"
    return StepCheck(number, step, passed, 0.0 if passed else 1.0, 0.0, detail)


def _text(decoder: Decoder, ids: Sequence[int]) -> str:
    return b"".join(map(decoder.token, ids)).decode("utf-8", "replace")
