"""Several trainings at once, one thread each: on a CPU that is faster than one training with all threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from edgetl.adapt.reproducible import draws
from edgetl.backbones.extract import Frozen

Given = TypeVar("Given")
Made = TypeVar("Made")


def run_all(work: Callable[[Given], Made], items: Sequence[Given], frozen: Frozen) -> Iterator[Made]:
    """`work` on every item, results in the order of the items.

    One after another on a GPU, and for a network that draws random numbers of its own (dropout): these come from one
    generator for all threads, and two runs would differ.
    """
    threads = torch.get_num_threads()
    if frozen.device.type != "cpu" or threads == 1 or len(items) < 2 or draws(frozen.network):
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    wait = True
    try:
        yield from pool.map(work, items)
    except KeyboardInterrupt:
        wait = False  # a training may take minutes more, and nobody will use it
        raise
    finally:
        pool.shutdown(wait, cancel_futures=True)
        torch.set_num_threads(threads)
