"""Continues a text token by token: the likeliest one, or one drawn from the likeliest ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import UsageError
from edgetl.fronts.text.encode import Tokenizer


class Network(Protocol):
    """A decoder with its cache: `feed` returns logits (len(ids), vocabulary) and remembers the tokens."""

    def reset(self) -> None: ...

    def feed(self, ids: Sequence[int]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Draw:
    """How the next token is chosen.

    temperature  0: always the likeliest one; else logits are divided by it
    top_p        only the likeliest tokens whose probabilities sum up to it (Holtzman et al. 2020, arXiv:1904.09751)
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


GREEDY = Draw()


def prompt_ids(tokenizer: Tokenizer, prompt: str, context: int) -> list[int]:
    """The tokens of a text that goes on. Raises UsageError if there is none, or no room for one more."""
    if not prompt.strip():
        raise UsageError("--prompt: expected a text to continue; found nothing")
    after = len(tokenizer.description.after)
    ids = tokenizer.encode(prompt)
    ids = ids[: len(ids) - after]
    if len(ids) <= len(tokenizer.description.before):
        raise UsageError("--prompt: the tokenizer of this model has no token for it")
    if len(ids) >= context:
        raise UsageError(
            f"--prompt: {len(ids)} tokens; the model reads at most {context}, with those it adds: shorten it"
        )
    return ids


def continuation(
    network: Network, ids: Sequence[int], most: int, *, end: Collection[int], context: int, draw: Draw = GREEDY
) -> Iterator[int]:
    """The tokens that follow `ids`, at most `most`; the end token is not among them. Raises BackendError."""
    rng = np.random.default_rng(draw.seed)
    network.reset()
    logits = network.feed(ids)[-1]
    for place in range(len(ids), min(len(ids) + most, context)):
        token = _chosen(logits, draw, rng)
        if token in end:
            return
        yield token
        if place + 1 < min(len(ids) + most, context):
            logits = network.feed([token])[-1]


def _chosen(logits: NDArray[np.float32], draw: Draw, rng: np.random.Generator) -> int:
    if draw.temperature == 0:
        return int(logits.argmax())
    scaled = (logits.astype(np.float64) - float(logits.max())) / draw.temperature
    shares = np.exp(scaled)
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    sums = shares[order].cumsum()
    among = order[: int(np.searchsorted(sums, min(draw.top_p, sums[-1]))) + 1]
    return int(rng.choice(among, p=shares[among] / shares[among].sum()))
