"""A process that takes steps of trials from stdin and answers on stdout, one JSON document per line."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import warnings
from typing import BinaryIO

from pydantic import TypeAdapter

from edgetl.sweep.step import Answer, Step, take


def main() -> None:
    """Until stdin is closed, which ends this process at once, in the middle of a step too: results are never half
    written."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print to stdout
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the whole group; the parent closes stdin
    warnings.simplefilter("ignore")
    steps: queue.SimpleQueue[Step] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, steps), daemon=True).start()
    while True:
        answers.write(TypeAdapter(Answer).dump_json(take(steps.get())) + b"\n")
        answers.flush()


def _read(stream: BinaryIO, steps: queue.SimpleQueue[Step]) -> None:
    for line in stream:
        steps.put(TypeAdapter(Step).validate_json(line))
    os._exit(0)


if __name__ == "__main__":
    main()
