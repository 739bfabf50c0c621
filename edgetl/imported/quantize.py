"""The quantize stage of an imported network: calibrated on the shots, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgetl.errors import BackendError
from edgetl.files.digest import value_digest
from edgetl.fronts.batches import batches
from edgetl.fronts.image.normalize import normalize
from edgetl.imported.bias import IMAGES, correct_biases
from edgetl.imported.network import read_network
from edgetl.imported.normal_form import NETWORK_INPUT
from edgetl.imported.pairs import with_pairs
from edgetl.imported.place import place, results_of_silu
from edgetl.imported.ranges import in_order, observe
from edgetl.imported.record import read_imported
from edgetl.imported.wide import IMAGES as WIDE_IMAGES
from edgetl.imported.wide import too_wide
from edgetl.pivot.check import check_scheme
from edgetl.pivot.float_answers import REFERENCE_LOGITS
from edgetl.pivot.literal import open_literal
from edgetl.pivot.preprocess import on_byte_lattice
from edgetl.pivot.rewrite import split_float_biases
from edgetl.pivot.serialize import clean, serialize
from edgetl.quant.draw import draw_samples
from edgetl.quant.record import QuantizeRecord, write_quantize
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.types import ImagePreprocessing, Sample, Scheme, as_image
from edgetl.types.findings import Replaceable

REFERENCE_IMAGES = 64
_FEW = 4  # images whose values are all in memory


def quantize_imported(run: Run, imported: Path, scheme: Scheme, out: Path) -> None:
    """Write what `edgetl.quant.quantize.quantize_network` writes, except ranges.safetensors, for the network that the
    import stage left in `imported`.

    Ranges are observed on the shots as they are, without augmented views. Raises BackendError if nothing in the
    network can be quantized, ParityError for values that are not finite.
    """
    record, profile, split = read_imported(imported), run.job.profile, run.split
    exact = read_network(imported)
    p = record.preprocessing
    lattice = p
    if scheme.activation_dtype == "uint8":
        # unsigned bytes can be the quantized input themselves: calibrate on exactly the inputs of the device
        lattice = as_image(on_byte_lattice(p, symmetric=scheme.activation_symmetric))
    samples = draw_samples(split.shots, profile)
    wide = too_wide(exact, results_of_silu(exact, scheme), _normal(samples[:WIDE_IMAGES], lattice, _FEW))
    placement = place(exact, scheme, wide)
    if not placement.counts:
        raise BackendError(
            f"{record.file}: none of its operators is among the scheme's ({', '.join(scheme.operators)}); use "
            "quantize.method: none"
        )
    with run.progress.task("quantize: observe ranges", total=len(samples)) as advance:

        def watched() -> Iterator[NDArray[np.float32]]:
            for batch in _normal(samples, lattice, _FEW):
                yield batch
                advance(len(batch))

        parameters = observe(exact, placement, watched(), scheme, profile, lattice)
    model = with_pairs(exact, placement, parameters, scheme)
    corrections = []
    if run.job.recipe.quantize.bias_correction:
        with run.progress.task("quantize: correct biases"):
            few = np.concatenate(list(_normal(samples[:IMAGES], lattice, IMAGES)))
            corrections = correct_biases(model, exact, placement, few)
    split_float_biases(model)
    model = clean(model)
    check_scheme(model, scheme)
    quantized, floats = (_outputs(each, split.shots[:REFERENCE_IMAGES], lattice) for each in (model, exact))
    (out / "network.onnx").write_bytes(serialize(model))
    save_file({"logits": quantized, "float_logits": floats}, out / REFERENCE_LOGITS)
    chosen = in_order(parameters, list(placement.readers))
    write_quantize(
        QuantizeRecord(
            scheme=scheme_id(scheme),
            profile=profile.name,
            method="ptq",
            decision=None,
            operators=placement.counts,
            ranges=len(chosen),
            ranges_sha256=value_digest(chosen),
            batch_norms_folded=record.norms_folded,
            batch_norms_left=record.norms_left,
            history=(),
            chosen_epoch=0,
            calibration_images=len(samples),
            ranges_given=False,
            replaceable=Replaceable(),
            bias_corrections=tuple(corrections),
            device="cpu",
            reference_agreement=float(np.mean(quantized.argmax(1) == floats.argmax(1))),
        ),
        out,
    )


def _normal(samples: tuple[Sample, ...], p: ImagePreprocessing, size: int) -> Iterator[NDArray[np.float32]]:
    return (normalize(batch, p) for batch in batches(samples, p, size))


def _outputs(model: onnx.ModelProto, samples: tuple[Sample, ...], p: ImagePreprocessing) -> NDArray[np.float32]:
    session = open_literal(serialize(model))
    found = [session.run(None, {NETWORK_INPUT: batch})[0] for batch in _normal(samples, p, _FEW)]
    return np.concatenate(found)
