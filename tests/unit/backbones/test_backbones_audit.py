"""The weight-load audit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgetl.backbones.audit import load_audited
from edgetl.errors import WeightsError
from edgetl.types.findings import Audit


def _network(classes: int = 3, width: int = 4) -> nn.ModuleDict:
    parts = {"conv": nn.Conv2d(3, width, 1), "bn": nn.BatchNorm2d(width), "head": nn.Linear(width, classes)}
    return nn.ModuleDict(parts)


def _load(network: nn.Module, tensors: dict[str, Tensor], **settings: tuple[str, ...]) -> Audit:
    return load_audited(network, tensors, head="head", where="file", name="net", **settings)


def test_everything_but_the_classifier_is_filled() -> None:
    source, network = _network(classes=10), _network()
    fresh_head = network.get_parameter("head.weight").clone()
    audit = _load(network, source.state_dict())
    assert audit == Audit(7, ("head.bias", "head.weight"), ("head.bias", "head.weight"))
    assert torch.equal(network.get_parameter("conv.weight"), source.get_parameter("conv.weight"))
    assert torch.equal(network.get_parameter("head.weight"), fresh_head)


def test_a_classifier_of_the_same_size_is_replaced_too() -> None:
    source, network = _network(), _network()
    _load(network, source.state_dict())
    assert not torch.equal(network.get_parameter("head.weight"), source.get_parameter("head.weight"))


def test_a_checkpoint_may_lack_the_classifier_and_the_counters() -> None:
    tensors = {
        name: tensor
        for name, tensor in _network().state_dict().items()
        if not name.startswith("head") and "num_batches" not in name
    }
    audit = _load(_network(), tensors)
    assert audit.matched == 6
    assert audit.new == ("bn.num_batches_tracked", "head.bias", "head.weight")


def test_half_precision_becomes_the_networks_float32() -> None:
    network = _network()
    _load(network, {name: t.half() if t.is_floating_point() else t for name, t in _network().state_dict().items()})
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_auxiliary_heads_are_dropped_where_they_are_expected_and_refused_elsewhere() -> None:
    tensors = {**_network().state_dict(), "aux1.fc.weight": torch.ones(2)}
    assert "aux1.fc.weight" in _load(_network(), tensors, droppable=("aux1.",)).dropped
    with pytest.raises(WeightsError, match=r"aux1\.fc\.weight is not in the network"):
        _load(_network(), tensors)


def _without(name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in _network().state_dict().items() if key != name}


@pytest.mark.parametrize(
    ("tensors", "part"),
    [
        (_without("bn.bias"), "bn.bias is missing"),
        ({**_network().state_dict(), "fc.weight": torch.ones(1)}, "fc.weight is not in the network"),
        (_network(width=5).state_dict(), "conv.weight has shape 5x3x1x1, the network 4x3x1x1"),
        ({**_network().state_dict(), "conv.bias": torch.ones(4, dtype=torch.int8)}, "conv.bias is torch.int8"),
        ({**_network().state_dict(), "head.weight": torch.ones(10, 9)}, "head.weight has shape 10x9"),
    ],
)
def test_anything_else_stops_with_the_list(tensors: dict[str, Tensor], part: str) -> None:
    network = _network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError, match=part) as caught:
        _load(network, tensors)
    assert "file: these weights do not fit `net`" in str(caught.value)
    assert "another architecture" in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_list_is_bounded() -> None:
    tensors = {**_network().state_dict(), **{f"x{number}": torch.ones(1) for number in range(1000)}}
    with pytest.raises(WeightsError, match=r"1000 problems .* and 990 more") as caught:
        _load(_network(), tensors)
    assert len(str(caught.value)) < 1000
