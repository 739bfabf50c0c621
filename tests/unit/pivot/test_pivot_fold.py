from __future__ import annotations

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from edgetl.errors import ParityError
from edgetl.pivot.fold import fold


def _trained_norm(channels: int, kind: type[nn.Module] = nn.BatchNorm2d) -> nn.Module:
    norm = kind(channels)
    for name, tensor in norm.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + (0.5 if "var" in name else -0.5))
    return norm


def _network(*parts: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*parts).eval()


def _outputs_equal(a: nn.Module, b: nn.Module) -> bool:
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        return bool(torch.allclose(a(x), b(x), atol=1e-5, rtol=1e-4))


def test_a_batch_norm_goes_into_the_convolution_before_it() -> None:
    network = _network(nn.Conv2d(3, 4, 3, bias=False), _trained_norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    folded = fold(network, (3, 8, 8))
    assert (folded.folded, folded.left) == (1, 0)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.module.modules())
    assert _outputs_equal(network, folded.module)


def test_a_batch_norm_goes_into_the_linear_layer_before_it() -> None:
    network = _network(nn.Flatten(), nn.Linear(192, 6), _trained_norm(6, nn.BatchNorm1d), nn.Linear(6, 2))
    folded = fold(network, (3, 8, 8))
    assert folded.folded == 1
    assert _outputs_equal(network, folded.module)


def test_the_activation_inside_timms_batch_norm_stays() -> None:
    network = _network(nn.Conv2d(3, 4, 1), _trained_norm(4, BatchNormAct2d), nn.Flatten(), nn.Linear(256, 2))
    folded = fold(network, (3, 8, 8))
    assert folded.folded == 1
    assert any(isinstance(part, nn.ReLU) for part in folded.module.modules())
    assert _outputs_equal(network, folded.module)


def test_a_batch_norm_with_no_convolution_before_it_stays_in_eval_mode() -> None:
    network = _network(_trained_norm(3), nn.ReLU(), nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.train()
    folded = fold(network, (3, 8, 8))
    assert (folded.folded, folded.left) == (0, 1)
    assert not any(part.training for part in folded.module.modules())


class _Twice(nn.Module):
    """One convolution in two places, each with its own batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.a, self.b = nn.Conv2d(3, 3, 1), _trained_norm(3), _trained_norm(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.a(self.conv(x)) + self.b(self.conv(x + 1))
        return y.mean((2, 3))


def test_a_shared_convolution_is_left_alone() -> None:
    network = _network(_Twice())
    folded = fold(network, (3, 8, 8))
    assert (folded.folded, folded.left) == (0, 2)
    assert _outputs_equal(network, folded.module)


class _AlsoRead(nn.Module):
    """The convolution's result is read past the batch norm too, so folding changes the function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), _trained_norm(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        z: torch.Tensor = self.norm(y) * y
        return z.mean((2, 3))


def test_folding_that_changes_the_network_is_refused_with_numbers() -> None:
    with pytest.raises(ParityError, match=r"outputs on random input differ by .* \(allowed: 0\.0001\)"):
        fold(_network(_AlsoRead()), (3, 8, 8))


def test_a_network_without_batch_norms_is_copied_not_shared() -> None:
    network = _network(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    folded = fold(network, (3, 8, 8))
    assert (folded.folded, folded.left, folded.relative_difference) == (0, 0, 0.0)
    assert next(folded.module.parameters()) is not next(network.parameters())
