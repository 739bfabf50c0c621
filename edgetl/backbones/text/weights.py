"""Tensors of a published checkpoint under the names of edgetl's text networks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from edgetl.backbones.audit import load_audited
from edgetl.backbones.fitting import fit
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.errors import WeightsError
from edgetl.files.file_kind import describe
from edgetl.types.findings import Audit

# what older checkpoints store although it is computed: positions, causal masks, angles
COMPUTED = re.compile(r"(^|\.)(position_ids|token_type_ids|attn\.bias|attn\.masked_bias|inv_freq)$")
# heads of pretraining, beside an encoder without a prefix
_HEADS = (
    "pooler.",
    "cls.",
    "lm_head.",
    "classifier.",
    "score.",
    "qa_outputs.",
    "vocab_",
    "discriminator_",
    "generator_",
)
_TRANSPOSED = ("gpt2", "openai-gpt")
_MATRIX = re.compile(r"\.c_(attn|proj|fc)\.weight$")
_ENCODER = "encoder."
_NO_HEAD = " "  # an encoder has no classifier


def require_safetensors(path: Path) -> None:
    """Raise WeightsError for another kind of file: networks for texts are never read from pickled ones."""
    if path.suffix != ".safetensors" or describe(path).kind not in ("safetensors", "unknown"):
        raise WeightsError(
            f"{path}: expected model.safetensors; convert the checkpoint once, with "
            "`AutoModel.from_pretrained(...).save_pretrained(..., safe_serialization=True)`"
        )


def fill_encoder(network: nn.Module, sets: Sequence[TensorSet], head: str, where: str, name: str) -> Audit:
    """Fill everything except the classifier `head` from a checkpoint of the encoder, whatever prefix and heads it has.

    Raises WeightsError, and changes nothing, for a tensor that is missing, unexpected or of another shape.
    """
    encoder = network.get_submodule("encoder")
    fitted = fit(encoder, [replace(each, tensors=today(each.tensors, name)) for each in sets], _NO_HEAD, where)
    tensors = {_ENCODER + inner: tensor for inner, tensor in fitted.tensors.items() if not COMPUTED.search(inner)}
    droppable = [_ENCODER + prefix for prefix in _HEADS]
    audit = load_audited(network, tensors, head=head, droppable=droppable, where=where, name=name)
    computed = [inner for inner in fitted.tensors if COMPUTED.search(inner)]
    dropped = {*(inner.removeprefix(_ENCODER) for inner in audit.dropped), *fitted.outside, *computed}
    return replace(audit, dropped=tuple(sorted(dropped)), notes=fitted.notes)


def today(tensors: Mapping[str, Tensor], architecture: str) -> dict[str, Tensor]:
    """Names of layer norms before 2020 become those of today; GPT-2's matrices, stored the other way round, turn."""
    turned = architecture in _TRANSPOSED
    return {
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): (
            tensor.T.contiguous() if turned and _MATRIX.search(name) and tensor.ndim == 2 else tensor
        )
        for name, tensor in tensors.items()
    }
