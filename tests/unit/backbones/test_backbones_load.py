"""Building and rebuilding networks; small ones, random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.classifier import features, find_head, get_head, set_head
from edgetl.backbones.examples import normalize, plain
from edgetl.backbones.load import build, construct, rebuild
from edgetl.backbones.plan import Native
from edgetl.backbones.weights import locate
from edgetl.errors import EdgetlError, UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.types import NetworkSpec, WeightSource

RANDOM = WeightSource("none")


pytestmark = pytest.mark.usefixtures("one_thread")


def _random(name: str, size: int | None, classes: int = 5) -> tuple[nn.Module, NetworkSpec]:
    backbone = Backbone(name=name, pretrained=False, input_size=size)
    network, spec, _ = build(backbone, RANDOM, classes, "squash")
    return network, spec


def _folder(tmp_path: Path, **changes: Any) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir(exist_ok=True)
    network = timm.create_model("test_resnet", num_classes=11)
    write_checkpoint(network.state_dict(), folder / "model.safetensors")
    config = {
        "architecture": "test_resnet",
        "num_classes": 11,
        "model_args": {},
        "pretrained_cfg": {
            "input_size": [3, 48, 40],
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "interpolation": "bilinear",
            "crop_pct": 0.9,
        },
    }
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def _build_folder(tmp_path: Path, **changes: Any) -> Any:
    folder = _folder(tmp_path, **changes)
    backbone = Backbone(name=f"local-dir:{folder}")
    return build(backbone, locate(backbone, tmp_path, []), 5, "crop")


@pytest.mark.parametrize(
    ("name", "size", "head"),
    [
        ("tv_alexnet", 64, "classifier.6"),
        ("tv_vgg11", 32, "classifier.6"),
        ("tv_resnet18", 32, "fc"),
        ("tv_inception_v3", 75, "fc"),
        ("tv_googlenet", 32, "fc"),
        ("tv_mobilenet_v2", 32, "classifier.1"),
        ("tv_mobilenet_v3_small", 32, "classifier.3"),
        ("tv_squeezenet1_1", 32, "classifier.1"),
        ("test_resnet", 32, "fc"),
        ("test_vit", 48, "head"),
    ],
)
def test_every_family_gets_a_head_that_a_linear_probe_can_be_written_into(name: str, size: int, head: str) -> None:
    network, spec = _random(name, size)
    assert spec.classifier == head
    assert (spec.image.height, spec.image.width) == (size, size)
    inputs = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pooled, logits = features(network, head, inputs)
        assert logits.shape == (2, 5)
        weight, bias = torch.randn(5, pooled.shape[1]), torch.randn(5)
        set_head(network, head, weight, bias)
        torch.testing.assert_close(network(inputs), pooled @ weight.T + bias, rtol=1e-4, atol=1e-4)


def test_inception_takes_299_pixels_scaled_to_one() -> None:
    from edgetl.backbones.torchvision_networks import plan_by_name

    native = plan_by_name("inception_v3").native
    assert isinstance(native, Native)
    assert (native.height, native.width) == (299, 299)
    assert native.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("name", "prefix"), [("inception_v3", "AuxLogits."), ("googlenet", "aux1.")])
def test_auxiliary_heads_in_a_checkpoint_are_listed_as_dropped(tmp_path: Path, name: str, prefix: str) -> None:
    whole = models.get_model(name, weights=None, init_weights=False, aux_logits=True)
    write_checkpoint(whole.state_dict(), tmp_path / "w.safetensors")
    backbone = Backbone(name=f"tv_{name}", weights="w.safetensors", input_size=96)
    network, _, audit = build(backbone, locate(backbone, tmp_path, []), 4, "squash")
    assert any(dropped.startswith(prefix) for dropped in audit.dropped)
    assert {dropped.split(".")[0] for dropped in audit.dropped} <= {"AuxLogits", "aux1", "aux2", "fc"}
    assert audit.new == ("fc.bias", "fc.weight")
    assert audit.matched == len(network.state_dict()) - 2


def test_a_timm_folder_brings_its_input_and_its_weights(tmp_path: Path) -> None:
    network, spec, audit = _build_folder(tmp_path)
    assert spec.architecture == "test_resnet"
    assert (spec.image.height, spec.image.width) == (48, 40)
    assert (spec.image.mean, spec.image.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (spec.image.crop_pct, spec.image.resize) == (0.9, "crop")
    assert audit.dropped == audit.new == ("fc.bias", "fc.weight")
    assert not network.training


def test_model_args_of_a_folder_change_the_network_and_survive_a_rebuild(tmp_path: Path) -> None:
    plain, _, _ = _build_folder(tmp_path)
    network, spec, _ = _build_folder(tmp_path, model_args={"output_stride": 8})
    inputs = torch.randn(1, 3, 48, 40)
    assert not torch.allclose(network(inputs), plain(inputs))
    write_checkpoint(network.state_dict(), tmp_path / "state.safetensors")
    assert torch.equal(rebuild(spec, tmp_path / "state.safetensors")(inputs), network(inputs))


def test_a_number_of_classes_that_timm_saved_gives_way_to_ours(tmp_path: Path) -> None:
    _, spec, _ = _build_folder(tmp_path, model_args={"num_classes": 11, "in_chans": 3})
    assert (spec.num_classes, dict(spec.model_args)) == (5, {})


@pytest.mark.parametrize(
    ("changes", "error", "part"),
    [
        ({"architecture": "test_resnett"}, UsageError, "did you mean `test_resnet"),
        ({"architecture": 3}, WeightsError, "architecture"),
        ({"model_args": {"checkpoint_path": "x.pt"}}, WeightsError, "must not set checkpoint_path"),
        ({"model_args": {"no_such_argument": 1}}, UsageError, "no_such_argument"),
        ({"model_args": {"in_chans": 1}}, UsageError, "1 channel"),
        ({"model_args": [1]}, WeightsError, "must be mappings"),
        ({"pretrained_cfg": {"input_size": [1, 28, 28]}}, UsageError, "1 channel"),
        ({"pretrained_cfg": {"input_size": "big"}}, WeightsError, "input_size"),
        ({"pretrained_cfg": {"mean": [0.5]}}, WeightsError, "mean"),
        ({"pretrained_cfg": {"std": [0.5, 0.0, 0.5]}}, WeightsError, "positive"),
        ({"pretrained_cfg": {"crop_pct": 7}}, WeightsError, "crop_pct"),
    ],
)
def test_a_folder_that_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[EdgetlError], part: str
) -> None:
    with pytest.raises(error, match=part):
        _build_folder(tmp_path, **changes)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    write_checkpoint(timm.create_model("test_efficientnet").state_dict(), tmp_path / "w.safetensors")
    backbone = Backbone(name="test_resnet", weights="w.safetensors")
    with pytest.raises(WeightsError, match=r"do not fit `test_resnet`.*another architecture"):
        build(backbone, locate(backbone, tmp_path, []), 5, "squash")


def test_a_torch_checkpoint_of_tensors_is_taken(tmp_path: Path) -> None:
    source = timm.create_model("test_resnet")
    torch.save({"state_dict": source.state_dict()}, tmp_path / "w.pth")
    backbone = Backbone(name="test_resnet", weights="w.pth", input_size=32)
    network, _, audit = build(backbone, locate(backbone, tmp_path, []), 5, "squash")
    name = next(iter(source.state_dict()))
    assert torch.equal(network.state_dict()[name], source.state_dict()[name])
    assert audit.matched == len(source.state_dict()) - 2


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_download_that_fails_names_every_way_without_a_network(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    def fail(*_: object, **__: object) -> object:
        raise OSError("name or service not known")

    name, where = {
        "timm": ("test_resnet", "edgetl.backbones.timm_networks.hub_tensors"),
        "torchvision": ("tv_resnet18", "edgetl.backbones.torchvision_networks.hub_tensors"),
    }[library]
    monkeypatch.setattr(where, fail)
    with pytest.raises(WeightsError, match=r"--weights-dir.*`backbone\.weights`.*local-dir:PATH"):
        build(Backbone(name=name), WeightSource("hub"), 5, "squash")


def test_a_network_without_published_weights_says_so() -> None:
    with pytest.raises(WeightsError, match="no pretrained weights for `efficientnet_l2`"):
        _hub("efficientnet_l2")


def _hub(architecture: str) -> object:
    from edgetl.backbones.timm_networks import hub_tensors

    return hub_tensors(architecture, {})


def test_hub_weights_are_audited_like_any_others(monkeypatch: pytest.MonkeyPatch) -> None:
    source = timm.create_model("test_resnet", num_classes=1000).state_dict()
    monkeypatch.setattr("edgetl.backbones.timm_networks.hub_tensors", lambda *_: source)
    _, _, audit = build(Backbone(name="test_resnet", input_size=32), WeightSource("hub"), 5, "squash")
    assert audit.dropped == ("fc.bias", "fc.weight")
    monkeypatch.setattr("edgetl.backbones.timm_networks.hub_tensors", lambda *_: {"conv1.weight": torch.ones(1)})
    with pytest.raises(WeightsError, match="from the hub: these weights do not fit"):
        build(Backbone(name="test_resnet", input_size=32), WeightSource("hub"), 5, "squash")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("mobilenetv2_10", "did you mean .*`mobilenetv2_100`"),
        ("test_resnet.nonsense", "timm has no network `test_resnet.nonsense`"),
        ("tv_resnet19", "did you mean .*`resnet18`"),
        ("qqqqqqqq", "lists the valid names"),
    ],
)
def test_an_unknown_name_is_a_usage_error_with_the_nearest(name: str, part: str) -> None:
    with pytest.raises(UsageError, match=part) as caught:
        _random(name, None)
    assert len(str(caught.value)) < 300


def test_a_size_the_network_cannot_take_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="`alexnet` cannot take 16x16"):
        _random("tv_alexnet", 16)
    with pytest.raises(UsageError, match=r"input_size.*cannot take 100x100"):
        _random("test_vit", 100)


@pytest.mark.parametrize(("name", "size"), [("test_resnet", 32), ("test_vit", 48), ("tv_squeezenet1_1", 32)])
def test_a_rebuilt_network_gives_the_same_logits(tmp_path: Path, name: str, size: int) -> None:
    network, spec = _random(name, size)
    get_head(network, spec.classifier).weight.data.normal_()
    write_checkpoint(network.state_dict(), tmp_path / "network.safetensors")
    again = rebuild(spec, tmp_path / "network.safetensors")
    inputs = normalize(torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8), spec.image)
    assert torch.equal(again(inputs), network(inputs))
    assert not again.training


def test_a_rebuild_from_other_tensors_is_refused(tmp_path: Path) -> None:
    _, spec = _random("test_resnet", 32, classes=5)
    other, _ = _random("test_resnet", 32, classes=6)
    write_checkpoint(other.state_dict(), tmp_path / "n.safetensors")
    with pytest.raises(WeightsError, match=r"differ in fc\.bias, fc\.weight"):
        rebuild(spec, tmp_path / "n.safetensors")


def test_fresh_weights_repeat_and_leave_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    one, _ = _random("test_resnet", 32)
    torch.manual_seed(123)
    two, _ = _random("test_resnet", 32)
    torch.set_rng_state(state)
    assert all(torch.equal(left, right) for left, right in zip(one.parameters(), two.parameters(), strict=True))


def test_a_network_without_one_linear_classifier_is_refused() -> None:
    with pytest.raises(UsageError, match="one linear classifier"):
        find_head(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), 4)


def test_normalizing_follows_the_formula() -> None:
    _, spec = _random("test_resnet", 32)
    images = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    expected = (1 - torch.tensor(spec.image.mean)) / torch.tensor(spec.image.std)
    torch.testing.assert_close(normalize(images, spec.image)[0, :, 0, 0], expected)
    pixels = images.permute(0, 2, 3, 1).numpy()
    torch.testing.assert_close(plain(pixels, spec.image, torch.device("cpu"))[0, :, 0, 0], expected)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "tv_squeezenet1_1"])
def test_a_rectangular_input_is_height_and_width_all_the_way(name: str) -> None:
    backbone = Backbone(name=name, pretrained=False, input_size=(64, 96))
    network, spec, _ = build(backbone, WeightSource("none"), 3, "squash")
    assert (spec.image.height, spec.image.width) == (64, 96)
    assert network(torch.zeros(1, 3, 64, 96)).shape == (1, 3)
    assert construct(spec)(torch.zeros(1, 3, 64, 96)).shape == (1, 3)


def test_a_network_that_takes_squares_only_refuses_a_rectangular_input_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"backbone\.input_size: `vit_b_16` cannot take 32x64 pixels") as caught:
        build(Backbone(name="tv_vit_b_16", pretrained=False, input_size=(32, 64)), WeightSource("none"), 3, "squash")
    assert "\n" not in str(caught.value)
