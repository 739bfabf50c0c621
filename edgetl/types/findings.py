"""What was found out about a network, as plain values for records. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Audit:
    """What became of every tensor of a checkpoint.

    matched  number of the network's tensors that were loaded from the checkpoint
    dropped  the checkpoint's tensors that were not used, as expected: old classifier, auxiliary heads, counters
    new      the network's tensors that keep their initial values: the new classifier, counters
    notes    sentences for the user: which of several sets was used, how a stem for one channel was changed
    """

    matched: int
    dropped: tuple[str, ...]
    new: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replaceable:
    """How many smooth activations (outside of gates) and squeeze-and-excitation gates a network has."""

    activations: int = 0
    gates: int = 0
