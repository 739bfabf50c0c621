from __future__ import annotations

import pytest
import torch

from edgetl.errors import ParityError
from edgetl.quant.fakequant import ActivationQuantizer, PerChannelWeightQuantizer, WeightQuantizer


def _activation() -> ActivationQuantizer:
    return ActivationQuantizer(
        observer="min-max",
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


def test_a_reduced_range_uses_one_bit_less() -> None:
    part = _weight(largest=63)
    w = torch.tensor([[0.63, -0.63, 0.1]])
    rounded = part(w) / part.scale
    torch.testing.assert_close(rounded, torch.tensor([[63.0, -63.0, 10.0]]))


def test_a_bias_without_weights_beside_it_fits_int32() -> None:
    part = _weight()
    part.keep_bias_in_range(torch.tensor([2.0, 2.0]), input_scale=0.02)
    part(torch.tensor([[0.0, 1e-12], [1.0, -1.0]]))
    as_integers = torch.tensor([2.0, 2.0]).double() / (0.02 * part.scale.double())
    assert as_integers.abs().max() < 2**31
    torch.testing.assert_close(part.scale[1], torch.tensor(1 / 127))  # a channel with weights keeps its scale
