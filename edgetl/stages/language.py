"""From a decoder's folder and texts to a proven bundle for each target (docs/decisions/0033-language-models.md)."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl import __version__
from edgetl.backbones.text.causal import Decoder as Loaded
from edgetl.backbones.text.causal import load_decoder
from edgetl.backends.base import about
from edgetl.backends.base import load as load_backend
from edgetl.backends.onnx_decoder import OnnxDecoder
from edgetl.bench.machine import describe, other_cpu
from edgetl.bundle.manifest import FILE_NAME, FileEntry
from edgetl.bundle.write import TOLERANCES
from edgetl.errors import BackendError, DataError, ParityError, StoreError, UsageError
from edgetl.files.digest import folder_digests
from edgetl.files.durable import put, write_text
from edgetl.files.temporary import temporary_folder
from edgetl.fronts.text.decode import Decoder
from edgetl.fronts.text.description import write_description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.fronts.text.prove import prove_equal
from edgetl.language.bundle import MODEL_FILE, LanguageManifest, LanguageMeasured, is_language
from edgetl.language.continuation import Network, prompt_ids
from edgetl.language.golden import choose_prompts, greedy, write_golden
from edgetl.language.measure import Logits, Losses, Times, losses, rise_percent, times
from edgetl.pivot.decoder import decoder_to_onnx, torch_logits
from edgetl.pivot.from_torch import OPSET
from edgetl.pivot.rewrite import fold_transposes
from edgetl.pivot.serialize import serialize
from edgetl.quant.dynamic import to_dynamic
from edgetl.quant.exact import with_unsigned_weights
from edgetl.recipes.targets import scheme_id
from edgetl.store.results import disk_errors
from edgetl.types import TOKENIZER, Compiled, Missing, Precision, Progress, Scheme, Target

BUNDLES, RESULT_FILE = "bundles", "language.json"
MOST_TOKENS = 20_000
"""Of the texts; those after them are not read."""
_MOST_FLOAT_RISE = 0.01  # percent, of ONNX against torch


@dataclass(frozen=True)
class Request:
    """texts             held out: the network was not trained on them
    max_rise_percent  of the perplexity that INT8 may cost
    """

    folder: Path
    name: str
    texts: tuple[str, ...]
    targets: tuple[Target, ...]
    out: Path
    max_rise_percent: float
    threads: int


@dataclass(frozen=True)
class _Variant:
    """One form of the network. shipped  its file;  exact  the file whose values are those on the target's CPU"""

    precision: Precision
    shipped: Path
    exact: Path
    found: Losses


@dataclass(frozen=True)
class _Model:
    """What is the same for all targets. prompts  texts and their tokens"""

    loaded: Loaded
    tokenizer: Tokenizer
    texts: tuple[list[int], ...]
    prompts: tuple[tuple[str, list[int]], ...]
    reference: Losses
    original: _Variant


def build(request: Request, progress: Progress) -> list[LanguageManifest]:
    """Write `<out>/bundles/<name>-<target>` for every target, and `language.json` beside them.

    raises  UsageError for a target that runs no language models, WeightsError, DataError for texts that prove nothing,
            ParityError if ONNX and torch say different things, BackendError, StoreError
    """
    _refuse_targets(request.targets)
    request.out.mkdir(parents=True, exist_ok=True)
    with disk_errors(request.out), temporary_folder(request.out) as scratch:
        model = _proven(request, scratch, progress)
        rounded = _rounded(request, model, scratch, progress)
        made = []
        for target in request.targets:
            with progress.task(f"{target.name}: measuring and writing"):
                made.append(_ship(request, target, model, rounded.get(scheme_id(target.scheme)), scratch))
        rows = [manifest.model_dump(mode="json", by_alias=True) for manifest in made]
        write_text(request.out / RESULT_FILE, _json({"perplexity_torch": model.reference.perplexity, "bundles": rows}))
    return made


def _refuse_targets(targets: Sequence[Target]) -> None:
    for target in targets:
        if not about(target.backend).runs_onnx:
            raise UsageError(
                f"--target {target.name}: language models run on ONNX Runtime; {target.backend} is not supported: "
                "choose x86-cpu, x86-avx2 or arm64-cpu"
            )
        if missing := load_backend(target.backend).missing():
            raise BackendError(f"--target {target.name}: {missing.reason}; {missing.remedy}")


def _proven(request: Request, scratch: Path, progress: Progress) -> _Model:
    with progress.task("loading the decoder"):
        loaded = load_decoder(request.folder)
        tokenizer = Tokenizer(loaded.description)
        numbered = ((f"text {number}", text) for number, text in enumerate(request.texts, 1))
        prove_equal(tokenizer, request.folder, numbered)
        texts = _encoded(tokenizer, request.texts)
        prompts = choose_prompts(request.texts, lambda text: prompt_ids(tokenizer, text, loaded.shape.context))
    if not prompts or not any(len(ids) > 1 for ids in texts):
        raise DataError("the texts have no two tokens in a row; give texts as the model is meant to write them")
    with progress.task("exporting to ONNX"):
        path = scratch / "float.onnx"
        path.write_bytes(serialize(decoder_to_onnx(loaded)))
    with progress.task("comparing ONNX and torch"):
        reference = losses(lambda ids: torch_logits(loaded, ids), texts, loaded.shape.context)
        network = OnnxDecoder(path, loaded.shape, threads=request.threads)
        found = losses(_afresh(network), texts, loaded.shape.context)
        rise = rise_percent(reference, found).value
        if not abs(rise) <= _MOST_FLOAT_RISE:
            raise ParityError(f"{request.folder}: ONNX Runtime's perplexity is {rise:+.3f} % from torch's")
        _require_equal(loaded, network, prompts)
    original = _Variant("float32", path, path, found)
    return _Model(loaded, tokenizer, tuple(texts), tuple(prompts), reference, original)


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    after, found, count = len(tokenizer.description.after), [], 0
    for text in texts:
        ids = tokenizer.encode(text)
        found.append(ids[: len(ids) - after][: MOST_TOKENS - count])
        count += len(found[-1])
        if count >= MOST_TOKENS:
            break
    return [ids for ids in found if len(ids) > 1]


def _afresh(network: OnnxDecoder) -> Logits:
    def logits(ids: Sequence[int]) -> NDArray[np.float32]:
        network.reset()
        return network.feed(ids)

    return logits


def _require_equal(loaded: Loaded, network: OnnxDecoder, prompts: Sequence[tuple[str, list[int]]]) -> None:
    """Token for token: torch without a cache, ONNX without, and ONNX with its cache."""
    for prompt, ids in prompts:
        with_cache = greedy(network, ids, loaded.shape.context)
        whole = [*ids, *with_cache[:-1]]
        network.reset()
        for name, logits in (("torch", torch_logits(loaded, whole)), ("ONNX without a cache", network.feed(whole))):
            expected = logits[len(ids) - 1 :].argmax(axis=1).tolist()
            if expected != with_cache:
                at = next(
                    place for place, pair in enumerate(zip(expected, with_cache, strict=True)) if len({*pair}) > 1
                )
                raise ParityError(
                    f"after {prompt!r}: token {at + 1} is {with_cache[at]} with the cache; {name} says {expected[at]}"
                )


def _rounded(request: Request, model: _Model, scratch: Path, progress: Progress) -> dict[str, _Variant]:
    """INT8 of every scheme that a target has, by its id."""
    schemes = {scheme_id(each.scheme): each.scheme for each in request.targets if "int8" in each.precisions}
    found = {}
    for key, scheme in schemes.items():
        with progress.task(f"INT8 {key}"):
            found[key] = _round(scheme, model, scratch / key, request.threads)
    return found


def _round(scheme: Scheme, model: _Model, folder: Path, threads: int) -> _Variant:
    folder.mkdir()
    plain = onnx.load_model(model.original.shipped)
    fold_transposes(plain)
    made, _ = to_dynamic(plain, scheme)
    shipped, exact = folder / "int8.onnx", folder / "exact.onnx"
    shipped.write_bytes(serialize(made))
    exact.write_bytes(serialize(with_unsigned_weights(made)))
    network = OnnxDecoder(exact, model.loaded.shape, threads=threads)
    return _Variant("int8", shipped, exact, losses(_afresh(network), model.texts, model.loaded.shape.context))


def _ship(request: Request, target: Target, model: _Model, rounded: _Variant | None, scratch: Path) -> LanguageManifest:
    backend, shape = load_backend(target.backend), model.loaded.shape
    variants = [model.original, *([rounded] if rounded else [])]
    elsewhere = _not_here(backend.cannot_run(target, "float32"), target)
    prompt = sorted((ids for _, ids in model.prompts), key=len)[len(model.prompts) // 2]
    taken: dict[str, Times] = {}
    if not elsewhere:
        networks: dict[str, Network] = {
            each.precision: OnnxDecoder(each.shipped, shape, threads=request.threads) for each in variants
        }
        taken = times(networks, prompt, shape.context)
    chosen, reason = _choose(model, rounded, taken, request.max_rise_percent, elsewhere)
    time, before = taken.get(chosen.precision), taken.get("float32")
    measured = LanguageMeasured(
        texts=len(model.texts),
        tokens=int(model.reference.counts.sum()),
        perplexity=chosen.found.perplexity,
        rise_percent=rise_percent(model.reference, chosen.found),
        prompt_tokens=len(prompt),
        first_token_ms=time.first_token_ms if time else None,
        ms_per_token=time.ms_per_token if time else None,
        speedup_over_float=before.ms_per_token / time.ms_per_token if before and time else None,
        threads=request.threads,
        cpu=describe().cpu or "unknown",
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    folder = scratch / target.name
    folder.mkdir()
    shutil.copyfile(chosen.shipped, folder / MODEL_FILE)
    write_description(folder / TOKENIZER, model.loaded.description)
    network = OnnxDecoder(chosen.exact, shape, threads=request.threads)
    write_golden(folder, network, model.prompts, Decoder(model.loaded.description), shape.context)
    manifest = LanguageManifest(
        schema_version=2,
        name=f"{request.name}-{target.name}",
        edgetl_version=__version__,
        target=target,
        compiled=Compiled(
            target.backend, backend.version(), chosen.precision, MODEL_FILE, (MODEL_FILE,), facts={"opset": str(OPSET)}
        ),
        scheme=scheme_id(target.scheme) if chosen is rounded else None,
        decoder=shape,
        end=model.loaded.end,
        licence=model.loaded.licence,
        tolerance=TOLERANCES["int8" if chosen is rounded else "float32"].max_diff_of_range,
        reason=reason,
        measured=measured,
        files=_entries(folder),
    )
    write_text(folder / FILE_NAME, manifest.text())
    _publish(folder, request.out / BUNDLES / manifest.name)
    return manifest


def _not_here(obstacle: Missing | None, target: Target) -> str:
    return obstacle.reason if obstacle else other_cpu(target)


def _choose(
    model: _Model, rounded: _Variant | None, taken: dict[str, Times], allowed: float, elsewhere: str
) -> tuple[_Variant, str]:
    """The variant that ships, and why."""
    if rounded is None:
        return model.original, "float: the target offers no INT8"
    rise = rise_percent(model.reference, rounded.found).value
    cost = f"INT8 raises the perplexity by {rise:.2f} %"
    if not rise <= allowed:
        return model.original, f"float: {cost}; allowed {allowed:g} %"
    if elsewhere:
        return rounded, f"INT8, for its size: {cost}; latency was not measured: {elsewhere}"
    before, after = taken["float32"].ms_per_token, taken["int8"].ms_per_token
    compared = f"{after:.3g} ms a token, {before:.3g} in float"
    if after >= before:
        return model.original, f"float: INT8 is not faster: {compared}; {cost}"
    return rounded, f"INT8: {compared}; {cost}"


def _entries(folder: Path) -> dict[str, FileEntry]:
    return {
        name: FileEntry(sha256=digest, size_bytes=(folder / name).stat().st_size)
        for name, digest in folder_digests(folder).items()
    }


def _publish(made: Path, place: Path) -> None:
    if place.exists() and not is_language(place):
        raise StoreError(f"{place}: not a language model's bundle, and one would replace it; choose another --out")
    put(made, place)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
