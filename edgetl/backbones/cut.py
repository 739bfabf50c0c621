"""Splits a network in two parts: a frozen one, whose activations are computed once, and the rest."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgetl.backbones.classifier import features
from edgetl.backbones.examples import noise, normalize
from edgetl.backbones.extract import Frozen, Point, run_to
from edgetl.backbones.text.classifier import TextClassifier
from edgetl.backbones.text.tail import TextTail, with_states

_PROBED = 2  # images that the two parts are compared with the whole on
_TOLERANCE = 1e-4  # of the largest feature or logit; the parts do the same arithmetic, rounded once more


@dataclass(frozen=True)
class Cut:
    """tail(activations at `point`) = network(images). Parameters of `tail` have the names they have in the network.

    The tail of a text network takes the tokens too: `with_states`.
    macs  multiply-accumulates of the tail for one image, in its convolutions and matrix products
    """

    point: Point
    tail: nn.Module
    macs: int


def cut_network(frozen: Frozen, part: str) -> Cut | None:
    """Cut after the module `part`: a copy of the network whose modules up to there pass their input through.

    None if that is another function, because the network does more than call its modules one after another (position
    embeddings, dense connections, parts that pass on several tensors). This is tested on images, not assumed.
    """
    whole, images, point = frozen.network, _noise(frozen), Point(part)
    inputs = normalize(images, frozen.spec.preprocessing)
    try:
        tail = TextTail(whole, part) if isinstance(whole, TextClassifier) else _rest(whole, part, inputs)
        activations = run_to(frozen, (point,), images)[0]
        if isinstance(tail, TextTail):
            activations = with_states(inputs, activations)
        with torch.inference_mode():
            # what enters the classifier too: one of zeros would make all logits equal
            expected = features(whole, frozen.spec.classifier, inputs)
            found = features(tail, frozen.spec.classifier, activations)
    except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return None
    if not all(_same(one, two) for one, two in zip(found, expected, strict=True)):
        return None
    return Cut(point, tail, count_macs(tail, activations[:1]))


def _rest(whole: nn.Module, part: str, inputs: Tensor) -> nn.Module:
    """Raises ValueError if `part` is not called."""
    finished = _finished_by(whole, part, inputs)
    if not finished:
        raise ValueError(f"{part}: never called")
    tail = copy.deepcopy(whole)
    for name in finished:
        _replace(tail, name, nn.Identity())
    return tail


def _same(found: Tensor, expected: Tensor) -> bool:
    """Whether two sets of features or logits are equal except for rounding."""
    largest = float(expected.abs().max())
    return found.shape == expected.shape and float((found - expected).abs().max()) <= _TOLERANCE * largest + 1e-6


@torch.inference_mode()
def count_macs(network: nn.Module, inputs: Tensor) -> int:
    """Multiply-accumulates of one run in convolutions and linear layers."""
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        # every output value is a sum of as many products as a row of the weight has
        total += output.numel() * weight[0].numel()

    handles = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear))
    ]
    try:
        network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return total


def whole_macs(frozen: Frozen) -> int:
    """Multiply-accumulates of one image through the whole network."""
    return count_macs(frozen.network, normalize(_noise(frozen)[:1], frozen.spec.preprocessing))


def _noise(frozen: Frozen) -> Tensor:
    found = noise(frozen.spec.preprocessing, _PROBED).to(frozen.device)
    if isinstance(frozen.network, TextClassifier):
        found[1:, found.shape[1] // 2 :] = frozen.network.pad  # the second text is shorter
    return found


def _finished_by(network: nn.Module, part: str, inputs: Tensor) -> list[str]:
    """Outermost modules whose calls all end no later than that of `part`; none if it is not called."""
    ends: dict[str, int] = {}
    with _clock(network, ends), torch.inference_mode():
        network(inputs)
    if part not in ends:
        return []
    early = {name for name, end in ends.items() if end <= ends[part]}
    return sorted(name for name in early if not any(outer in early for outer in _outer(name)))


@contextmanager
def _clock(network: nn.Module, ends: dict[str, int]) -> Iterator[None]:
    """Number the calls of modules by when they end; the last call of each counts."""

    def ended(name: str) -> None:
        ends.pop(name, None)
        ends[name] = max(ends.values(), default=0) + 1

    handles = [
        module.register_forward_hook(lambda *_, name=name: ended(name))
        for name, module in network.named_modules()
        if name
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _outer(name: str) -> Sequence[str]:
    pieces = name.split(".")
    return [".".join(pieces[:count]) for count in range(1, len(pieces))]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    owner, _, last = name.rpartition(".")
    setattr(network.get_submodule(owner), last, module)
