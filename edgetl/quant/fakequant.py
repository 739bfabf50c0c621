"""The modules that torchao puts on the edges of a captured graph: observe first, round afterwards.

Activations keep the range they were calibrated with; weights are rounded to the range they have at that moment.
Rounding passes gradients straight through inside the range (Bengio et al. 2013, arXiv:1308.3432).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchao.quantization.pt2e import FakeQuantizeBase

from edgetl.quant.observers import IntegerType, ObserverName, choose_range, make_observer

_SMALLEST_WEIGHT_SCALE = 1e-9
_PAIR_LIMIT = 128 - 1e-3  # 255 x 128 fits int16; the rest is for what float32 divisions round


class ActivationQuantizer(FakeQuantizeBase):  # type: ignore[misc]
    """One scale per tensor. Passes values through and observes them until `freeze`, rounds them afterwards."""

    def __init__(
        self,
        *,
        observer: ObserverName,
        percentile: float,
        dtype: torch.dtype,
        quant_min: int,
        quant_max: int,
        qscheme: torch.qscheme,
        is_dynamic: bool = False,
    ) -> None:
        super().__init__()
        self.dtype, self.qscheme, self.is_dynamic = dtype, qscheme, is_dynamic
        self.quant_min, self.quant_max = quant_min, quant_max
        self.integers = IntegerType(quant_min, quant_max, qscheme == torch.per_tensor_symmetric)
        self.rule, self.percentile = observer, percentile
        self.observer = make_observer(observer)
        self.frozen = False
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.int32))

    def freeze(self) -> None:
        """Take the range from what was observed and round from now on."""
        scale, zero_point = self.integers.parameters(
            choose_range(self.observer, self.rule, self.percentile, self.integers)
        )
        self.scale.fill_(scale)
        self.zero_point.fill_(zero_point)
        self.observer = make_observer("min-max")  # the histogram has done its work
        self.frozen = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.frozen:
            self.observer.add(x.detach().float().cpu().numpy().astype(np.float32, copy=False))
            return x
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, self.quant_min, self.quant_max)

    def calculate_qparams(self, **_: Any) -> tuple[Tensor, Tensor]:
        return self.scale, self.zero_point


class WeightQuantizer(FakeQuantizeBase):  # type: ignore[misc]
    """Symmetric, one scale for the whole tensor."""

    def __init__(
        self,
        *,
        dtype: torch.dtype,
        quant_min: int,
        quant_max: int,
        qscheme: torch.qscheme,
        ch_axis: int | None = None,
        is_dynamic: bool = False,
    ) -> None:
        super().__init__()
        self.dtype, self.qscheme, self.is_dynamic = dtype, qscheme, is_dynamic
        self.quant_min, self.quant_max, self.ch_axis = quant_min, quant_max, ch_axis
        self.frozen = False
        self.smallest: Tensor | float = _SMALLEST_WEIGHT_SCALE
        self.scale = torch.ones(1)
        self.zero_point = torch.zeros(1, dtype=torch.int32)

    def freeze(self) -> None:
        """Round from now on."""
        self.frozen = True

    def keep_bias_in_range(self, bias: Tensor, input_scale: float) -> None:
        """Widen the scales of channels whose bias would overflow int32 as a multiple of input scale * weight scale.

        Happens to channels that batch-norm folding left with nearly no weights: runtimes hold the bias that way.
        """
        bound = bias.detach().abs() / (input_scale * 2.0**29)
        self.smallest = (bound if self.ch_axis is not None else bound.max()).clamp(min=_SMALLEST_WEIGHT_SCALE)

    def forward(self, w: Tensor) -> Tensor:
        if not self.frozen:
            return w
        floor = torch.as_tensor(self.smallest, device=w.device, dtype=torch.float32)
        self.scale = torch.maximum(self._step(w), floor).reshape(-1)
        self.zero_point = torch.zeros_like(self.scale, dtype=torch.int32)
        if self.ch_axis is None:
            return torch.fake_quantize_per_tensor_affine(w, self.scale, self.zero_point, self.quant_min, self.quant_max)
        return torch.fake_quantize_per_channel_affine(
            w, self.scale, self.zero_point, self.ch_axis, self.quant_min, self.quant_max
        )

    def calculate_qparams(self, **_: Any) -> tuple[Tensor, Tensor]:
        return self.scale, self.zero_point

    def _step(self, w: Tensor) -> Tensor:
        """The scale (channels,) or () at which the largest weight is the largest integer."""
        magnitude = w.detach().abs()
        return (magnitude.max() if self.ch_axis is None else magnitude.flatten(1).amax(1)) / self.quant_max


class PerChannelWeightQuantizer(WeightQuantizer):
    """Symmetric, one scale per output channel (axis 0). torchao hands the axis to classes named PerChannel only."""


class PairedWeightQuantizer(WeightQuantizer):
    """Rounds to integers of which no two that are multiplied as a pair can leave int16 with uint8 activations.

    Such a sum is at most 255 times that of two weights of one sign, so 128 is what they may make together. Where they
    make exactly that, never are both rounded up.
    """

    def _step(self, w: Tensor) -> Tensor:
        pairs = largest_pairs(w.detach())
        return torch.maximum(super()._step(w), (pairs.max() if self.ch_axis is None else pairs) / _PAIR_LIMIT)


class PairedPerChannelWeightQuantizer(PairedWeightQuantizer):
    """The same, one scale per output channel (axis 0)."""


def largest_pairs(w: Tensor) -> Tensor:
    """The largest |sum| of two weights of one sign that an x86 CPU without VNNI multiplies as a pair: (O,).

    w  (O, K), or (O, C / groups, ...) of a convolution, whose channels are neighbours within a kernel position
       (docs/decisions/0010-saturation.md). With an odd number of channels the pairs depend on how the runtime lays out
       the image: there any two weights count as a pair.
    """
    rows = w.movedim(1, -1).flatten(1)
    signs = torch.stack([rows, -rows]).clamp(min=0)
    if w.shape[1] % 2:
        return signs.topk(min(2, rows.shape[1]), dim=-1).values.sum(-1).amax(0)
    return signs.reshape(2, len(rows), -1, 2).sum(-1).amax((0, -1))


def quantizers(module: nn.Module) -> list[ActivationQuantizer | WeightQuantizer]:
    """All of them in a prepared network, each once, in the order of the graph."""
    return [part for part in module.modules() if isinstance(part, ActivationQuantizer | WeightQuantizer)]
