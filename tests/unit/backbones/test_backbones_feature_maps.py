"""Feature maps cut out of classification networks."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import timm
import torch

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.feature_maps import build_feature_maps, construct_feature_maps
from edgetl.backbones.weights import locate
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Backbone
from edgetl.types import WeightSource

pytestmark = pytest.mark.usefixtures("one_thread")
RANDOM = WeightSource("none")
IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_byobnet", "mobilenetv2_100", "tv_resnet18", "tv_mobilenet_v3_large"]
)
def test_networks_of_both_libraries_have_maps_of_the_wanted_strides(name: str) -> None:
    maps, spec, _ = build_feature_maps(
        Backbone(name=name, input_size=64, pretrained=False), RANDOM, "squash", (8, 16, 32)
    )
    found = maps(IMAGES)
    assert [tuple(each.shape[1:]) for each in found] == [
        (channels, 64 // stride, 64 // stride) for channels, stride in zip(maps.channels, (8, 16, 32), strict=True)
    ]
    again = construct_feature_maps(spec, (8, 16, 32))
    assert list(again.state_dict()) == list(maps.state_dict())
    assert copy.deepcopy(maps)(IMAGES)[2].equal(found[2])


def test_the_maps_are_those_inside_the_pretrained_network(tmp_path: Path) -> None:
    network = timm.create_model("test_resnet", num_classes=11).eval()
    write_checkpoint(network.state_dict(), tmp_path / "test_resnet.safetensors")
    backbone = Backbone(name="test_resnet", weights="test_resnet.safetensors", input_size=64)
    maps, _, audit = build_feature_maps(backbone, locate(backbone, tmp_path, []), "squash", (8, 32))
    inner = network.forward_intermediates(IMAGES, indices=[2, 4], intermediates_only=True)
    for one, two in zip(maps(IMAGES), inner, strict=True):
        torch.testing.assert_close(one, two)
    assert audit.matched == len(maps.state_dict())
    assert "fc.weight" in audit.dropped
    assert audit.new == ()


def test_the_layers_up_to_a_stride_are_known_by_name() -> None:
    maps, _, _ = build_feature_maps(
        Backbone(name="test_resnet", input_size=64, pretrained=False), RANDOM, "squash", (8, 16, 32)
    )
    first = maps.layers_until(8)
    assert {name.split(".")[1] for name in first} == {"conv1", "bn1", "layer1", "layer2"}
    assert set(maps.layers_until(32)) == {name for name, _ in maps.named_parameters()}


@pytest.mark.parametrize(("name", "size"), [("vit_tiny_patch16_224", 224), ("tv_squeezenet1_1", 64)])
def test_a_network_without_such_maps_is_refused_in_one_line(name: str, size: int) -> None:
    with pytest.raises(UsageError, match=r"has no feature maps of stride .*expected a convolutional network") as caught:
        build_feature_maps(Backbone(name=name, input_size=size, pretrained=False), RANDOM, "squash", (8, 16, 32))
    assert "\n" not in str(caught.value)
