"""Batch-norm statistics recomputed on the target images: a cheap domain adaptation without labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from edgetl.backbones.examples import load_raw, normalize
from edgetl.backbones.extract import Frozen, freeze_network
from edgetl.backbones.speed import packed
from edgetl.types import Sample

_AT_ONCE = 32


@torch.no_grad()
def reestimate(frozen: Frozen, samples: Sequence[Sample]) -> Frozen:
    """The same network with batch-norm means and variances of the plain views of `samples`, averaged over batches.

    Source: Li et al. 2017, "Revisiting batch normalization for practical domain adaptation", arXiv:1603.04779, alg. 1.
    """
    network = copy.deepcopy(frozen.network)
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain average over batches
        norm.train()
    count = max(1, round(len(samples) / _AT_ONCE))
    for turn in range(count):  # every batch has images of all classes, because the shots take classes in turn
        part = samples[len(samples) * turn // count : len(samples) * (turn + 1) // count]
        pixels = load_raw(part, frozen.spec.preprocessing)
        inputs = normalize(pixels.to(frozen.device), frozen.spec.preprocessing)
        network(packed(inputs))
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    return freeze_network(network, frozen.spec)
