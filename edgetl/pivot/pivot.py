"""The pivot folder: the models that every backend compiles from, with their parity results. Torch-free.

Readers trust nothing: sizes are bounded, unknown keys and other schema versions are refused, digests are checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgetl.errors import BundleError, UsageError
from edgetl.files.digest import file_digest, folder_digests
from edgetl.files.durable import write_text
from edgetl.files.json_file import DetectorLabels, ReadPreprocessing, RelativePath, Sha256, StrictModel, read_json
from edgetl.recipes.targets import scheme_id
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import PRECISIONS, HeadClasses, ModelKind, Precision, Target, located
from edgetl.types.data import are_heads_of

FOLDER = "pivot"  # of a pivot in an output folder or a stage's result
FILE_NAME = "pivot.json"
GOLDEN_DIR = "golden"
SCHEMA = 1
MAX_PIVOT_BYTES = 10_000_000

LARGEST_FLOAT16 = 65504.0
"""Largest finite number of IEEE 754-2019 binary16."""
HEADROOM = 2.0
"""Required factor below it, because other images may give larger values."""

GoldenFile = Annotated[str, Field(pattern=r"^[0-9]{1,2}\.(jpg|png|wav|txt|csv)$")]


class Parity(StrictModel):
    """How close an ONNX model came to its torch network on `images` real images: `edgetl.tasks.base.Closeness`.

    max_abs_diff    largest difference of two outputs
    tolerance       the largest that would have passed
    top1_agreement  share of images, or of objects, with the same most likely class
    """

    images: Annotated[int, Field(ge=1)]
    max_abs_diff: Annotated[float, Field(ge=0)]
    top1_agreement: Annotated[float, Field(ge=0, le=1)]
    tolerance: Annotated[float, Field(gt=0)]


class PivotModel(StrictModel):
    """One ONNX file with the preprocessing inside. `scheme_id` is None for the float models.

    parity       None for a mixed model: it has no torch network and was evaluated on its runtime
    postprocess  with the threshold that suits this model's scores; None for a classifier
    """

    file: RelativePath
    precision: ModelKind
    scheme_id: str | None
    sha256: Sha256
    parity: Parity | None
    postprocess: Postprocess | None = None


class HalfRange(StrictModel):
    """The largest magnitude of any float32 value inside the network on `images` real ones; `tensor` is where."""

    largest: Annotated[float, Field(ge=0)]
    tensor: str
    images: Annotated[int, Field(ge=1)]

    @property
    def fits(self) -> bool:
        """Whether the network can run in float16."""
        return self.largest * HEADROOM <= LARGEST_FLOAT16

    def explain(self) -> str:
        """One sentence about it."""
        seen = f"On {self.images} shots no value inside the network exceeds {self.largest:,.0f} (`{self.tensor}`)"
        if self.fits:
            return f"{seen}; float16 goes up to {LARGEST_FLOAT16:,.0f}."
        return (
            f"{seen}; float16 goes up to {LARGEST_FLOAT16:,.0f}, but {HEADROOM:g} times the observed value must fit: "
            "there is no float16 build."
        )


class Pivot(StrictModel):
    """The content of `pivot.json`.

    source, licence  of the pretrained weights, as they state it; empty if they state nothing
    task             what the outputs mean; postprocess  how they become objects, for a detector
    heads            which logits are whose, if there are several heads
    half_range       determines whether there is a float16 model; None if no target has such a build
    golden_files     examples in `golden/`, in the order of the golden logits
    digests          SHA-256 of every other file, by path relative to the folder
    """

    schema_version: Literal[1] = 1
    labels: DetectorLabels
    preprocessing: ReadPreprocessing
    models: Annotated[tuple[PivotModel, ...], Field(min_length=1, max_length=64)]
    golden_files: Annotated[tuple[GoldenFile, ...], Field(max_length=64)]
    half_range: HalfRange | None = None
    source: str = ""
    licence: str = ""
    task: Literal["classification", "detection"] = "classification"
    heads: Annotated[tuple[HeadClasses, ...], Field(max_length=64, exclude_if=lambda heads: not heads)] = ()
    postprocess: Postprocess | None = None
    digests: dict[RelativePath, Sha256]

    @model_validator(mode="after")
    def _fits_its_task(self) -> Pivot:
        if self.task == "classification" and len(self.labels) < 2:
            raise ValueError("`labels` must be at least 2 for a classifier")
        if (self.postprocess is None) != (self.task == "classification"):
            raise ValueError("`postprocess` must be an object for a detector and nothing for a classifier")
        if self.heads and not are_heads_of(self.heads, self.labels):
            raise ValueError("`heads` must be two or more whose classes are `labels`, in order")
        return self


def write_pivot(folder: Path, pivot: Pivot) -> Pivot:
    """Write `pivot.json` over the files that are already in `folder`; returns it with their digests filled in."""
    digests = folder_digests(folder)
    digests.pop(FILE_NAME, None)
    complete = pivot.model_copy(update={"digests": digests})
    write_text(folder / FILE_NAME, _text(complete) + "\n")
    return complete


def _text(pivot: Pivot) -> str:
    if pivot.task != "classification":
        return pivot.model_dump_json(indent=2)
    # as it was before there were tasks
    return pivot.model_dump_json(
        indent=2, exclude={"task": True, "postprocess": True, "models": {"__all__": {"postprocess"}}}
    )


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
    return pivot.model_copy(update={"preprocessing": located(pivot.preprocessing, folder)})


def model_for(pivot: Pivot, target: Target, precision: Precision) -> PivotModel:
    """The model from which `precision` on `target` is compiled. Raises UsageError.

    bfloat16 is made from float32; a simplified build from the int8 model of a pivot of the simplified network.
    """
    kind, scheme = _wanted(target, precision)
    for model in pivot.models:
        if (model.precision, model.scheme_id) == (kind, scheme):
            return model
    have = ", ".join(model.scheme_id or model.precision for model in pivot.models)
    wanted = f"the scheme {scheme}" if scheme else f"a {kind} model"
    raise UsageError(f"target {target.name}: {precision} needs {wanted}; the pivot has {have}")


def available(pivot: Pivot, target: Target) -> tuple[Precision, ...]:
    """The target's precisions for which the pivot has a model, in the target's order."""
    held = {(model.precision, model.scheme_id) for model in pivot.models}
    return tuple(precision for precision in target.precisions if _wanted(target, precision) in held)


def _wanted(target: Target, precision: Precision) -> tuple[ModelKind, str | None]:
    kind = PRECISIONS[precision]
    return kind.model, scheme_id(target.scheme) if kind.integers else None


def left_out(pivot: Pivot, target: Target) -> Iterator[tuple[Precision, str]]:
    """The target's precisions for which the pivot has no model, each with what to do."""
    remedy = f"add {target.name} to the recipe's targets and build again"
    for precision in target.precisions:
        if precision in available(pivot, target):
            continue
        if PRECISIONS[precision].integers:
            wanted = scheme_id(target.scheme)
            yield precision, f"the pivot has no INT8 network of the number format {wanted}; {remedy}"
        elif pivot.half_range and not pivot.half_range.fits:
            yield precision, pivot.half_range.explain()
        else:
            yield precision, f"the pivot has no {precision} model; {remedy}"


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
