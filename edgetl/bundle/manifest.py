"""`manifest.json`: target, preprocessing, task, measurements, and the digest of every file of a bundle.

Readers trust nothing: sizes are bounded, unknown keys and other schema versions are refused, paths stay inside.
Schema 1, which knows one task, is read as what schema 2 says of a classifier.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from edgetl.backends.base import BACKENDS
from edgetl.bundle.ports import signature_for, why_not
from edgetl.errors import BundleError, UsageError
from edgetl.files.json_file import (
    NAME,
    DetectorLabels,
    Labels,
    PlainText,
    ReadPreprocessing,
    RelativePath,
    Sha256,
    StrictModel,
    read_json,
)
from edgetl.files.text import quoted
from edgetl.fronts.audio.resample import FILE_NAME as RESAMPLER
from edgetl.fronts.base import load_front
from edgetl.tasks.base import TaskName
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import (
    TOKENIZER,
    AudioPreprocessing,
    Compiled,
    FrontName,
    HeadClasses,
    Interval,
    Signature,
    Target,
    TextPreprocessing,
    Verdict,
    located,
)
from edgetl.types.data import are_heads_of

SCHEMA = 2
FILE_NAME = "manifest.json"
LABELS_NAME = "labels.txt"
MAX_MANIFEST_BYTES = 4_000_000
MAX_FILE_BYTES = 4_000_000_000
MAX_NAME_CHARACTERS = 200
MAX_HEADS = 64
GENERATION: Literal["generation"] = "generation"
"""The task of bundles that continue a text; their manifest is `edgetl/language/manifest.py`."""

GoldenFile = Annotated[str, Field(pattern=r"^golden/[0-9]{1,2}\.(jpg|png|wav|txt|csv)$")]


_DECODED = {"jpg": "rgb", "png": "rgb", "wav": "samples", "csv": "window"}
_GOLDEN_SUFFIXES: dict[FrontName, tuple[str, ...]] = {
    "image": ("jpg", "png"),
    "audio": ("wav",),
    "text": ("txt",),
    "series": ("csv",),
}


def arrays_of(golden_file: str) -> tuple[str, ...]:
    """Names of the arrays beside a golden file: decoded, unless it is a text, and as the network takes it."""
    index, _, suffix = golden_file.partition(".")
    return tuple(f"{index}.{kind}.npy" for kind in (_DECODED.get(suffix), "input") if kind)


class FileEntry(StrictModel):
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]


class Tolerance(StrictModel):
    """Allowed distance from the golden outputs.

    max_diff_of_range  largest absolute difference: of logits as a fraction of the golden logits' max - min; of a
                       detector's scores, which are from 0 to 1; of its corners as a fraction of the input's longer side
    min_cosine         smallest cosine between the two logit vectors of an image; not used for a detector
    max_decode_step    largest difference of a decoded pixel's channel, in steps of 0..255; PNG is always exact
    """

    max_diff_of_range: Annotated[float, Field(gt=0, le=1)]
    min_cosine: Annotated[float, Field(ge=0, le=1)]
    max_decode_step: Annotated[int, Field(ge=0, le=255)] = 2


class Golden(StrictModel):
    """The steps to replay: image file -> `<i>.rgb.npy` -> `<i>.input.npy` -> outputs; of a clip of sound `<i>.wav` ->
    `<i>.samples.npy` -> `<i>.input.npy`; of a text `<i>.txt` -> `<i>.input.npy`; of a window
    `<i>.csv` -> `<i>.window.npy` -> `<i>.input.npy`.

    A classifier's outputs are in `logits.safetensors`, a detector's in `outputs.safetensors`, and what they become in
    `detections.safetensors`.
    files  those that are decoded: `golden/<i>.jpg`, `.png`, `.wav`, `.txt` or `.csv`
    """

    count: Annotated[int, Field(ge=1, le=64)]
    files: Annotated[tuple[GoldenFile, ...], Field(min_length=1, max_length=64)]
    tolerance: Tolerance

    @model_validator(mode="after")
    def _one_file_each(self) -> Golden:
        if [file.removeprefix("golden/").split(".")[0] for file in self.files] != [str(i) for i in range(self.count)]:
            raise ValueError("`files` must name one file for each of 0 .. count - 1, in order")
        return self

    def example_files(self) -> tuple[str, ...]:
        """The files and their arrays."""
        arrays = (f"golden/{name}" for file in self.files for name in arrays_of(file.removeprefix("golden/")))
        return (*self.files, *arrays)


class Measured(StrictModel):
    """The bench results of this bundle. Accuracies are fractions with 95 % intervals.

    metric, score    the task's first metric: `top-1`, `AP`; top1  the same of a classifier, else None
    drop_points      of the score
    emulated_images  the part of `images` run under emulation, if the building machine's CPU ran the others; None if all
                     ran one way
    """

    images: int
    emulated: bool
    top1: Interval | None = None
    drop_points: Interval
    p50_ms: float | None
    p99_ms: float | None
    threads: int | None
    speedup_over_float: float | None
    cpu: str
    date: str
    emulated_images: int | None = None
    metric: Annotated[PlainText, Field(max_length=40)] = "top-1"
    score: Interval | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, values: Any) -> Any:
        return values | {"score": values.get("top1")} if isinstance(values, dict) and "score" not in values else values


class _OfEverySchema(StrictModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    schema_version: int = Field(alias="schema")
    name: Annotated[PlainText, Field(max_length=200)]
    edgetl_version: Annotated[PlainText, Field(max_length=40)]
    target: Target
    compiled: Compiled
    scheme: Annotated[PlainText | None, Field(max_length=40)]
    labels: DetectorLabels
    preprocessing: ReadPreprocessing
    pivot_sha256: Sha256
    golden: Golden | None
    verdict: Verdict = "not measured"
    reason: str = ""
    measured: Measured | None = None
    files: Annotated[dict[RelativePath, FileEntry], Field(max_length=1000)]

    @field_validator("compiled")
    @classmethod
    def _stays_inside(cls, value: Compiled) -> Compiled:
        if not all(
            re.fullmatch(NAME, name) and len(name) <= MAX_NAME_CHARACTERS for name in (value.model, *value.files)
        ):
            raise ValueError("model files must be plain names inside the bundle")
        if value.backend not in BACKENDS:
            raise ValueError(f"unknown backend {quoted(value.backend)}; this version has {', '.join(BACKENDS)}")
        return value

    @field_validator("files")
    @classmethod
    def _without_itself(cls, value: dict[str, FileEntry]) -> dict[str, FileEntry]:
        if FILE_NAME in value:
            raise ValueError(f"{FILE_NAME} cannot hold its own digest")
        return value


class Manifest(_OfEverySchema):
    """front      how a file becomes the network's input
    heads        which logits are whose, if there are several heads; the key is missing otherwise
    postprocess  how the outputs become objects; None for a classifier
    """

    schema_version: Literal[2] = Field(alias="schema")
    task: TaskName
    front: FrontName
    signature: Signature
    postprocess: Postprocess | None
    heads: Annotated[tuple[HeadClasses, ...], Field(max_length=MAX_HEADS, exclude_if=lambda heads: not heads)] = ()

    @model_validator(mode="after")
    def _fits_its_task(self) -> Manifest:
        if self.front != self.preprocessing.front:
            raise ValueError(
                f"`preprocessing` must be that of `front` {self.front}; it is for {self.preprocessing.front}"
            )
        problem = why_not(self.task, self.labels, self.preprocessing, self.signature)
        if problem:
            raise ValueError(problem)
        if (self.postprocess is None) != (self.task == "classification"):
            raise ValueError(f"`postprocess` must be {'null' if self.postprocess else 'an object'} for {self.task}")
        if self.heads and not are_heads_of(self.heads, self.labels):
            raise ValueError("`heads` must be two or more whose classes are `labels`, in order")
        for file in self.golden.files if self.golden else ():
            if file.rsplit(".", 1)[-1] not in _GOLDEN_SUFFIXES[self.front]:
                raise ValueError(f"`golden.files` must be {load_front(self.front).noun}s; found {file}")
        p = self.preprocessing
        if isinstance(p, AudioPreprocessing) and p.rate_hz != p.file_rate_hz and RESAMPLER not in self.files:
            raise ValueError(f"`files` must have {RESAMPLER}: clips of {p.file_rate_hz} Hz become {p.rate_hz} Hz")
        if isinstance(p, TextPreprocessing) and self._digest_of(TOKENIZER) != p.tokenizer:
            raise ValueError(f"`files` must have {TOKENIZER} with the sha256 of `preprocessing.tokenizer`")
        return self

    def _digest_of(self, name: str) -> str:
        return self.files[name].sha256 if name in self.files else ""

    def golden_files(self) -> tuple[str, ...]:
        """The files that replaying needs; none without golden images."""
        if self.golden is None:
            return ()
        results = ("logits",) if self.task == "classification" else ("outputs", "detections")
        return (*self.golden.example_files(), *(f"golden/{result}.safetensors" for result in results))


class _Schema1(_OfEverySchema):
    schema_version: Literal[1] = Field(alias="schema")
    labels: Labels

    def as_schema_2(self) -> Manifest:
        same = {name: getattr(self, name) for name in _OfEverySchema.model_fields if name != "schema_version"}
        signature = signature_for("classification", self.labels, self.preprocessing)
        return Manifest(
            schema_version=2, task="classification", front="image", signature=signature, postprocess=None, **same
        )


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder/manifest.json`; file digests are checked by `bundle.read`. Raises BundleError;
    UsageError for a language model."""
    path = folder / FILE_NAME
    try:
        found = read_json(
            path,
            lambda content: _model_of(content, folder),
            most_bytes=MAX_MANIFEST_BYTES,
            what=f"a manifest of schema 1 or {SCHEMA}",
        )
    except OSError as error:
        raise BundleError(f"{folder}: not a bundle: cannot read {FILE_NAME} ({error.strerror})") from error
    manifest = found.as_schema_2() if isinstance(found, _Schema1) else found
    return manifest.model_copy(update={"preprocessing": located(manifest.preprocessing, folder)})


def _model_of(content: object, folder: Path) -> type[Manifest] | type[_Schema1]:
    if isinstance(content, dict) and content.get("task") == GENERATION:
        raise UsageError(f"{folder}: a language model, which continues texts; run it with: edgetl generate")
    return _Schema1 if isinstance(content, dict) and content.get("schema") == "1" else Manifest


def labels_text(labels: Sequence[str]) -> str:
    """The content of `labels.txt`: one label per line, in the order of the logits."""
    return "\n".join(labels) + "\n"


def manifest_text(manifest: Manifest) -> str:
    return manifest.model_dump_json(indent=1, by_alias=True) + "\n"
