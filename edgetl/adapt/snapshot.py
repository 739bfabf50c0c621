"""A killed training resumes after its last complete epoch and ends with the same bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from edgetl.files.durable import Damaged, read_sealed, write_sealed
from edgetl.store.results import disk_errors

_EVERY_S = 10.0
_RECORDS = "records"


class Snapshots:
    """The state of one training in the file `path`, whose name must depend on everything the training depends on."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], list[dict[str, Any]]] | None:
        """The last state and the records of its epochs; None if there is none or it is damaged."""
        try:
            tensors = load(read_sealed(self._path))
            records = json.loads(bytes(tensors.pop(_RECORDS).tolist()))
        except (OSError, Damaged, SafetensorError, KeyError, ValueError):
            return None
        return tensors, records

    def write(self, state: Mapping[str, Tensor], records: Sequence[Mapping[str, Any]], *, last: bool) -> None:
        """Call after an epoch: writes the state from time to time, and after the last. Raises StoreError on a full
        disk."""
        if not last and time.monotonic() - self._last < _EVERY_S:
            return
        text = torch.tensor(list(json.dumps(list(records)).encode()), dtype=torch.uint8)
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
        with disk_errors(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_sealed(self._path, save({**tensors, _RECORDS: text}))
        self._last = time.monotonic()
