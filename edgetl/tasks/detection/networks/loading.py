"""Fills a detector from a checkpoint: every tensor is accounted for, or nothing is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from edgetl.backbones.audit import load_audited
from edgetl.backbones.checkpoint import read_sets
from edgetl.backbones.fitting import fit
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.backbones.weights import model_file
from edgetl.types import WeightSource
from edgetl.types.findings import Audit

_FRESH_SEED = 0


RARE = 0.01
"""The score of an untrained detector: most of an image is background (arXiv:1708.02002, section 4.1)."""


@contextmanager
def fresh() -> Iterator[None]:
    """New layers are the same in every run, and other random numbers are not touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_FRESH_SEED)
        yield


def start_at(layers: nn.Module, share: float) -> None:
    """Make the last convolutions in `layers` predict about `share`, as a score, for every image."""
    for layer in layers.children():
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.constant_(layer.bias, math.log(share / (1 - share)))


def sets_of(source: WeightSource) -> tuple[Sequence[TensorSet], str]:
    """The sets of tensors in a file or folder, and its path for messages. Raises WeightsError."""
    path = model_file(Path(source.path)) if source.kind == "local-dir" else Path(source.path)
    return read_sets(path), str(path)


def fill(network: nn.Module, sets: Sequence[TensorSet], class_layers: str, where: str, name: str) -> Audit:
    """Load all layers of `network` in place but `class_layers`, a prefix of names; "" loads all.

    Raises WeightsError, and changes nothing, when a tensor is missing, unexpected, or of another shape or kind.
    """
    fitted = fit(network, sets, class_layers, where)
    audit = load_audited(network, fitted.tensors, head=class_layers, where=where, name=name)
    return replace(audit, dropped=tuple(sorted({*audit.dropped, *fitted.outside})), notes=fitted.notes)
