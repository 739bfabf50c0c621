"""The export stage: writes the pivot folder that every backend compiles from, proven equal to the torch networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from safetensors.numpy import save_file
from torch import nn

from edgetl.fronts.batches import batches
from edgetl.fronts.text.load import carry
from edgetl.pivot import golden
from edgetl.pivot.adapted import open_adapted
from edgetl.pivot.float_answers import REFERENCE_LOGITS, stored_answers
from edgetl.pivot.fold import fold_parts
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.golden import add_outputs
from edgetl.pivot.half import to_float16
from edgetl.pivot.pivot import GOLDEN_DIR, Pivot, write_pivot
from edgetl.pivot.prove import PARITY_IMAGES, Expected, Made, Proof, prove, prove_int8, range_on_shots, true_labels
from edgetl.pivot.reference import float_answers, outputs_in_batches
from edgetl.recipes.job import wants_float16
from edgetl.recipes.run import Run
from edgetl.tasks.base import load_task


def export_pivot(run: Run, adapted: Path, quantized: Mapping[str, Path], out: Path, known: Path | None = None) -> None:
    """Write the pivot folder of the network in `adapted` into the existing folder `out`.

    If a target has float16 builds, it gets a float16 model too, unless the network's values on the shots come too close
    to float16's largest.

    quantized  scheme id -> folder of the quantize stage; may be empty
    known      folder in which `edgetl.pivot.reference` left the float network's answers on the validation images
    raises     ParityError if an exported model differs from its torch network on real images; BackendError if the
               exporter refuses the network; DataError for unreadable images.
    """
    split, progress, task = run.split, run.progress, load_task(run.job.recipe.task, run.split.heads)
    opened = open_adapted(task, adapted)
    p = opened.preprocessing
    network = fold_parts(opened.module, opened.parts, p.network_shape).module
    carry(p, out)
    vectors, pictures = golden.write_examples(golden.choose(split.val), p, out / GOLDEN_DIR)
    reference = stored_answers(known, task.kept) if known else float_answers(task, network, split.val, p, progress)
    save_file({task.kept: reference, **true_labels(split)}, out / REFERENCE_LOGITS)
    shots = split.shots[:PARITY_IMAGES]
    answers = float_answers(task, network, shots, p, progress) if opened.settings else None
    export = Proof(task, split, p, vectors, out, opened.settings, answers)
    few = split.val[:PARITY_IMAGES]
    # answers of a classifier are its outputs
    outputs = (
        outputs_in_batches(task, network, batches(few, p), p) if task.in_image else {task.kept: reference[: len(few)]}
    )
    expected = Expected(few, outputs)
    with progress.task("export: prove", 1 + len(quantized)) as advance:
        plain = to_onnx(network, p.network_shape, task.outputs)
        made = [_export_float(export, plain, network, expected)]
        half_range = range_on_shots(export, made[0].model.file) if wants_float16(run.job) else None
        if half_range is not None and half_range.fits:
            # the pixels are normalized in float32: they are exact there, and it costs nothing
            made.append(prove(export, export.attach(to_float16(plain)), "float16", expected))
        advance()
        for identity, folder in quantized.items():
            made.append(prove_int8(export, identity, folder))
            advance()
    add_outputs(out / GOLDEN_DIR, {Path(item.model.file).stem: item.golden for item in made})
    write_pivot(
        out,
        Pivot(
            labels=split.classes,
            heads=split.heads,
            preprocessing=p,
            models=tuple(item.model for item in made),
            golden_files=pictures,
            half_range=half_range,
            source=opened.source,
            licence=opened.licence,
            task=task.name,
            postprocess=opened.settings,
            digests={},
        ),
    )


def _export_float(export: Proof, plain: onnx.ModelProto, network: nn.Module, expected: Expected) -> Made:
    made = prove(export, export.attach(plain), "float32", expected)
    return Made(made.model, outputs_in_batches(export.task, network, export.vectors, export.preprocessing))
