"""A decoder as ONNX: one graph for the prompt and for every token after it, with the cache as ports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from edgetl.backbones.text.causal import Decoder
from edgetl.errors import BackendError
from edgetl.pivot.from_torch import OPSET, quiet, refusal
from edgetl.pivot.serialize import clean
from edgetl.types.decoders import LOGITS, TOKENS

_EXAMPLE = 3  # of both lengths; torch.export would take 0 and 1 for constants
MOST_BYTES = 2_000_000_000
"""Of one ONNX file, which holds its weights."""


def decoder_to_onnx(decoder: Decoder) -> onnx.ModelProto:
    """Opset 21, float, with the ports of `DecoderShape`.

    raises  BackendError when the exporter refuses it, or it does not fit into one file
    """
    size = sum(each.numel() * 4 for each in decoder.network.parameters())
    if size > MOST_BYTES:
        raise BackendError(
            f"the decoder has {size / 1e9:.1f} GB of float weights; expected at most {MOST_BYTES / 1e9:g}"
        )
    shape = decoder.shape
    past = [torch.zeros(1, shape.heads, _EXAMPLE, shape.size) for _ in shape.past()]
    length, before = (torch.export.Dim(name, min=2, max=shape.context) for name in ("length", "before"))
    shapes = ({1: length}, [{2: before} for _ in past])
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                decoder.network,
                (torch.zeros(1, _EXAMPLE + 1, dtype=torch.int64), past),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=shapes,
                input_names=[TOKENS, *shape.past()],
                output_names=[LOGITS, *shape.present()],
                verbose=False,
            )
    except Exception as error:
        raise BackendError(refusal("the ONNX exporter", decoder.network.network, error)) from error
    assert program is not None
    return clean(program.model_proto)


def torch_logits(decoder: Decoder, ids: Sequence[int]) -> NDArray[np.float32]:
    """float32 (T, V) of the torch network for a whole text, without a cache."""
    with torch.no_grad():
        found = decoder.network.network(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0]
    logits: NDArray[np.float32] = found.numpy()
    return logits
