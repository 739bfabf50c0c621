"""The quantize stage: turns the adapted float network into one scheme's Q/DQ ONNX network."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgetl.backbones.extract import tensors_digest
from edgetl.backbones.replaceable import replaceable
from edgetl.backbones.speed import channels_last
from edgetl.files.digest import value_digest
from edgetl.fronts.base import load_front
from edgetl.fronts.views import augment_of
from edgetl.pivot.adapted import open_adapted, outputs_of
from edgetl.pivot.check import check_scheme
from edgetl.pivot.float_answers import REFERENCE_LOGITS
from edgetl.pivot.fold import fold_parts
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.parts import are_tokens
from edgetl.pivot.preprocess import on_byte_lattice
from edgetl.pivot.serialize import serialize
from edgetl.quant.bias import IMAGES, correct_biases
from edgetl.quant.calibration import BATCH, CalibrationImages
from edgetl.quant.decide import decide, judge_on
from edgetl.quant.embeddings import round_embeddings
from edgetl.quant.fakequant import ActivationQuantizer, quantizers
from edgetl.quant.imitation import imitation_for
from edgetl.quant.observe import observe, observed_places, take_ranges
from edgetl.quant.observed import Observed, Parts, write_observed
from edgetl.quant.prepare import annotated_in, convert, fix_ranges, layers_in_float, prepare_parts
from edgetl.quant.ranges import RangesCache, given_ranges, key_parts
from edgetl.quant.record import Correction, Decision, Epoch, Method, QuantizeRecord, write_quantize
from edgetl.quant.shots import Shots
from edgetl.quant.train import Views, best_epoch, train
from edgetl.quant.without_ranges import quantize_without_ranges
from edgetl.recipes.gates import Gates
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.tasks.base import Task, load_task
from edgetl.types import Scheme

REFERENCE_IMAGES = 64


def quantize_network(run: Run, adapted: Path, scheme: Scheme, gates: Gates, ranges: Path | None, out: Path) -> None:
    """Quantize the network in the folder `adapted` for the number scheme and write it into the existing folder `out`.

    gates   with the method `auto` they decide whether training is needed
    ranges  file of an earlier run whose ranges are used; with None they are observed, and a killed calibration resumes

    network.onnx           Q/DQ, input `input` float32 (N, 3, H, W) normalized, the task's outputs
    reference.safetensors  the outputs of the converted torch network and, as `float_<name>`, those of the float one on
                           the first 64 shots in order, float32 (images, ...)
    ranges.safetensors     the observed values, for `ranges` of another run
    quantize.json          the record

    raises  BackendError when the network cannot be captured or the result is not what the scheme demands;
            ParityError when folding changed the network; DataError for unreadable images or ranges; UsageError when
            `ranges` are not of this network, scheme or profile.
    """
    config, profile, policy, split = run.job.recipe.quantize, run.job.profile, augment_of(run), run.split
    task = load_task(run.job.recipe.task, run.split.heads)
    opened = open_adapted(task, adapted)
    p = opened.preprocessing
    if scheme.is_dynamic:
        quantize_without_ranges(run, opened, scheme, out)
        return
    if scheme.activation_dtype == "uint8":
        # unsigned bytes can be the quantized input themselves: train on exactly the inputs of the device
        p = on_byte_lattice(p, symmetric=scheme.activation_symmetric)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with _repeatable(config.seed, device):
        parts_to_replace = replaceable(opened.module)
        folded = fold_parts(opened.module, opened.parts, p.network_shape)
        network = folded.module
        images = CalibrationImages(split.shots, p, policy, profile, device)
        # the captured graph shares its parameters with what was captured, and training moves them
        prepared = prepare_parts(
            copy.deepcopy(network), opened.parts, p, scheme, profile, lambda: images.plain(0).cpu()
        ).to(device)
        parts = key_parts(
            network=opened.identity,
            weights=tensors_digest(network),
            samples=images.samples,
            p=p,
            profile=profile,
            policy=policy,
            scheme=scheme,
        )
        observed = _observed(run, scheme_id(scheme), prepared, images, parts, ranges)
        fix_ranges(prepared, p)
        corrections = _corrections(run, prepared, images)
        shots = Shots(split.shots, p, policy, config.seed, device)
        teacher = channels_last(copy.deepcopy(network).to(device)).requires_grad_(False)
        settled = _settle(run, task, gates, prepared, teacher, shots)
        if settled.decision:
            run.progress.note(f"{scheme_id(scheme)}: {settled.decision.sentence}")
        operators, chosen, in_float = annotated_in(prepared), _ranges(prepared), layers_in_float(prepared)
        converted = convert(prepared, p)
        model = to_onnx(converted, p.network_shape, task.outputs)
        check_scheme(model, scheme, in_float)
        if are_tokens(p.network_shape) and scheme.activation_dtype == "uint8":
            operators["embedding"] = round_embeddings(model)  # TensorRT has no integers outside of Q/DQ pairs
        quantized_outputs = _reference(converted, shots, task)
        float_outputs = _reference(folded.module.cpu(), shots, task)
    write_observed(out / "ranges.safetensors", observed)
    (out / "network.onnx").write_bytes(serialize(model))
    kept = {**quantized_outputs, **{f"float_{name}": values for name, values in float_outputs.items()}}
    save_file(kept, out / REFERENCE_LOGITS)
    record = QuantizeRecord(
        scheme=scheme_id(scheme),
        profile=profile.name,
        method=settled.method,
        decision=settled.decision,
        operators=operators,
        ranges=len(chosen),
        ranges_sha256=value_digest(chosen),
        batch_norms_folded=folded.folded,
        batch_norms_left=folded.left,
        history=settled.history,
        chosen_epoch=best_epoch(settled.history).epoch if settled.method == "qat" else 0,
        calibration_images=len(images.samples) if ranges is None else len(observed.parts["images"]),
        ranges_given=ranges is not None,
        replaceable=parts_to_replace,
        bias_corrections=tuple(corrections),
        device=device.type,
        reference_agreement=imitation_for(task.name, run.split.heads).agreement(
            tuple(quantized_outputs.values()), tuple(float_outputs.values())
        ),
    )
    write_quantize(record, out)


def _observed(
    run: Run, scheme: str, prepared: nn.Module, images: CalibrationImages, parts: Parts, ranges: Path | None
) -> Observed:
    if ranges is None:
        return observe(prepared, images, parts, RangesCache(run.store.cache / "ranges", scheme), run.progress)
    observed = given_ranges(ranges, parts, tuple(observed_places(prepared)), scheme)
    take_ranges(prepared, observed, ranges)
    return observed


def _corrections(run: Run, prepared: nn.Module, images: CalibrationImages) -> list[Correction]:
    if not run.job.recipe.quantize.bias_correction:
        return []
    with run.progress.task("quantize: correct biases"):
        batches = [images.plain(number) for number in range(min(len(images), IMAGES // BATCH))]
        return correct_biases(prepared, batches)


@dataclass(frozen=True)
class _Settled:
    """How the network was made: the method, the reason for it, the epochs of training."""

    method: Method
    decision: Decision | None
    history: tuple[Epoch, ...]


def _settle(run: Run, task: Task, gates: Gates, prepared: nn.Module, teacher: nn.Module, shots: Shots) -> _Settled:
    """Train or not, as the recipe or the validation images determine."""
    history: list[Epoch] = []
    config = run.job.recipe.quantize

    def learn() -> None:
        shots.keep()
        views = Views(len(shots), shots.plain, shots.augmented)
        history.extend(train(prepared, teacher, views, config, imitation_for(task.name, run.split.heads), run.progress))

    if config.method == "auto":
        judge = judge_on(task, run.split, teacher, shots.preprocessing, run.progress)
        decision = decide(prepared, judge, gates, learn, task.metric, load_front(run.job.recipe.front).noun)
        return _Settled(decision.method, decision, tuple(history))
    if config.method == "qat":
        learn()
        return _Settled("qat", None, tuple(history))
    return _Settled("ptq", None, ())


@torch.no_grad()
def _reference(network: nn.Module, shots: Shots, task: Task) -> dict[str, Tensor]:
    indices = range(min(REFERENCE_IMAGES, len(shots)))
    parts = [outputs_of(network(shots.plain(indices[i : i + BATCH]).cpu())) for i in range(0, len(indices), BATCH)]
    columns = zip(*parts, strict=True)
    return {name: torch.cat(column).float().contiguous() for name, column in zip(task.outputs, columns, strict=True)}


def _ranges(prepared: nn.Module) -> list[list[float]]:
    """Scale and zero point of every activation."""
    return [
        [float(part.scale), int(part.zero_point)]
        for part in quantizers(prepared)
        if isinstance(part, ActivationQuantizer)
    ]


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
