"""The pivot folder: the models that every backend compiles from, with their parity results. Torch-free.

Readers trust nothing: sizes are bounded, unknown keys and other schema versions are refused, digests are checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgetl.errors import BundleError
from edgetl.files.digest import file_digest, folder_digests
from edgetl.files.json_file import Labels, RelativePath, Sha256, StrictModel, read_json
from edgetl.pivot.half_range import HalfRange
from edgetl.store.results import write_text
from edgetl.types import ModelKind, Preprocessing

FILE_NAME = "pivot.json"
GOLDEN_DIR = "golden"
SCHEMA = 1
MAX_PIVOT_BYTES = 10_000_000

GoldenFile = Annotated[str, Field(pattern=r"^[0-9]{1,2}\.(jpg|png)$")]


class Parity(StrictModel):
    """How close an ONNX model came to its torch network on `images` real images.

    max_abs_diff    largest difference of two logits
    tolerance       the largest that would have passed
    top1_agreement  share of images with the same most likely class
    """

    images: Annotated[int, Field(ge=1)]
    max_abs_diff: Annotated[float, Field(ge=0)]
    top1_agreement: Annotated[float, Field(ge=0, le=1)]
    tolerance: Annotated[float, Field(gt=0)]


class PivotModel(StrictModel):
    """One ONNX file with the preprocessing inside. `scheme_id` is None for the float models.

    parity  None for a mixed model: it has no torch network and was evaluated on its runtime
    """

    file: RelativePath
    precision: ModelKind
    scheme_id: str | None
    sha256: Sha256
    parity: Parity | None


class Pivot(StrictModel):
    """The content of `pivot.json`.

    source, licence  of the pretrained weights, as they state it; empty if they state nothing
    half_range       determines whether there is a float16 model; None if no target has such a build
    golden_files     image files in `golden/`, in the order of the golden logits
    digests          SHA-256 of every other file, by path relative to the folder
    """

    schema_version: Literal[1] = 1
    labels: Labels
    preprocessing: Preprocessing
    models: Annotated[tuple[PivotModel, ...], Field(min_length=1, max_length=64)]
    golden_files: Annotated[tuple[GoldenFile, ...], Field(max_length=64)]
    half_range: HalfRange | None = None
    source: str = ""
    licence: str = ""
    digests: dict[RelativePath, Sha256]


def write_pivot(folder: Path, pivot: Pivot) -> Pivot:
    """Write `pivot.json` over the files that are already in `folder`; returns it with their digests filled in."""
    digests = folder_digests(folder)
    digests.pop(FILE_NAME, None)
    complete = pivot.model_copy(update={"digests": digests})
    write_text(folder / FILE_NAME, complete.model_dump_json(indent=2) + "\n")
    return complete


def read_pivot(folder: Path) -> Pivot:
    """Read a pivot folder and check every file it lists.

    raises  BundleError if it is not a pivot, of another schema, or a file is missing or changed.
    """
    path = folder / FILE_NAME
    try:
        pivot = read_json(path, Pivot, most_bytes=MAX_PIVOT_BYTES, what=f"a pivot of schema {SCHEMA}")
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}; run `edgetl export` again") from error
    for model in pivot.models:
        if pivot.digests.get(model.file) != model.sha256:
            raise BundleError(f"{path}: `{model.file}` is listed with two digests or none; export the pivot again")
    for name, digest in pivot.digests.items():
        _check_file(folder, name, digest)
    return pivot


def _check_file(folder: Path, name: str, digest: str) -> None:
    path = folder / name
    try:
        found = file_digest(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}; export the pivot again") from error
    if found != digest:
        raise BundleError(
            f"{path}: changed since it was written: expected sha256 {digest[:12]}, found {found[:12]}; export it again"
        )
