"""Prepares a folded float network with rounding modules, freezes its ranges, and converts it to Q/DQ operators."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e

from edgetl.backbones.speed import channels_last
from edgetl.errors import BackendError
from edgetl.pivot.from_torch import capture_part
from edgetl.pivot.parts import WHOLE, Inputs, inputs_of, two_examples, with_parts
from edgetl.quant.fakequant import ActivationQuantizer, quantizers
from edgetl.quant.input_rounding import input_parameters
from edgetl.quant.quantizer import SchemeQuantizer, before_silu, biased_layers, input_quantizer
from edgetl.quant.wide import too_wide
from edgetl.types import CalibrationProfile, ImagePreprocessing, Preprocessing, Scheme

Look = Callable[[], Tensor]


def prepare(
    folded: nn.Module, p: Preprocessing, scheme: Scheme, profile: CalibrationProfile, look: Look | None = None
) -> GraphModule:
    """Put rounding modules, not yet rounding, on the edges that `scheme` names.

    folded  float32 (N, 3, H, W) -> a tensor or several, batch norms folded, on the CPU
    look    gives a few normalized images, on which values are found that must not be rounded
    raises  BackendError when nothing in the network can be quantized.
    """
    return _prepare(folded, (_example(p),), scheme, profile, None if look is None else lambda: (look(),))


def prepare_parts(
    folded: nn.Module, parts: Sequence[str], p: Preprocessing, scheme: Scheme, profile: CalibrationProfile, look: Look
) -> nn.Module:
    """`prepare` for each part of a network, in place; what is around them stays as it is."""
    if tuple(parts) == WHOLE:
        return prepare(folded, p, scheme, profile, look)
    examples = inputs_of(folded, parts, _example(p))
    prepared = {
        name: _prepare(
            folded.get_submodule(name),
            given,
            scheme,
            profile,
            partial(_seen, folded, name, look),
        )
        for name, given in examples.items()
    }
    return with_parts(folded, prepared)


def _seen(folded: nn.Module, part: str, look: Look) -> Inputs:
    return inputs_of(folded, (part,), look())[part]


def _example(p: Preprocessing) -> Tensor:
    return two_examples(p.network_shape)


def graphs_of(prepared: nn.Module) -> list[GraphModule]:
    """The captured graphs of a prepared network, one for each part, in their order."""
    return [part for part in prepared.modules() if isinstance(part, GraphModule)]


def annotated_in(prepared: nn.Module) -> dict[str, int]:
    """How many operators of each kind got rounding modules."""
    counts: Counter[str] = Counter()
    for graph in graphs_of(prepared):
        counts.update(graph.meta["annotated"])
    return dict(sorted(counts.items()))


def layers_in_float(prepared: nn.Module) -> int:
    """How many layers of the scheme's kinds stay float, because what they read is too wide for one scale."""
    return sum(graph.meta["in_float"] for graph in graphs_of(prepared))


def _prepare(
    folded: nn.Module,
    example: Inputs,
    scheme: Scheme,
    profile: CalibrationProfile,
    look: Callable[[], Inputs] | None,
) -> GraphModule:
    graph = capture_part(folded, example)
    quantizer = SchemeQuantizer(scheme, profile, frozenset() if look is None else too_wide(graph, look))
    with _without_warnings():
        prepared: GraphModule = prepare_qat_pt2e(graph, quantizer)
    if not quantizer.annotated:
        raise BackendError(
            f"{type(folded).__name__}: none of its operators is among the scheme's ({', '.join(scheme.operators)}); "
            "use quantize.method: none or choose another backbone"
        )
    prepared.meta["annotated"] = dict(sorted(quantizer.annotated.items()))
    prepared.meta["in_float"] = quantizer.in_float
    return channels_last(prepared)


@torch.no_grad()
def fix_ranges(prepared: nn.Module, p: Preprocessing) -> None:
    """Take all activation ranges from the observations, and an image's range from its byte values, and round."""
    smooth = {part for graph in graphs_of(prepared) for part in before_silu(graph)}
    for part in quantizers(prepared):
        if isinstance(part, ActivationQuantizer):
            part.freeze(before_silu=part in smooth)
        else:
            part.freeze()
    first = input_quantizer(graphs_of(prepared)[0])
    if first is not None and isinstance(p, ImagePreprocessing):
        first.fix(*input_parameters(p, first.integers))
    keep_biases_in_range(prepared)


def keep_biases_in_range(prepared: nn.Module) -> None:
    """Widen weight scales if a bias would not fit int32; needed again after biases change."""
    for layer in (layer for graph in graphs_of(prepared) for layer in biased_layers(graph)):
        layer.weight.keep_bias_in_range(layer.bias, float(layer.source.scale))


@torch.no_grad()
def convert(prepared: nn.Module, p: Preprocessing) -> nn.Module:
    """Replace the rounding modules by Q/DQ operators and the weights by int8. Moves `prepared` to the CPU."""
    prepared = prepared.cpu().to(memory_format=torch.contiguous_format)
    keep_biases_in_range(prepared)
    prepared(_example(p))  # weight scales follow the weights at each call
    places = {name: part for name, part in prepared.named_modules() if isinstance(part, GraphModule)}
    with _without_warnings():
        return with_parts(prepared, {name: convert_pt2e(part) for name, part in places.items()})


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
