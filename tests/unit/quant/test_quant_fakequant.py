from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgetl.diagnose.forecast.pairs import HIGHEST, bound
from edgetl.diagnose.forecast.windows import weight_rows
from edgetl.errors import ParityError
from edgetl.quant.fakequant import (
    ActivationQuantizer,
    PairedPerChannelWeightQuantizer,
    PairedWeightQuantizer,
    PerChannelWeightQuantizer,
    WeightQuantizer,
)
from edgetl.quant.observers import ObserverName


def _activation(observer: ObserverName = "min-max") -> ActivationQuantizer:
    return ActivationQuantizer(
        observer=observer,
        percentile=99.99,
        dtype=torch.uint8,
        quant_min=0,
        quant_max=255,
        qscheme=torch.per_tensor_affine,
    )


def _weight(largest: int = 127) -> PerChannelWeightQuantizer:
    part = PerChannelWeightQuantizer(
        dtype=torch.int8, quant_min=-largest, quant_max=largest, qscheme=torch.per_channel_symmetric, ch_axis=0
    )
    part.freeze()
    return part


def test_while_observing_values_pass_unchanged() -> None:
    x = torch.randn(4, 3)
    assert torch.equal(_activation()(x), x)


def test_after_freezing_values_are_rounded_to_the_observed_range() -> None:
    part = _activation()
    part(torch.tensor([0.0, 2.55]))
    part.freeze()
    found = part(torch.tensor([0.004, 0.006, 1.0, 9.0]))
    torch.testing.assert_close(found, torch.tensor([0.0, 0.01, 1.0, 2.55]))


def test_gradients_pass_inside_the_range_and_stop_outside() -> None:
    part = _activation()
    part(torch.tensor([0.0, 2.55]))
    part.freeze()
    x = torch.tensor([1.234, 5.0], requires_grad=True)
    part(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0]


def test_gradients_pass_to_all_that_rounds_to_an_end_of_the_range() -> None:
    part = _activation()
    part.fix(0.5, 3)  # from -1.5 to 126
    x = torch.tensor([-1.76, -1.74, 0.0, 126.24, 126.26], requires_grad=True)
    part(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


@given(
    values=arrays(np.float32, 200, elements=st.floats(-1e3, 1e3, width=32)),
    scale=st.floats(2.0**-20, 2.0**10, width=32),
    zero_point=st.integers(0, 255),
)
def test_rounding_is_that_of_torch_to_the_bit(values: np.ndarray, scale: float, zero_point: int) -> None:
    part = _activation()
    part.fix(scale, zero_point)
    x = torch.from_numpy(values)
    expected = torch.fake_quantize_per_tensor_affine(x, part.scale, part.zero_point, 0, 255)
    assert torch.equal(part(x), expected)


def test_where_the_channels_lie_in_memory_changes_nothing_that_is_observed() -> None:
    x = torch.randn(2, 3, 5, 7).relu()
    one, other = (_activation("mse") for _ in range(2))
    one(x)
    other(x.contiguous(memory_format=torch.channels_last))
    for part in (one, other):
        part.freeze()
    assert one.grid == other.grid


def test_the_range_stays_when_larger_values_come_later() -> None:
    part = _activation()
    part(torch.tensor([0.0, 1.0]))
    part.freeze()
    scale = float(part.scale)
    part(torch.tensor([100.0]))
    assert float(part.scale) == scale


def test_diverged_activations_are_refused() -> None:
    with pytest.raises(ParityError, match="diverged"):
        _activation()(torch.tensor([float("nan")]))


def test_every_output_channel_has_its_own_scale_and_follows_the_weights() -> None:
    part = _weight()
    part(torch.tensor([[1.27, 0.5], [12.7, -3.0]]))
    torch.testing.assert_close(part.scale, torch.tensor([0.01, 0.1]))
    part(torch.tensor([[2.54, 0.5], [12.7, -3.0]]))
    torch.testing.assert_close(part.scale, torch.tensor([0.02, 0.1]))


def test_one_scale_for_the_whole_tensor() -> None:
    part = WeightQuantizer(dtype=torch.int8, quant_min=-127, quant_max=127, qscheme=torch.per_tensor_symmetric)
    part.freeze()
    part(torch.tensor([[1.27, 0.5], [12.7, -3.0]]))
    torch.testing.assert_close(part.scale, torch.tensor([0.1]))


def _paired(kind: type[PairedWeightQuantizer] = PairedPerChannelWeightQuantizer) -> PairedWeightQuantizer:
    per_channel = kind is PairedPerChannelWeightQuantizer
    qscheme = torch.per_channel_symmetric if per_channel else torch.per_tensor_symmetric
    part = kind(dtype=torch.int8, quant_min=-127, quant_max=127, qscheme=qscheme, ch_axis=0 if per_channel else None)
    part.freeze()
    return part


def _integers(part: WeightQuantizer, w: torch.Tensor) -> torch.Tensor:
    rounded: torch.Tensor = part(w)
    return (rounded / part.scale.reshape(-1, *[1] * (w.ndim - 1))).round().to(torch.int8)


# many equal values and ties of rounding among them
_VALUES = st.one_of(st.floats(-2, 2, width=32), st.sampled_from([1.0, -1.0, 0.5, 127 / 128, 61.5 / 128, 66.5 / 128]))
_SHAPES = st.tuples(*[st.integers(1, high) for high in (3, 8, 3, 3)])


@given(w=_SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=_VALUES)))
@pytest.mark.parametrize("kind", [PairedWeightQuantizer, PairedPerChannelWeightQuantizer])
def test_no_pair_of_weights_can_leave_int16(kind: type[PairedWeightQuantizer], w: np.ndarray) -> None:
    integers = _integers(_paired(kind), torch.from_numpy(w)).numpy()
    assert bound(weight_rows(integers, groups=1)[0]) <= HIGHEST


@given(order=st.permutations(range(27)), w=arrays(np.float32, (2, 3, 3, 3), elements=_VALUES))
def test_with_an_odd_number_of_channels_no_order_of_the_weights_can_leave_int16(
    order: list[int], w: np.ndarray
) -> None:
    integers = _integers(_paired(), torch.from_numpy(w)).numpy()
    assert bound(integers.reshape(2, 27)[:, order]) <= HIGHEST


def test_only_channels_with_a_large_pair_lose_range() -> None:
    w = torch.tensor([[1.0, 1.0, 0.5, -0.5], [1.0, 0.0, 0.5, -0.5], [1.0, -1.0, 0.25, 0.75]])
    found = _integers(_paired(), w)
    assert found[0].tolist() == [64, 64, 32, -32]
    assert found[1].tolist() == [127, 0, 64, -64]
    assert found[2].tolist() == [127, -127, 32, 95]


def test_channels_of_one_kernel_position_are_the_pairs_of_a_convolution() -> None:
    beside, behind = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    beside[0, :, 0, 0] = 1.0
    behind[0, 0, 0, :] = 1.0
    assert _integers(_paired(), beside).max() == 64
    assert _integers(_paired(), behind).max() == 127


def test_a_bias_without_weights_beside_it_fits_int32() -> None:
    part = _weight()
    part.keep_bias_in_range(torch.tensor([2.0, 2.0]), input_scale=0.02)
    part(torch.tensor([[0.0, 1e-12], [1.0, -1.0]]))
    as_integers = torch.tensor([2.0, 2.0]).double() / (0.02 * part.scale.double())
    assert as_integers.abs().max() < 2**31
    torch.testing.assert_close(part.scale[1], torch.tensor(1 / 127))  # a channel with weights keeps its scale
