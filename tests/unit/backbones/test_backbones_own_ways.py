"""Reported as two-headed-vit: networks with a second head from distillation are adapted like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from edgetl.backbones.load import build, construct
from edgetl.backbones.timm_networks import construct as construct_timm
from edgetl.backbones.weights import locate
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Backbone

TOKENS = ("deit_tiny_distilled_patch16_224", {"depth": 1})
POOLED = ("levit_128s", {"depth": (1, 1, 1)})
MORE_POOLED = ("efficientformer_l1", {"depths": (1, 1, 1, 1), "num_vit": 1})
CLASSES = 3


@pytest.mark.parametrize(("name", "arguments"), [TOKENS, POOLED, MORE_POOLED], ids=lambda value: str(value)[:20])
def test_two_heads_become_one_that_can_say_the_mean_of_both(name: str, arguments: dict[str, object]) -> None:
    torch.manual_seed(0)
    two: Any = timm.create_model(name, num_classes=CLASSES, **arguments).eval()
    one: Any = construct_timm(name, arguments, CLASSES).eval()
    missing, unexpected = one.load_state_dict(two.state_dict(), strict=False)
    first, second = (getattr(head, "linear", head) for head in two.get_classifier())

    with torch.no_grad():
        tokens = name.startswith("deit")  # each head has one of its own; in the others both read the same features
        weight = torch.cat([first.weight, second.weight], 1) if tokens else first.weight + second.weight
        one.joined_head.weight.copy_(weight / 2)
        one.joined_head.bias.copy_((first.bias + second.bias) / 2)
        x = torch.randn(2, 3, 224, 224)
        torch.testing.assert_close(one(x), two(x), rtol=1e-3, atol=1e-4)
    assert sorted(missing) == ["joined_head.bias", "joined_head.weight"]
    assert all(key.startswith(("head.", "head_dist.")) for key in unexpected)


def test_a_checkpoint_with_two_heads_is_loaded_without_them(tmp_path: Path) -> None:
    trained = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=10)
    save_file(trained.state_dict(), tmp_path / "deit.safetensors")
    backbone = Backbone(name="deit_tiny_distilled_patch16_224", weights="deit.safetensors")

    network, spec, audit = build(backbone, locate(backbone, tmp_path, ()), CLASSES, "squash")

    assert spec.classifier == "joined_head"
    assert audit.dropped == ("head.bias", "head.weight", "head_dist.bias", "head_dist.weight")
    assert torch.equal(network.state_dict()["dist_token"], trained.dist_token)
    assert construct(spec).state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize("name", ["levit_128s", "tiny_vit_5m_224"])
def test_weights_loaded_after_a_run_are_used(name: str) -> None:
    x = torch.randn(1, 3, 224, 224)
    torch.manual_seed(0)
    network, other = (construct_timm(name, {}, CLASSES).eval() for _ in range(2))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_(0, 0.1)
        network(x)
        network.load_state_dict(other.state_dict())
        assert torch.equal(network(x), other(x))


def test_a_norm_in_front_of_the_classifier_stays(tmp_path: Path) -> None:
    backbone = Backbone(name="levit_conv_512d", pretrained=False)
    _, spec, _ = build(backbone, locate(backbone, tmp_path, ()), CLASSES, "squash")
    assert spec.classifier == "head.linear"


def test_heads_that_cannot_be_joined_are_refused_with_a_backbone_that_works(tmp_path: Path) -> None:
    backbone = Backbone(name="crossvit_9_240", pretrained=False)
    with pytest.raises(UsageError, match=r"head\.0, head\.1; choose .* such as mobilenetv4_conv_small"):
        build(backbone, locate(backbone, tmp_path, ()), CLASSES, "squash")
