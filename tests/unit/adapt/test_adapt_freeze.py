"""What is frozen."""

from __future__ import annotations

import pytest
import timm
from torch import nn

from edgetl.backbones.freeze import all_but, blocks, is_under, last_parts, matches, set_modes
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


def test_the_last_parts_are_trained_and_what_is_before_them_is_cut_off() -> None:
    depth = last_parts(_network(), "fc", 2)
    assert (depth.parts, depth.cut_after) == (("layer3.0", "layer4.0"), "layer2.0")
    assert depth.title.startswith("last 2 of ")


def test_more_parts_than_there_are_is_all_of_them() -> None:
    depth = last_parts(_network(), "fc", 99)
    assert (depth.parts, depth.cut_after) == (tuple(blocks(_network(), "fc")), "")
    assert depth.title.startswith("all ")


def test_a_frozen_beginning_is_cut_off() -> None:
    stem = [name for name in blocks(_network(), "fc") if name.startswith(("conv1", "bn1"))]
    depth = all_but(_network(), "fc", ("conv1", "bn1", "layer1"))
    assert depth.cut_after == "layer1.0"
    assert depth.parts == ("layer2.0", "layer3.0", "layer4.0")
    assert not set(stem) & set(depth.parts)


def test_what_is_frozen_in_the_middle_leaves_the_rest_to_learn() -> None:
    depth = all_but(_network(), "fc", ("layer2",))
    assert depth.cut_after == ""
    assert "layer2.0" not in depth.parts
    assert "layer1.0" in depth.parts


def test_a_wildcard_freezes_parameters_of_many_parts() -> None:
    depth = all_but(_network(), "fc", ("*.bn?.*",))
    assert not any(".bn" in part for part in depth.parts)
    assert any(part.startswith("layer1.0.conv1") for part in depth.parts)
    trained = [name for name, _ in _network().named_parameters() if is_under(name, depth.parts)]
    assert trained
    assert not any(matches(name, ["*.bn?.*"]) for name in trained)


def test_what_a_wildcard_leaves_of_a_block_stays_one_block() -> None:
    network = _network()
    depth = all_but(network, "fc", ("*.bn?.*",))
    names = [block for block in blocks(network, "fc") if not block.startswith(("bn", "conv1"))]
    ends = [block for block in depth.by_block if block[0].startswith("layer")]
    assert [block[0].split(".")[:2] for block in ends] == [name.split(".") for name in names]
    assert all(len(block) > 1 for block in ends)
    assert depth.parts == tuple(name for block in depth.by_block for name in block)


def test_a_prefix_is_whole_components() -> None:
    assert is_under("layer1.0.weight", ["layer1"])
    assert is_under("layer1", ["layer1"])
    assert not is_under("layer10.0.weight", ["layer1"])


def test_a_prefix_may_end_in_a_dot() -> None:
    assert all_but(_network(), "fc", ("layer1.",)).parts == all_but(_network(), "fc", ("layer1",)).parts


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        (("layer11",), "no parameter under `layer11`; did you mean `layer1`"),
        (("layer3.00",), "did you mean `layer3.0`"),
        (("*.nothing.*",), r"no parameter under `\*.nothing.\*`"),
        (("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"), "strategy: probe"),
    ],
)
def test_prefixes_that_make_no_sense_are_refused(wanted: tuple[str, ...], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        all_but(_network(), "fc", wanted)


def test_norms_and_frozen_parts_stay_in_eval_mode() -> None:
    network = _network()
    network.get_submodule("layer1").requires_grad_(False)
    set_modes(network)
    assert not any(module.training for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    assert not network.get_submodule("layer1").training
    assert network.get_submodule("layer4").training


def test_norms_that_are_trained_are_in_train_mode_unless_frozen() -> None:
    network = _network()
    network.get_submodule("layer1").requires_grad_(False)
    set_modes(network, train_batch_norm=True)
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert {name for name, module in norms.items() if not module.training} == {
        name for name in norms if name.startswith("layer1.")
    }
