"""What is frozen."""

from __future__ import annotations

import pytest
import timm
from torch import nn

from edgetl.adapt.freeze import blocks, choose_prefixes, freeze, is_under, set_modes
from edgetl.errors import UsageError


def _network() -> nn.Module:
    network: nn.Module = timm.create_model("test_resnet", num_classes=3)
    return network


def test_blocks_follow_the_network_and_leave_the_head_out() -> None:
    names = blocks(_network(), "fc")
    assert names[0].startswith("conv1")
    assert names[-4:] == ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]
    network = _network()
    covered = [name for name, _ in network.named_parameters() if is_under(name, [*names, "fc"])]
    assert len(covered) == len(list(network.parameters()))


def test_position_embeddings_belong_to_the_stem() -> None:
    assert blocks(timm.create_model("test_vit"), "head")[:2] == ["cls_token", "pos_embed"]


def test_few_shots_freeze_the_first_half_and_many_nothing() -> None:
    few = choose_prefixes(_network(), "auto", head="fc", shots_per_class=10)
    assert few == tuple(blocks(_network(), "fc")[:5])
    assert choose_prefixes(_network(), "auto", head="fc", shots_per_class=500) == ()


def test_frozen_parameters_get_no_gradient() -> None:
    network = _network()
    frozen, trained = freeze(network, ["conv1", "layer1"])
    assert {name for name, parameter in network.named_parameters() if not parameter.requires_grad} == set(frozen)
    assert all(name.startswith(("conv1.", "layer1.")) for name in frozen)
    assert len(frozen) + len(trained) == len(list(network.parameters()))
    assert freeze(network, ())[0] == []


def test_a_prefix_is_whole_components() -> None:
    assert is_under("layer1.0.weight", ["layer1"])
    assert is_under("layer1", ["layer1"])
    assert not is_under("layer10.0.weight", ["layer1"])


def test_a_prefix_may_end_in_a_dot() -> None:
    assert choose_prefixes(_network(), ("layer1.",), head="fc", shots_per_class=5) == ("layer1",)


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        (("layer11",), "no parameter under `layer11`; did you mean `layer1`"),
        (("layer3.00",), "did you mean `layer3.0`"),
        (("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"), "strategy: probe"),
    ],
)
def test_prefixes_that_make_no_sense_are_refused(wanted: tuple[str, ...], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        choose_prefixes(_network(), wanted, head="fc", shots_per_class=5)


def test_norms_and_frozen_parts_stay_in_eval_mode() -> None:
    network = _network()
    freeze(network, ["layer1"])
    set_modes(network)
    assert not any(module.training for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    assert not network.get_submodule("layer1").training
    assert network.get_submodule("layer4").training
