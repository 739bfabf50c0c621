"""What is found and replaced, and where constants of gates can go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from gated_networks import ALL, EFFICIENT, MOBILE, SIZE, TORCHVISION, Branches, Gated, P, images, settled
from torch import nn

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.load import construct, rebuild
from edgetl.backbones.replaceable import (
    NO_GATES,
    RELU,
    RELU6,
    ChannelScale,
    Fold,
    folds,
    operate,
    replaceable,
    smooth_activations,
)
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.errors import WeightsError
from edgetl.pivot.from_torch import capture
from edgetl.types import NetworkSpec
from edgetl.types.findings import Replaceable

pytestmark = pytest.mark.stage  # whole networks are captured

NORMS = {"batch_norm", "_native_batch_norm_legit_no_training", "getitem"}
PLAIN = {"conv2d", "relu", "relu6", "hardtanh", "add", "linear", "pad"} | NORMS
MOVES = {"adaptive_avg_pool2d", "mean", "flatten", "reshape", "view", "dropout", "clone", "sym_size"}


def _operators(network: nn.Module) -> set[str]:
    nodes = capture(network, (3, SIZE, SIZE)).graph.nodes
    return {node.target.__name__.partition(".")[0] for node in nodes if node.op == "call_function"}


@pytest.mark.parametrize(
    ("spec", "expected"), [(EFFICIENT, (9, 2)), (MOBILE, (19, 9)), (TORCHVISION, (19, 9))], ids=str
)
def test_activations_and_gates_are_counted_and_those_inside_of_gates_belong_to_them(
    spec: NetworkSpec, expected: tuple[int, int]
) -> None:
    assert replaceable(construct(spec)) == Replaceable(*expected)


@pytest.mark.parametrize("name", ["test_convnext", "test_vit", "test_resnet", "test_nfnet"])
def test_nothing_is_found_without_batch_norms_or_without_smooth_parts(name: str) -> None:
    assert replaceable(timm.create_model(name)) == Replaceable(0, 0)


@pytest.mark.parametrize(
    ("spec", "kind"), [(EFFICIENT, RELU), (EFFICIENT, RELU6), (TORCHVISION, RELU)], ids=["timm", "relu6", "torchvision"]
)
def test_an_operated_network_is_made_of_plain_operators(spec: NetworkSpec, kind: str) -> None:
    before = _operators(construct(spec))
    assert before - PLAIN - MOVES, "the original has something to replace"
    network = construct(replace(spec, surgery=(kind, NO_GATES)))
    assert replaceable(network) == Replaceable(0, 0)
    assert not _operators(network) - PLAIN - MOVES
    assert network(images(2)).shape == (2, 3)


def test_a_kept_gate_keeps_the_activation_inside_it() -> None:
    network = operate(construct(EFFICIENT), (RELU,), (3, SIZE, SIZE))
    assert not smooth_activations(network)
    assert sum(isinstance(module, nn.SiLU) for module in network.modules()) == 2
    assert replaceable(network) == Replaceable(0, 2)


def test_activations_stay_where_only_gates_go() -> None:
    assert replaceable(operate(construct(EFFICIENT), (NO_GATES,), (3, SIZE, SIZE))) == Replaceable(9, 0)


def test_nothing_named_changes_nothing() -> None:
    network = settled(EFFICIENT)
    expected = network(images(2))
    assert torch.equal(operate(network, (), (3, SIZE, SIZE))(images(2)), expected)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.architecture)
def test_every_gate_of_these_networks_stands_before_a_convolution(spec: NetworkSpec) -> None:
    assert {fold.into for fold in folds(construct(spec), P.network_shape)} == {"convolution"}


@pytest.mark.parametrize(
    ("behind", "act_before", "expected"),
    [
        (lambda: nn.Conv2d(8, 8, 1), True, Fold("gate", 8, "convolution", "behind")),
        (lambda: nn.Conv2d(8, 8, 3, padding=1, groups=4), True, Fold("gate", 8, "convolution", "behind")),
        (lambda: nn.Conv2d(8, 8, 1), False, Fold("gate", 8, "convolution", "behind")),
        (lambda: nn.ReLU6(), False, Fold("gate", 8, "norm", "norm2")),
        (Branches, False, Fold("gate", 8, "norm", "norm2")),
        (lambda: nn.ReLU6(), True, Fold("gate", 8, "nothing")),
        (Branches, True, Fold("gate", 8, "nothing")),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1)), True, Fold("gate", 8, "nothing")),
    ],
)
def test_a_constant_goes_into_a_neighbor_only_where_nothing_else_sees_it(
    behind: Callable[[], nn.Module], act_before: bool, expected: Fold
) -> None:
    network = Gated(behind, act_before=act_before).eval()
    assert folds(network, (3, SIZE, SIZE)) == [expected]
    operate(network, (NO_GATES,), (3, SIZE, SIZE))
    assert isinstance(network.gate, ChannelScale) == (expected.into == "nothing")


def test_a_surgery_of_a_later_version_is_refused() -> None:
    with pytest.raises(WeightsError, match="no-norms; this version knows relu, relu6, no-gates"):
        construct(replace(EFFICIENT, surgery=("no-norms",)))


def test_an_operated_state_is_rebuilt_to_the_same_logits(tmp_path: Path) -> None:
    network = operate(settled(EFFICIENT), (RELU6, NO_GATES), (3, SIZE, SIZE))
    write_checkpoint(network.state_dict(), tmp_path / "network.safetensors")
    write_spec(replace(EFFICIENT, surgery=(RELU6, NO_GATES)), tmp_path / "network.json")
    again = rebuild(read_spec(tmp_path / "network.json"), tmp_path / "network.safetensors")
    assert torch.equal(again(images(4)), network(images(4)))


def test_without_its_surgery_the_state_does_not_fit(tmp_path: Path) -> None:
    network = operate(settled(EFFICIENT), (NO_GATES,), (3, SIZE, SIZE))
    write_checkpoint(network.state_dict(), tmp_path / "network.safetensors")
    with pytest.raises(WeightsError, match=r"differ in .*\.se\."):
        rebuild(EFFICIENT, tmp_path / "network.safetensors")
