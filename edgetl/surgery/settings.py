"""How a network is operated on and trained afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Surgery:
    """activations    what hard-swish, SiLU, GELU and the like become; `keep`: they stay
    gates          `constant`: squeeze-and-excitation gates become constants; `keep`: they stay
    epochs         of training afterwards, each sees one augmented view per shot; 0: none
    batch_size     images per step
    learning_rate  peak rate of AdamW
    temperature    softmax temperature of the distillation (Hinton et al. 2015, arXiv:1503.02531)
    seed           of order and augmentation
    """

    activations: Literal["relu", "relu6", "keep"] = "relu"
    gates: Literal["constant", "keep"] = "constant"
    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 5e-4
    temperature: float = 2.0
    seed: int = 0
