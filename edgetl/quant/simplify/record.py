"""`surgery.json`: which parts of a network were replaced, and how it was trained afterwards. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgetl.files.documents import read_document, write_document
from edgetl.quant.record import Epoch
from edgetl.recipes.recipe import Surgery
from edgetl.types.findings import Replaceable

SURGERY_FILE = "surgery.json"


@dataclass(frozen=True)
class SurgeryRecord:
    """One operation.

    surgery                   names of the replacements; replaced  how many parts
    gates_folded_into         where the gates' constants went, by kind of layer
    batch_norms_matched       how many got new statistics
    fold_relative_difference  of the outputs with folded constants, as a share of the largest output
    settings                  of the recipe
    history                   epoch 0 first; agreement  share of the shots with the original network's class
    """

    surgery: tuple[str, ...]
    replaced: Replaceable
    gates_folded_into: Mapping[str, int]
    batch_norms_matched: int
    fold_relative_difference: float
    settings: Surgery
    history: tuple[Epoch, ...]
    chosen_epoch: int
    agreement: float
    device: str
    schema: Literal[1] = 1


def write_surgery(record: SurgeryRecord, folder: Path) -> None:
    # `when` does not change the result
    write_document(folder / SURGERY_FILE, record, leave_out={"settings": {"when"}})


def read_surgery(folder: Path) -> SurgeryRecord:
    """Read the record in the folder of a surgery stage. Raises EdgetlError."""
    return read_document(folder / SURGERY_FILE, SurgeryRecord, "a record of surgery of schema 1")
