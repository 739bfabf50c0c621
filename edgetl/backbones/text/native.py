"""What a network for texts needs to know of a run before it is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.backbones.text.classifier import Pooling
from edgetl.errors import WeightsError

_SHORTEST, _LEAST, _MOST = 16, 64, 512


@dataclass(frozen=True)
class TextSource:
    """How texts reach a network.

    folder      a cache, in which the description of a tokenizer is stored below its digest
    texts       of the shots: how long they are, and the vocabulary of a network that starts from nothing
    max_tokens  that are read of a text; None for as many as the longest of `texts` has
    pooling     None for the network's own
    """

    folder: Path
    texts: tuple[str, ...] = ()
    max_tokens: int | None = None
    pooling: Pooling | None = None


def buckets(longest: int, most: int) -> tuple[int, ...]:
    """Lengths that texts are filled up to: powers of two from 16 to the one that holds `longest`, none beyond `most`.

    most  tokens that the network may read
    """
    lengths = [_SHORTEST]
    while lengths[-1] < longest:
        lengths.append(2 * lengths[-1])
    return tuple(dict.fromkeys(min(length, most) for length in lengths))


def room_for(longest: int) -> int:
    """Tokens to read where the longest of a few texts has `longest`: others may be longer, and time has its limits."""
    return min(max(longest, _LEAST), _MOST)


def no_weights(name: str, *, to_pretrain: bool = False) -> WeightsError:
    """The error for weights that no folder has. to_pretrain  nobody publishes them"""
    if to_pretrain:
        return WeightsError(
            f"backbone.name: no weights of `{name}`: name a folder of `edgetl pretrain` as backbone.weights, or set "
            "backbone.pretrained: false"
        )
    return WeightsError(
        f"backbone.name: no weights of `{name}`: expected them as `{name}/model.safetensors` in a folder of weights "
        "(--weights-dir or backbone.weights_dir). edgetl downloads none for texts"
    )
