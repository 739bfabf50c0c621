"""What depends on no image is no activation in the captured graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from edgetl.pivot.from_torch import capture

SIZE = 8


class _Scaled(nn.Module):
    """ConvNeXt's layer scale, Swin's position bias from a table, a weight that is standardized first."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(4))
        self.table = nn.Parameter(torch.rand(4, 9))
        self.weight = nn.Parameter(torch.rand(4, 3, 1, 1))
        self.index: Tensor
        self.register_buffer("index", torch.tensor([3]))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        x = nn.functional.conv2d(x, weight) * self.gamma.reshape(1, -1, 1, 1)
        bias: Tensor = self.table[:, self.index].view(1, 4, 1, 1)
        return (x + bias).mean((2, 3))


def _captured() -> tuple[_Scaled, GraphModule]:
    torch.manual_seed(0)
    network = _Scaled().eval()
    return network, capture(network, (3, SIZE, SIZE))


def test_what_is_computed_from_parameters_alone_becomes_one_constant_each() -> None:
    network, captured = _captured()
    calls = [str(node.target) for node in captured.graph.nodes if node.op == "call_function"]
    x = torch.randn(3, 3, SIZE, SIZE)

    assert calls == ["aten.conv2d.default", "aten.mul.Tensor", "aten.add.Tensor", "aten.mean.dim"]
    torch.testing.assert_close(captured(x), network(x))


def test_what_is_made_of_a_parameter_is_trained_further() -> None:
    _, captured = _captured()
    constants = [node.target for node in captured.graph.nodes if node.op == "get_attr"]

    captured(torch.randn(2, 3, SIZE, SIZE)).sum().backward()

    assert len(constants) == 3
    assert all(captured.get_parameter(str(name)).grad is not None for name in constants)


class _Token(nn.Module):
    """A vision transformer's class token: one copy per image."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.rand(1, 1, SIZE * SIZE))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.flatten(2), self.token.expand(x.shape[0], -1, -1)], 1).mean(2)


def test_what_depends_on_the_number_of_images_is_not_folded() -> None:
    captured = capture(_Token().eval(), (3, SIZE, SIZE))
    assert captured(torch.zeros(5, 3, SIZE, SIZE)).shape == (5, 4)
