"""Prepares a folded float network with rounding modules, freezes its ranges, and converts it to Q/DQ operators."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.fx import GraphModule
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e

from edgetl.backbones.memory_format import channels_last
from edgetl.errors import BackendError
from edgetl.pivot.from_torch import capture
from edgetl.quant.fakequant import quantizers
from edgetl.quant.input_rounding import input_parameters
from edgetl.quant.quantizer import SchemeQuantizer, biased_layers, input_quantizer
from edgetl.types import CalibrationProfile, Preprocessing, Scheme


def prepare(folded: nn.Module, p: Preprocessing, scheme: Scheme, profile: CalibrationProfile) -> GraphModule:
    """Put rounding modules, not yet rounding, on the edges that `scheme` names.

    folded  float32 (N, 3, H, W) -> (N, classes), batch norms folded, on the CPU
    raises  BackendError when nothing in the network can be quantized.
    """
    quantizer = SchemeQuantizer(scheme, profile)
    graph = capture(folded, p.height, p.width)
    with _without_warnings():
        prepared: GraphModule = prepare_qat_pt2e(graph, quantizer)
    if not quantizer.annotated:
        raise BackendError(
            f"{type(folded).__name__}: none of its operators is among the scheme's ({', '.join(scheme.operators)}); "
            "use quantize.method: none or choose another backbone"
        )
    prepared.meta["annotated"] = dict(sorted(quantizer.annotated.items()))
    return channels_last(prepared)


@torch.no_grad()
def fix_ranges(prepared: GraphModule, p: Preprocessing) -> None:
    """Take all activation ranges from the observations, and the input's range from its byte values, and round."""
    for part in quantizers(prepared):
        part.freeze()
    first = input_quantizer(prepared)
    if first is not None:
        first.fix(*input_parameters(p, first.integers))
    keep_biases_in_range(prepared)


def keep_biases_in_range(prepared: GraphModule) -> None:
    """Widen weight scales if a bias would not fit int32; needed again after biases change."""
    for layer in biased_layers(prepared):
        layer.weight.keep_bias_in_range(layer.bias, float(layer.source.scale))


@torch.no_grad()
def convert(prepared: GraphModule, p: Preprocessing) -> GraphModule:
    """Replace the rounding modules by Q/DQ operators and the weights by int8. Moves `prepared` to the CPU."""
    prepared = prepared.cpu().to(memory_format=torch.contiguous_format)
    keep_biases_in_range(prepared)
    prepared(torch.zeros(2, 3, p.height, p.width))  # weight scales follow the weights at each call
    with _without_warnings():
        converted: GraphModule = convert_pt2e(prepared)
    return converted


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
