"""Several trainings at once, one thread each: on a CPU this is faster than one training with all threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from edgetl.backbones.extract import Frozen
from edgetl.backbones.reproducible import draws
from edgetl.backbones.threads import side_by_side

Given = TypeVar("Given")
Made = TypeVar("Made")


def run_all(work: Callable[[Given], Made], items: Sequence[Given], frozen: Frozen) -> Iterator[Made]:
    """`work` on every item, results in the order of the items.

    Items run one after another on a GPU, and for a network that draws random numbers itself (dropout): these come from
    one generator for all threads, so two runs would differ.
    """
    yield from map(work, items) if draws(frozen.network) else side_by_side(work, items, frozen.device)
