"""The quantize stage: turns the adapted float network into one scheme's Q/DQ ONNX network."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.fx import GraphModule

from edgetl.backbones.extract import tensors_digest
from edgetl.backbones.load import rebuild
from edgetl.backbones.memory_format import channels_last
from edgetl.backbones.replaceable import replaceable
from edgetl.backbones.spec import read_spec
from edgetl.files.digest import value_digest
from edgetl.pivot.check import check_scheme
from edgetl.pivot.clean import serialize
from edgetl.pivot.equalized import mark_equalized
from edgetl.pivot.fold import Folded, fold
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.preprocess import on_byte_lattice
from edgetl.quant.bias import IMAGES, Correction, correct_biases
from edgetl.quant.calibration import BATCH, CalibrationImages
from edgetl.quant.decide import Decision, Method, decide, judge_on
from edgetl.quant.equalize import equalize
from edgetl.quant.fakequant import ActivationQuantizer, quantizers
from edgetl.quant.observe import observe, observed_places, take_ranges
from edgetl.quant.observed import Observed, Parts, write_observed
from edgetl.quant.prepare import convert, fix_ranges, prepare
from edgetl.quant.ranges import RangesCache, given_ranges
from edgetl.quant.ranges_key import key_parts
from edgetl.quant.shots import Shots
from edgetl.quant.train import Epoch, Views, best_epoch, history_record, train
from edgetl.recipes.recipe import Gates, Quantize
from edgetl.recipes.targets import scheme_id
from edgetl.store.records import NETWORK_SPEC, NETWORK_STATE, QUANTIZE_RECORD, RUN_RECORD
from edgetl.types import CalibrationProfile, Progress, Scheme, Split

REFERENCE_IMAGES = 64
_BATCH = 16


@dataclass(frozen=True)
class QuantizeJob:
    """The inputs of the stage.

    adapted  folder of the adapt stage
    gates    with the method `auto` they determine whether training is needed
    augment  a policy of `Augment`
    cache    folder in which observed ranges are kept, so that a killed calibration continues
    ranges   file of an earlier run whose ranges are used instead of observing
    """

    split: Split
    adapted: Path
    scheme: Scheme
    profile: CalibrationProfile
    config: Quantize
    gates: Gates
    augment: str
    cache: Path | None = None
    ranges: Path | None = None


def run(job: QuantizeJob, out: Path, progress: Progress) -> None:
    """Quantize the network in `job.adapted` and write it into the existing folder `out`.

    network.onnx           Q/DQ, input `input` float32 (N, 3, H, W) normalized, output `logits`
    reference.safetensors  `logits` of the converted torch network and `float_logits` of the float one on the first
                           64 shots in order, float32 (images, classes)
    ranges.safetensors     what the observers saw, for `ranges` of another run
    run.json               the seconds it took
    quantize.json          how it went; no loss (null) stands for an epoch of training that diverged

    raises  BackendError when the network cannot be captured or the result is not what the scheme demands;
            ParityError when folding changed the network; DataError for unreadable images or ranges; UsageError when
            `ranges` are not of this network, scheme or profile.
    """
    started = time.monotonic()
    config, scheme, split = job.config, job.scheme, job.split
    spec = read_spec(job.adapted / NETWORK_SPEC)
    p = spec.preprocessing
    if scheme.activation_dtype == "uint8":
        # unsigned bytes can be the quantized input themselves: train on exactly the inputs of the device
        p = on_byte_lattice(p, symmetric=scheme.activation_symmetric)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with _repeatable(config.seed, device):
        rebuilt = rebuild(spec, job.adapted / NETWORK_STATE)
        parts_to_replace = replaceable(rebuilt)
        folded = fold(rebuilt, p.height, p.width)
        equalized = equalize(folded.module, p.height, p.width) if config.equalize else None
        network = equalized.module if equalized else folded.module
        # the captured graph shares its parameters with what was captured, and training moves them
        prepared = prepare(copy.deepcopy(network), p, scheme, job.profile).to(device)
        images = CalibrationImages(split.shots, p, job.augment, job.profile, device)
        parts = key_parts(
            network=spec,
            weights=tensors_digest(network),
            samples=images.samples,
            p=p,
            profile=job.profile,
            policy=job.augment,
            scheme=scheme,
        )
        observed = _observed(prepared, images, parts, job, progress)
        fix_ranges(prepared, p)
        corrections = _corrections(prepared, images, config, progress)
        shots = Shots(split.shots, p, job.augment, config.seed, device)
        teacher = channels_last(copy.deepcopy(network).to(device)).requires_grad_(False)
        settled = _settle(prepared, teacher, shots, job, progress)
        converted = convert(prepared, p)
        model = to_onnx(converted, p.height, p.width)
        if equalized:
            mark_equalized(model, equalized.places, equalized.convolutions)
        check_scheme(model, scheme)
        logits = _reference(converted, shots)
        float_logits = _reference(folded.module.cpu(), shots)
    write_observed(out / "ranges.safetensors", observed)
    (out / "network.onnx").write_bytes(serialize(model))
    save_file({"logits": logits, "float_logits": float_logits}, out / "reference.safetensors")
    record = _record(prepared, folded, settled, job) | {
        "calibration_images": len(images.samples) if job.ranges is None else len(observed.parts["images"]),
        "ranges_given": job.ranges is not None,
        "equalized_pairs": equalized.pairs if equalized else 0,
        "replaceable": asdict(parts_to_replace),
        "bias_corrections": [asdict(correction) for correction in corrections],
        "device": device.type,
        "reference_agreement": float((logits.argmax(1) == float_logits.argmax(1)).float().mean()),
    }
    (out / QUANTIZE_RECORD).write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    took = {"seconds": round(time.monotonic() - started, 1)}
    (out / RUN_RECORD).write_text(json.dumps(took) + "\n", encoding="utf-8")


def _observed(
    prepared: GraphModule,
    images: CalibrationImages,
    parts: Parts,
    job: QuantizeJob,
    progress: Progress,
) -> Observed:
    scheme = scheme_id(job.scheme)
    if job.ranges is None:
        kept = RangesCache(job.cache, scheme) if job.cache else None
        return observe(prepared, images, parts, kept, progress)
    observed = given_ranges(job.ranges, parts, tuple(observed_places(prepared)), scheme)
    take_ranges(prepared, observed, job.ranges)
    return observed


def _corrections(
    prepared: GraphModule, images: CalibrationImages, config: Quantize, progress: Progress
) -> list[Correction]:
    if not config.bias_correction:
        return []
    with progress.task("quantize: correct biases"):
        batches = [images.plain(number) for number in range(min(len(images), IMAGES // BATCH))]
        return correct_biases(prepared, batches)


@dataclass(frozen=True)
class _Settled:
    """How the network was made: the method, the reason for it, the epochs of training."""

    method: Method
    decision: Decision | None
    history: tuple[Epoch, ...]


def _settle(prepared: GraphModule, teacher: nn.Module, shots: Shots, job: QuantizeJob, progress: Progress) -> _Settled:
    """Train or not, as the recipe or the validation images determine."""
    history: list[Epoch] = []

    def learn() -> None:
        shots.keep()
        views = Views(len(shots), shots.plain, shots.augmented)
        history.extend(train(prepared, teacher, views, job.config, progress))

    if job.config.method == "auto":
        judge = judge_on(job.split.val, job.split.classes, teacher, shots.preprocessing, progress)
        decision = decide(prepared, judge, job.gates, learn)
        progress.note(f"{scheme_id(job.scheme)}: {decision.sentence}")
        return _Settled(decision.method, decision, tuple(history))
    if job.config.method == "qat":
        learn()
        return _Settled("qat", None, tuple(history))
    return _Settled("ptq", None, ())


@torch.no_grad()
def _reference(network: nn.Module, shots: Shots) -> Tensor:
    indices = range(min(REFERENCE_IMAGES, len(shots)))
    parts = [network(shots.plain(indices[i : i + _BATCH]).cpu()) for i in range(0, len(indices), _BATCH)]
    return torch.cat(parts).float().contiguous()


def _record(prepared: GraphModule, folded: Folded, settled: _Settled, job: QuantizeJob) -> dict[str, Any]:
    ranges = [
        [float(part.scale), int(part.zero_point)]
        for part in quantizers(prepared)
        if isinstance(part, ActivationQuantizer)
    ]
    return {
        "schema": 1,
        "scheme": scheme_id(job.scheme),
        "profile": job.profile.name,
        "method": settled.method,
        "decision": asdict(settled.decision) if settled.decision else None,
        "operators": prepared.meta["annotated"],
        "ranges": len(ranges),
        "ranges_sha256": value_digest(ranges),
        "batch_norms_folded": folded.folded,
        "batch_norms_left": folded.left,
        "history": history_record(settled.history),
        "chosen_epoch": best_epoch(settled.history).epoch if settled.method == "qat" else 0,
    }


@contextmanager
def _repeatable(seed: int, device: torch.device) -> Iterator[None]:
    # cuBLAS is only deterministic with a fixed workspace
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
