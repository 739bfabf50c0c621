"""The export stage of an imported network: the pivot, proven equal to the user's file on real images, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgetl.fronts.batches import batches
from edgetl.imported.network import normalization_of, path_of, read_network
from edgetl.imported.original import Original
from edgetl.imported.read import open_network
from edgetl.imported.record import Imported, read_imported
from edgetl.pivot import golden
from edgetl.pivot.float_answers import FILE_NAME, REFERENCE_LOGITS, stored_answers
from edgetl.pivot.half import to_float16
from edgetl.pivot.pivot import GOLDEN_DIR, Pivot, write_pivot
from edgetl.pivot.prove import PARITY_IMAGES, Expected, Made, Proof, prove, prove_int8, range_on_shots, true_labels
from edgetl.recipes.job import wants_float16
from edgetl.recipes.run import Run
from edgetl.tasks.base import load_task

Logits = NDArray[np.float32]


def write_float_answers(run: Run, imported: Path, out: Path) -> None:
    """Write the scores of the user's network on all validation images, in order, into the folder `out`."""
    save_file({load_task(run.job.recipe.task).kept: _answers(run, read_imported(imported))}, out / FILE_NAME)


def export_imported(
    run: Run, imported: Path, quantized: Mapping[str, Path], out: Path, known: Path | None = None
) -> None:
    """Write the pivot folder, as `edgetl.pivot.export.export_pivot` does, for the network in `imported`.

    What a trained network is there, the user's file is here: the float model must give its scores.
    """
    split, progress, task = run.split, run.progress, load_task(run.job.recipe.task)
    record, plain = read_imported(imported), read_network(imported)
    p = record.preprocessing
    vectors, pictures = golden.write_examples(golden.choose(split.val), p, out / GOLDEN_DIR)
    reference = stored_answers(known, task.kept) if known else _answers(run, record)
    save_file({task.kept: reference, **true_labels(split)}, out / REFERENCE_LOGITS)
    proof = Proof(task, split, p, vectors, out, None, None)
    few = split.val[:PARITY_IMAGES]
    expected = Expected(few, {task.kept: reference[: len(few)]})
    with progress.task("export: prove", 1 + len(quantized)) as advance:
        made: list[Made] = [prove(proof, proof.attach(plain), "float32", expected)]
        half_range = range_on_shots(proof, made[0].model.file) if wants_float16(run.job) else None
        if half_range is not None and half_range.fits:
            made.append(prove(proof, proof.attach(to_float16(plain)), "float16", expected))
        advance()
        for identity, folder in quantized.items():
            made.append(prove_int8(proof, identity, folder))
            advance()
    golden.add_outputs(out / GOLDEN_DIR, {Path(item.model.file).stem: item.golden for item in made})
    write_pivot(
        out,
        Pivot(
            labels=split.classes,
            preprocessing=p,
            models=tuple(item.model for item in made),
            golden_files=pictures,
            half_range=half_range,
            source=f"{record.file}, sha256 {record.sha256}",
            digests={},
        ),
    )


def _answers(run: Run, record: Imported) -> Logits:
    """Logits of the user's file on the validation images."""
    settings = run.job.recipe.network
    assert settings is not None
    opened = open_network(path_of(run), settings)
    network, how = Original(opened), normalization_of(opened, settings)
    found = []
    with run.progress.task("float network on the validation images", len(run.split.val)) as advance:
        for batch in batches(run.split.val, record.preprocessing):
            found.append(network.scores(batch, how).reshape(len(batch), -1))
            advance(len(batch))
    return np.concatenate(found)
