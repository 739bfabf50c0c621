"""`import.json` records what was found in the user's network. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgetl.files.documents import read_document, write_document
from edgetl.recipes.network import Normalization
from edgetl.types import ImagePreprocessing, Interval

IMPORT_FILE = "import.json"


@dataclass(frozen=True)
class Scored:
    """Accuracy of the float network on the shots, with the bytes brought into its range in one way."""

    name: str
    top1: Interval


@dataclass(frozen=True)
class Imported:
    """What was found in the file, and how the network does on the shots.

    norms_folded, norms_left  batch norms merged into other layers, and those that are not
    arithmetic      operators on the pixels in the graph that became part of the preprocessing
    normalization   that of the recipe; preprocessing  with the arithmetic of the graph, for RGB
    relative_difference  of its scores here and in the file, on the shots: largest difference by largest score
    scored          as given, on all shots looked at; others  the usual ways on a part of them, that part as given first
    channels        3 colors, or 1 of gray
    sentence        a warning; empty if nothing looks wrong
    """

    file: str
    sha256: str
    opset: int
    producer: str
    classes: int
    layout: Literal["nchw", "nhwc"]
    takes_bytes: bool
    fixed_batch: int | None
    softmax: bool
    norms_folded: int
    norms_left: int
    arithmetic: int
    normalization: Normalization
    preprocessing: ImagePreprocessing
    images: int
    relative_difference: float
    scored: Scored
    others: tuple[Scored, ...]
    sentence: str
    channels: int = 3
    schema: Literal[1] = 1


def write_imported(record: Imported, folder: Path) -> None:
    write_document(folder / IMPORT_FILE, record)


def read_imported(folder: Path) -> Imported:
    """From the folder of an import stage. Raises EdgetlError."""
    return read_document(folder / IMPORT_FILE, Imported, "a record of an imported network of schema 1")
