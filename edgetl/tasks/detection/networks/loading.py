"""Fills a detector from a checkpoint: every tensor is accounted for, or nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from edgetl.backbones.audit import load_audited
from edgetl.backbones.checkpoint import read_sets
from edgetl.backbones.findings import Audit
from edgetl.backbones.fitting import fit
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.backbones.weights import model_file
from edgetl.types import WeightSource

_FRESH_SEED = 0


@contextmanager
def fresh() -> Iterator[None]:
    """New layers are the same in every run, and other random numbers are not touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_FRESH_SEED)
        yield


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
