"""Bundles of language models: `manifest.json` of the task `generation`, read with the checks of every bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from edgetl.backends.base import about
from edgetl.backends.base import load as load_backend
from edgetl.backends.onnx_decoder import OnnxDecoder
from edgetl.bundle.manifest import FILE_NAME, GENERATION, MAX_MANIFEST_BYTES, FileEntry
from edgetl.bundle.read import check_digests, check_listed, check_manifest, check_model
from edgetl.errors import BackendError, BundleError, DataError, UsageError
from edgetl.files.json_file import PlainText, RelativePath, StrictModel, read_json, read_json_value
from edgetl.fronts.text.description import read_description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.types import TOKENIZER, Compiled, Interval, Target
from edgetl.types.decoders import DecoderShape

MODEL_FILE = "model.onnx"
PROMPTS_FILE, LOGITS_FILE = "golden/prompts.json", "golden/logits.safetensors"
_FILES = (MODEL_FILE, TOKENIZER, PROMPTS_FILE, LOGITS_FILE)


class LanguageMeasured(StrictModel):
    """On the user's texts. Times are medians with `threads` threads; None: this machine is not the target's.

    rise_percent    of the perplexity against the torch network, on the same tokens
    first_token_ms  from the prompt to the first token;  prompt_tokens  of it
    """

    texts: int
    tokens: int
    perplexity: float
    rise_percent: Interval
    prompt_tokens: int
    first_token_ms: float | None
    ms_per_token: float | None
    speedup_over_float: float | None
    threads: int
    cpu: str
    date: str


class LanguageManifest(StrictModel):
    """end  tokens after which nothing follows;  tolerance  of the logits, as a fraction of their range"""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    schema_version: Literal[2] = Field(alias="schema")
    task: Literal["generation"] = GENERATION
    name: Annotated[PlainText, Field(max_length=200)]
    edgetl_version: Annotated[PlainText, Field(max_length=40)]
    target: Target
    compiled: Compiled
    scheme: Annotated[PlainText | None, Field(max_length=40)]
    decoder: DecoderShape
    end: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=64)]
    licence: Annotated[PlainText, Field(max_length=200)]
    tolerance: Annotated[float, Field(gt=0, le=1)]
    reason: str
    measured: LanguageMeasured
    files: Annotated[dict[RelativePath, FileEntry], Field(max_length=100)]

    @model_validator(mode="after")
    def _complete(self) -> LanguageManifest:
        if self.compiled.model != MODEL_FILE or not about(self.compiled.backend).runs_onnx:
            raise ValueError(f"`compiled` must be {MODEL_FILE} for ONNX Runtime")
        if set(self.files) != set(_FILES):
            raise ValueError(f"`files` must be {', '.join(_FILES)}")
        return self

    def text(self) -> str:
        return self.model_dump_json(indent=1, by_alias=True) + "\n"


@dataclass(frozen=True)
class LanguageBundle:
    """A bundle whose files are complete and match its manifest."""

    folder: Path
    manifest: LanguageManifest
    tokenizer: Tokenizer


def is_language(folder: Path) -> bool:
    """Whether the manifest in `folder` names the task of language models; its other keys are not checked."""
    try:
        content: Any = read_json_value(folder / FILE_NAME, most_bytes=MAX_MANIFEST_BYTES, what="a manifest")
    except DataError:
        return False
    return isinstance(content, dict) and content.get("task") == GENERATION


def read_language(folder: Path, sha256: str | None = None) -> LanguageBundle:
    """Read the manifest, check size and SHA-256 of every file, and read the tokenizer.

    sha256  that of manifest.json, if it is known
    raises  BundleError naming the first thing that is wrong; UsageError for a bundle of another task
    """
    if not is_language(folder) and (folder / FILE_NAME).is_file():
        raise UsageError(f"{folder}: expected a language model; it is a bundle of another task: use edgetl predict")
    try:
        manifest = read_json(
            folder / FILE_NAME, LanguageManifest, most_bytes=MAX_MANIFEST_BYTES, what="a language model's manifest"
        )
        if sha256 is not None:
            check_manifest(folder / FILE_NAME, sha256)
        check_listed(folder, manifest.files)
        check_digests(folder, manifest.files)
        check_model(folder / MODEL_FILE)
        description = read_description(folder / TOKENIZER)
    except OSError as error:
        raise BundleError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from error
    if max(description.size - 1, *manifest.end, 0) >= manifest.decoder.vocabulary:
        raise BundleError(
            f"{folder / TOKENIZER}: {description.size} tokens; the network has {manifest.decoder.vocabulary}"
        )
    return LanguageBundle(folder, manifest, Tokenizer(description))


def cannot_run(bundle: LanguageBundle) -> str:
    """Why this machine cannot run it, and what to do; "" if it can. Opens nothing."""
    compiled = bundle.manifest.compiled
    obstacle = load_backend(compiled.backend).cannot_run(bundle.manifest.target, compiled.precision)
    return f"cannot run here: {obstacle.reason}; {obstacle.remedy}" if obstacle else ""


@contextmanager
def open_language(bundle: LanguageBundle, *, threads: int) -> Iterator[OnnxDecoder]:
    """Raises BackendError if this machine cannot run it."""
    if obstacle := cannot_run(bundle):
        raise BackendError(f"{bundle.folder}: {obstacle}")
    yield OnnxDecoder(bundle.folder / MODEL_FILE, bundle.manifest.decoder, threads=threads)
