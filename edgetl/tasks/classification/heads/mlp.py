"""One hidden layer, trained by gradient descent on random views."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from edgetl.tasks.classification.heads.head import Floats, Labels, MlpHead
from edgetl.tasks.classification.heads.trained import Recipe, as_floats, train

NAME = "mlp"
_HIDDEN = 256
_DROPOUT = 0.3
_RECIPE = Recipe(learning_rate=2e-3, weight_decay=0.1, most_epochs=60)


def fit(views: Floats, labels: Labels, num_classes: int, seed: int) -> MlpHead:
    """Linear, ReLU, dropout (in training only), linear; AdamW with label smoothing; epochs and scale by
    cross-validation over images."""
    done = train(_build, _RECIPE, views, labels, num_classes, seed)
    assert isinstance(done.module, _Mlp)
    hidden, output = done.module.hidden, done.module.output
    setting = f"{_HIDDEN} hidden, {done.epochs} epochs, scale {done.scale:.3g}"
    head = MlpHead(
        NAME,
        as_floats(hidden.weight),
        as_floats(hidden.bias),
        done.scale * as_floats(output.weight),
        done.scale * as_floats(output.bias),
        setting,
    )
    return head.after(done.rotation, np.zeros(len(done.rotation)))


class _Mlp(nn.Module):
    """Dropout draws from the generator that everything else of one training is drawn from."""

    def __init__(self, features: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(features, _HIDDEN), nn.Linear(_HIDDEN, classes)
        self._generator = generator
        with torch.no_grad():
            # features of unit variance keep it behind the ReLU (He et al. 2015, arXiv:1502.01852, eq. 10)
            self.hidden.weight.normal_(0, math.sqrt(2 / features), generator=generator)
            self.hidden.bias.zero_()
            self.output.weight.zero_()
            self.output.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        active = torch.relu(self.hidden(features))
        if self.training:
            kept = torch.rand(active.shape, generator=self._generator) >= _DROPOUT
            active = active * kept / (1 - _DROPOUT)
        logits: Tensor = self.output(active)
        return logits


def _build(features: int, classes: int, generator: torch.Generator) -> nn.Module:
    return _Mlp(features, classes, generator)
