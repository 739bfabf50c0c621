"""Works on several items at once, one torch thread each: on a CPU this is faster than one item with all threads, and it
does not wait for a core that another program uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Given = TypeVar("Given")
Made = TypeVar("Made")


def side_by_side(work: Callable[[Given], Made], items: Sequence[Given], device: torch.device) -> Iterator[Made]:
    """`work` on every item, results in the order of the items; one after another on a GPU."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(items) < 2:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    wait = True
    try:
        yield from pool.map(work, items)
    except KeyboardInterrupt:
        wait = False  # what was begun may take minutes more, and nobody will use it
        raise
    finally:
        pool.shutdown(wait, cancel_futures=True)
        torch.set_num_threads(threads)
