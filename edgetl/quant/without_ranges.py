"""The quantize stage of a dynamic scheme: there is nothing to observe, and nothing to train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgetl.backbones.examples import as_exported
from edgetl.files.digest import value_digest
from edgetl.fronts.batches import batches
from edgetl.pivot.adapted import Adapted
from edgetl.pivot.float_answers import REFERENCE_LOGITS
from edgetl.pivot.fold import fold_parts
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.literal import joined, open_literal
from edgetl.pivot.reference import outputs_in_batches
from edgetl.pivot.serialize import serialize
from edgetl.quant.dynamic import to_dynamic
from edgetl.quant.imitation import imitation_for
from edgetl.quant.record import QuantizeRecord, write_quantize
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.tasks.base import Outputs, Task, load_task
from edgetl.types import Preprocessing, Scheme
from edgetl.types.findings import Replaceable

REFERENCE_TEXTS = 64


def quantize_without_ranges(run: Run, opened: Adapted, scheme: Scheme, out: Path) -> None:
    """Write what `quantize_network` writes, except ranges.safetensors.

    There is no torch network in such numbers, so the outputs are those of the ONNX network, computed node by node, text
    by text as on the device.
    """
    task, p = load_task(run.job.recipe.task, run.split.heads), opened.preprocessing
    folded = fold_parts(opened.module, opened.parts, p.network_shape)
    model, operators = to_dynamic(to_onnx(folded.module, p.network_shape, task.outputs), scheme)
    texts = list(batches(run.split.shots[:REFERENCE_TEXTS], p))
    rounded, exact = _outputs(task, model, texts, p), outputs_in_batches(task, folded.module, texts, p)
    (out / "network.onnx").write_bytes(serialize(model))
    save_file({**rounded, **{f"float_{name}": values for name, values in exact.items()}}, out / REFERENCE_LOGITS)
    tensors = [tuple(torch.from_numpy(values) for values in found.values()) for found in (rounded, exact)]
    record = QuantizeRecord(
        scheme=scheme_id(scheme),
        profile=run.job.profile.name,
        method="ptq",
        decision=None,
        operators=operators,
        ranges=0,
        ranges_sha256=value_digest([]),
        batch_norms_folded=folded.folded,
        batch_norms_left=folded.left,
        history=(),
        chosen_epoch=0,
        calibration_images=0,
        ranges_given=False,
        replaceable=Replaceable(),
        bias_corrections=(),
        device="cpu",
        reference_agreement=imitation_for(task.name, run.split.heads).agreement(*tensors),
    )
    write_quantize(record, out)


def _outputs(task: Task, model: onnx.ModelProto, texts: Sequence[NDArray[Any]], p: Preprocessing) -> Outputs:
    session = open_literal(serialize(model))
    (given,) = session.get_inputs()
    found = [session.run(list(task.outputs), {given.name: as_exported(text, p).numpy()}) for text in texts]
    return {name: np.ascontiguousarray(values) for name, values in joined(task.outputs, found).items()}
