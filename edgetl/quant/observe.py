"""Runs calibration images through the observers, in batches, so that a killed run resumes where it stopped."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edgetl.errors import DataError
from edgetl.quant.calibration import CalibrationImages
from edgetl.quant.fakequant import ActivationQuantizer
from edgetl.quant.observed import Observed, Parts, pack, unpack
from edgetl.quant.ranges import RangesCache
from edgetl.types import Progress

CHECKPOINT_VIEWS = 64  # a state has a few MB; this many network runs take seconds


def observed_places(prepared: nn.Module) -> dict[str, ActivationQuantizer]:
    """The observing modules of a prepared network by name, each once, in the order of the graph."""
    return {name: part for name, part in prepared.named_modules() if isinstance(part, ActivationQuantizer)}


@torch.no_grad()
def observe(
    prepared: nn.Module,
    images: CalibrationImages,
    parts: Parts,
    cache: RangesCache | None,
    progress: Progress,
) -> Observed:
    """Run all views of all images through the observers of `prepared`, except those already in `cache`.

    The state is stored after every 64 views or the batch in which they end; one batch is in memory at a time. The
    result is equal to the bit however often the run was interrupted. raises  DataError for an image, ParityError for
    activations that are not finite.
    """
    places = observed_places(prepared)
    observers = [part.observer for part in places.values()]
    found = cache.find(parts, tuple(places), progress) if cache else None
    if found is not None:
        unpack(observers, found.arrays)
    first, unsaved = (found.batches if found else 0), 0
    with progress.task("quantize: observe ranges", total=len(images)) as advance:
        advance(first)
        for number in range(first, len(images)):
            for batch in images.views(number):
                prepared(batch)
                del batch  # or it would live on while the next one is made
            advance()
            unsaved += images.size(number)
            if cache and (unsaved >= CHECKPOINT_VIEWS or number + 1 == len(images)):
                cache.keep(Observed(parts, tuple(places), number + 1, len(images), pack(observers)))
                unsaved = 0
    if cache and first == len(images):
        cache.remember(parts)
    return Observed(parts, tuple(places), len(images), len(images), pack(observers))


def take_ranges(prepared: nn.Module, observed: Observed, where: Path) -> None:
    """Put finished observations of an equal network into the observers of `prepared`. Raises DataError."""
    try:
        unpack([part.observer for part in observed_places(prepared).values()], observed.arrays)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
