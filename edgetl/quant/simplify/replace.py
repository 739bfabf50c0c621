"""The surgery itself: removes smooth activations and gates from an adapted float network, as accurately as possible
without training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgetl.backbones.replaceable import NO_GATES, Fold, drop_gates, folds, operate, replaceable
from edgetl.errors import ParityError, UsageError
from edgetl.quant.simplify.moments import match_moments
from edgetl.quant.simplify.squeeze_excite import constants, write_constants
from edgetl.recipes.recipe import Surgery
from edgetl.types.findings import Replaceable

MAX_RELATIVE_DIFFERENCE = 1e-4
_AT_ONCE = 32


@dataclass(frozen=True)
class Operated:
    """The operated network, untrained, in eval mode on the device of the original.

    surgery              names for `NetworkSpec.surgery`
    replaced             how many parts were
    folds                where each gate's constant went
    batch_norms          how many got new statistics
    relative_difference  of the outputs with folded constants from those with constants as multiplications, as a share
                         of the largest output; 0 without gates
    """

    network: nn.Module
    surgery: tuple[str, ...]
    replaced: Replaceable
    folds: tuple[Fold, ...]
    batch_norms: int
    relative_difference: float


def plan_replacements(network: nn.Module, config: Surgery) -> tuple[tuple[str, ...], Replaceable]:
    """The names of what `config` replaces in `network`, and how many parts that are.

    Raises UsageError if there are none.
    """
    found = replaceable(network)
    activations = found.activations if config.activations != "keep" else 0
    gates = found.gates if config.gates != "keep" else 0
    if not activations and not gates:
        raise UsageError(
            f"surgery: expected smooth activations (hard-swish, SiLU, GELU) or squeeze-and-excitation gates to replace "
            f"in {type(network).__name__}, a network with batch norms; it has {found.activations} and {found.gates} "
            f"that can be (settings: activations {config.activations}, gates {config.gates}); quantize it as it is"
        )
    names = ((config.activations,) if activations else ()) + ((NO_GATES,) if gates else ())
    return names, Replaceable(activations, gates)


@torch.no_grad()
def replace_parts(network: nn.Module, config: Surgery, views: Tensor) -> Operated:
    """Replace parts in a copy of `network`; gates' constants and batch-norm statistics are those of `views`.

    network  float32 (n, 3, height, width) -> (n, classes), in eval mode, left untouched
    views    float32 (n, 3, height, width), normalized, on the network's device
    raises   UsageError if there is nothing to replace, ParityError if folding a constant changed the network
    """
    surgery, replaced = plan_replacements(network, config)
    shape = tuple(views.shape[1:])
    student, found, difference = copy.deepcopy(network), [], 0.0
    if NO_GATES in surgery:
        found = folds(copy.deepcopy(network).cpu(), shape)
        difference = _without_gates(network, student, found, views)
    operate(student, [name for name in surgery if name != NO_GATES], shape)
    norms = match_moments(student, network, views)
    return Operated(student, surgery, replaced, tuple(found), norms, difference)


def _without_gates(network: nn.Module, student: nn.Module, found: Sequence[Fold], views: Tensor) -> float:
    """Turn the gates of `student` into constants; returns the difference that folding them made."""
    factors = constants(network, (views[start : start + _AT_ONCE] for start in range(0, len(views), _AT_ONCE)))
    multiplied = copy.deepcopy(student)
    apart = [Fold(fold.gate, fold.channels, "nothing") for fold in found]
    for module, places in ((student, found), (multiplied, apart)):
        drop_gates(module, places)
        write_constants(module.to(views.device), places, factors)
    few = views[:2]
    expected = multiplied(few)
    difference = float((student(few) - expected).abs().max() / expected.abs().max().clamp(min=1e-6))
    if not difference <= MAX_RELATIVE_DIFFERENCE:
        raise ParityError(
            f"surgery: folding the constants of {len(found)} gates into the layers beside them changed "
            f"{type(network).__name__}: outputs differ by {difference:.2g} of their range, allowed is "
            f"{MAX_RELATIVE_DIFFERENCE:g}; keep the gates"
        )
    return difference
