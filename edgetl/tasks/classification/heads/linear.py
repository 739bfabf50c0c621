"""A linear layer trained by gradient descent on random views."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from edgetl.tasks.classification.heads.head import Floats, Labels, LinearHead
from edgetl.tasks.classification.heads.trained import Recipe, as_floats, train

NAME = "linear"
_RECIPE = Recipe(learning_rate=3e-3, weight_decay=0.3)


def fit(views: Floats, labels: Labels, num_classes: int, seed: int) -> LinearHead:
    """AdamW with label smoothing from a layer of zeros; epochs and scale by cross-validation over images."""
    done = train(_build, _RECIPE, views, labels, num_classes, seed)
    layer = done.module
    assert isinstance(layer, nn.Linear)
    weight, bias = as_floats(layer.weight), as_floats(layer.bias)
    setting = f"{done.epochs} epochs, scale {done.scale:.3g}"
    head = LinearHead(NAME, done.scale * weight, done.scale * bias, setting)
    return head.after(done.rotation, np.zeros(len(done.rotation)))


def _build(features: int, classes: int, generator: torch.Generator) -> nn.Module:
    layer = nn.Linear(features, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
