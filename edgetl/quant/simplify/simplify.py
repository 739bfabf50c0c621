"""The surgery stage: turns an adapted float network into one that is fast in INT8, in the same two files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.load import rebuild
from edgetl.backbones.reproducible import choose_device, deterministic
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.backbones.speed import channels_last
from edgetl.errors import UsageError
from edgetl.fronts.views import augment_of
from edgetl.pivot.adapted import NETWORK_SPEC, NETWORK_STATE
from edgetl.quant.record import Epoch
from edgetl.quant.shots import Shots
from edgetl.quant.simplify.distil import distil
from edgetl.quant.simplify.record import SurgeryRecord, write_surgery
from edgetl.quant.simplify.replace import Operated, replace_parts
from edgetl.quant.train import Views, best_epoch
from edgetl.recipes.recipe import Surgery
from edgetl.recipes.run import Run

_MOST_VIEWS, _FEWEST_VIEWS = 128, 16
_VIEW_PIXELS = _MOST_VIEWS * 224 * 224  # in memory at once: all views go through the network in one batch
_AT_ONCE = 32


def simplify_network(run: Run, adapted: Path, out: Path) -> None:
    """Operate on the network in the folder `adapted`, train it, write the result into the existing folder `out`.

    network.safetensors  as the adapt stage writes them: `out` can be quantized and exported in place of `adapted`
    network.json
    surgery.json         what was replaced, how training went

    raises  UsageError when the network has nothing to replace or was operated on before; DataError for unreadable
            shots; ParityError when folding a constant changed the network.
    """
    config = run.job.recipe.surgery
    spec = read_spec(adapted / NETWORK_SPEC)
    if spec.surgery:
        raise UsageError(f"{adapted}: surgery was done already ({', '.join(spec.surgery)}); start from an adapted one")
    device = choose_device()
    with deterministic(config.seed, device):
        network = channels_last(rebuild(spec, adapted / NETWORK_STATE).requires_grad_(False).to(device))
        shots = Shots(run.split.shots, spec.preprocessing, augment_of(run), config.seed, device)
        shots.keep()
        made = replace_parts(network, config, _views(shots, spec.image.height * spec.image.width))
        views = Views(len(shots), shots.plain, shots.augmented)
        history = distil(made.network, network, spec.classifier, views, config, run.progress)
    write_checkpoint(made.network.state_dict(), out / NETWORK_STATE)
    write_spec(replace(spec, surgery=made.surgery), out / NETWORK_SPEC)
    write_surgery(_record(made, history, config, device), out)


def _views(shots: Shots, pixels: int) -> Tensor:
    """Up to 128 views (fewer of large images), half of them plain, half augmented, of as many classes as possible: the
    shots take turns by class."""
    count = max(_FEWEST_VIEWS, min(_MOST_VIEWS, _VIEW_PIXELS // pixels))
    order = list(range(len(shots)))
    shown = order[: count // 2]
    repeated = (order * math.ceil(count / len(order)))[: count - len(shown)]
    plain = [shots.plain(shown[start : start + _AT_ONCE]) for start in range(0, len(shown), _AT_ONCE)]
    augmented = [shots.augmented(repeated[start : start + _AT_ONCE]) for start in range(0, len(repeated), _AT_ONCE)]
    return torch.cat([*plain, *augmented]).contiguous(memory_format=torch.channels_last)


def _record(made: Operated, history: Sequence[Epoch], config: Surgery, device: torch.device) -> SurgeryRecord:
    chosen = best_epoch(history)
    places = [fold.into for fold in made.folds]
    return SurgeryRecord(
        surgery=tuple(made.surgery),
        replaced=made.replaced,
        gates_folded_into={kind: places.count(kind) for kind in dict.fromkeys(places)},
        batch_norms_matched=made.batch_norms,
        fold_relative_difference=made.relative_difference,
        settings=config,
        history=tuple(history),
        chosen_epoch=chosen.epoch,
        agreement=chosen.agreement,
        device=device.type,
    )
