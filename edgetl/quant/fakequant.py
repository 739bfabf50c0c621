"""The modules that torchao puts on the edges of a captured graph: observe first, round afterwards.

Activations keep the range they were calibrated with; weights are rounded to the range they have at that moment.
Rounding passes gradients straight through inside the range (Bengio et al. 2013, arXiv:1308.3432).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchao.quantization.pt2e import FakeQuantizeBase

from edgetl.quant.observers import Histogram, IntegerType, ObserverName, choose_range, make_observer, silu_range

_SMALLEST_WEIGHT_SCALE = 1e-9
_PAIR_LIMIT = 128 - 1e-3  # 255 x 128 fits int16; the rest is for what float32 divisions round


@dataclass(frozen=True)
class Grid:
    """The numbers scale * n with whole n from `low` to `high`. `scale` is a float32 value."""

    scale: float
    low: int
    high: int

    def rounded(self, x: Tensor) -> Tensor:
        """float32 x on the grid, to the bit as torch.fake_quantize_per_tensor_affine; two to four times as fast."""
        inverse = float(np.float32(1) / np.float32(self.scale))
        return (x * inverse).round_().clamp_(self.low, self.high).mul_(self.scale)


class _RoundStraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Grid) -> Tensor:
        ctx.save_for_backward(x)
        ctx.grid = grid
        return grid.rounded(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,), grid = ctx.saved_tensors, ctx.grid
        # what rounds to one of the ends is inside
        low, high = ((end * grid.scale) for end in (grid.low - 0.5, grid.high + 0.5))
        return torch.ops.aten.hardtanh_backward(gradients[0], x, low, high), None


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
        self.grid: Grid | None = None
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.int32))

    def freeze(self, *, before_silu: bool = False) -> None:
        """Take the range from the observations and round from now on. before_silu  only SiLU reads the values"""
        seen = self.observer
        if before_silu and self.rule == "mse" and isinstance(seen, Histogram):
            chosen = silu_range(seen, self.integers)
        else:
            chosen = choose_range(seen, self.rule, self.percentile, self.integers)
        self.fix(*self.integers.parameters(chosen))
        self.observer = make_observer("min-max")  # the histogram has done its work

    def fix(self, scale: float, zero_point: int) -> None:
        """Round from now on to scale * (q - zero_point) with the integers q of the type."""
        self.scale.fill_(scale)
        self.zero_point.fill_(zero_point)
        self.grid = Grid(float(self.scale), self.quant_min - zero_point, self.quant_max - zero_point)

    def forward(self, x: Tensor) -> Tensor:
        if self.grid is None:
            self.observer.add(in_memory_order(x.detach().float().cpu()).numpy())
            return x
        rounded: Tensor = _RoundStraightThrough.apply(x, self.grid)
        return rounded

    @property
    def frozen(self) -> bool:
        """Whether values are rounded."""
        return self.grid is not None

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
    """Rounds to integers such that no pair of neighbors can leave int16 with uint8 activations.

    Such a sum is at most 255 times that of two weights of one sign, so these may add up to 128. If they add up to
    exactly 128, they are never both rounded up.
    """

    def _step(self, w: Tensor) -> Tensor:
        pairs = largest_pairs(w.detach())
        return torch.maximum(super()._step(w), (pairs.max() if self.ch_axis is None else pairs) / _PAIR_LIMIT)


class PairedPerChannelWeightQuantizer(PairedWeightQuantizer):
    """The same, one scale per output channel (axis 0)."""


def largest_pairs(w: Tensor) -> Tensor:
    """The largest |sum| of two weights of one sign that an x86 CPU without VNNI multiplies as a pair: (O,).

    w  (O, K), or (O, C / groups, ...) of a convolution, whose channels are neighbors within a kernel position
       (docs/decisions/0010-saturation.md). With an odd number of channels the pairs depend on the runtime's layout of
       the image, so any two weights count as a pair.
    """
    rows = w.movedim(1, -1).flatten(1)
    signs = torch.stack([rows, -rows]).clamp(min=0)
    if w.shape[1] % 2:
        return signs.topk(min(2, rows.shape[1]), dim=-1).values.sum(-1).amax(0)
    return signs.reshape(2, len(rows), -1, 2).sum(-1).amax((0, -1))


def in_memory_order(x: Tensor) -> Tensor:
    """The values of (N, C, H, W) in channels-last memory as (N, H, W, C), which needs no copy; others as they are."""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x.permute(0, 2, 3, 1) if last else x


def quantizers(module: nn.Module) -> list[ActivationQuantizer | WeightQuantizer]:
    """All of them in a prepared network, each once, in the order of the graph."""
    return [part for part in module.modules() if isinstance(part, ActivationQuantizer | WeightQuantizer)]
