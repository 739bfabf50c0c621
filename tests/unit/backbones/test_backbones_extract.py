"""Activations of frozen networks, and networks cut in two."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import VisionTransformer

from edgetl.backbones.cut import count_macs, cut_network
from edgetl.backbones.extract import (
    Frozen,
    Point,
    View,
    activations,
    freeze_network,
    logits_of_pixels,
    pooled_features,
    run_to,
    tensors_digest,
)
from edgetl.backbones.load import build
from edgetl.recipes.recipe import Backbone
from edgetl.types import ImagePreprocessing, NetworkSpec, Sample, Silent, WeightSource

SIZE = 64
SPEC = NetworkSpec(
    "timm", "made up", {}, 3, "fc", ImagePreprocessing(SIZE, SIZE, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
)


pytestmark = pytest.mark.usefixtures("one_thread")


def frozen(name: str, size: int | None = SIZE) -> Frozen:
    network, spec, _ = build(Backbone(name=name, pretrained=False, input_size=size), WeightSource("none"), 3, "squash")
    return freeze_network(network, spec)


def samples(folder: Path, count: int = 5) -> list[Sample]:
    made = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (SIZE, SIZE, 3), np.uint8)).save(path)
        made.append(Sample(str(path), number % 3, hashlib.sha256(path.read_bytes()).hexdigest()))
    return made


def pixels(count: int = 3) -> torch.Tensor:
    return 255 * torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_pooled_features_are_what_the_classifier_is_applied_to(tmp_path: Path) -> None:
    one = frozen("test_resnet")
    shots = samples(tmp_path)
    found = pooled_features(one, shots, tmp_path / "cache", progress=Silent()).read()
    images = torch.stack([torch.from_numpy(np.array(Image.open(s.path))).permute(2, 0, 1) for s in shots]).float()
    layer = one.network.get_submodule("fc")
    assert isinstance(layer, torch.nn.Linear)
    logits = torch.from_numpy(found) @ layer.weight.T + layer.bias
    assert torch.allclose(logits, logits_of_pixels(one, images), atol=1e-2)


def test_features_are_found_again_and_another_network_has_its_own(tmp_path: Path) -> None:
    one, shots = frozen("test_resnet"), samples(tmp_path)
    first = pooled_features(one, shots, tmp_path / "cache", progress=Silent())
    assert pooled_features(one, shots, tmp_path / "cache", progress=Silent()).path == first.path
    with torch.no_grad():
        next(one.network.parameters()).add_(1.0)
    other = freeze_network(one.network, one.spec)
    assert pooled_features(other, shots, tmp_path / "cache", progress=Silent()).path != first.path
    assert pooled_features(one, shots[:4], tmp_path / "cache", progress=Silent()).path != first.path


def test_views_differ_from_each_other_and_are_equal_in_two_runs(tmp_path: Path) -> None:
    one, shots = frozen("test_resnet"), samples(tmp_path)

    def view(cache: str, number: int, seed: int = 0) -> np.ndarray:
        shown = View(number, "natural", seed) if number else View(seed=seed)
        return activations(one, shots, tmp_path / cache, (Point(),), shown, progress=Silent())[0].read()

    assert np.array_equal(view("a", 1), view("b", 1))
    assert not np.array_equal(view("a", 1), view("a", 2))
    assert not np.array_equal(view("a", 1), view("a", 1, seed=1))
    assert np.array_equal(view("a", 0), view("a", 0, seed=1))  # the plain view draws nothing


def test_one_run_gives_the_activations_at_several_points(tmp_path: Path) -> None:
    one, shots = frozen("test_resnet"), samples(tmp_path)
    points = (Point("layer2"), Point())
    rows = activations(one, shots, tmp_path / "cache", points, View(), progress=Silent())
    assert rows[0].shape[0] == rows[1].shape[0] == 5
    assert len(rows[0].shape) == 4
    alone = pooled_features(one, shots, tmp_path / "cache", progress=Silent())
    assert alone.path == rows[1].path


def test_the_digest_of_tensors_sees_every_buffer() -> None:
    one = frozen("test_resnet")
    before = tensors_digest(one.network)
    one.network.get_buffer("bn1.running_var")[0] += 1e-3
    assert tensors_digest(one.network) != before


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("test_resnet", "layer2.0"),
        ("mobilenetv2_050", "blocks.2"),
        ("mobilenetv2_050", "conv_stem"),
        ("tv_squeezenet1_1", "features.5"),
        ("tv_resnet18", "layer2.0"),
        ("tf_mobilenetv3_small_minimal_100", "blocks.1"),
    ],
)
def test_the_tail_on_cached_activations_is_the_whole_network(name: str, part: str) -> None:
    one = frozen(name)
    cut = cut_network(one, part)
    assert cut is not None
    images = pixels()
    with torch.no_grad():
        found = cut.tail(run_to(one, (cut.point,), images)[0])
    assert torch.allclose(found, logits_of_pixels(one, images), atol=1e-4)
    left = {key for key, _ in cut.tail.named_parameters()}
    whole = {key for key, _ in one.network.named_parameters()}
    assert left < whole
    assert not any(key.startswith(part + ".") for key in left)


def test_a_network_that_does_more_than_call_its_parts_is_not_cut() -> None:
    one = frozen("test_vit")
    assert cut_network(one, "patch_embed") is None  # position embeddings are added behind it, by no module


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hrnet_w18_small", "stage3.0"),  # hands on a list, one tensor per resolution
        ("mvitv2_tiny", "stages.1"),  # a tuple: tokens and their grid
        ("pit_ti_224", "transformers.0"),
        ("selecsls42", "features.3"),
        ("hrnet_w18_small", "fuse_layers"),  # a part that is never called itself
    ],
)
def test_a_part_that_hands_on_more_than_a_tensor_is_no_place_to_cut(name: str, part: str) -> None:
    one = frozen(name, None if name.startswith("pit") else SIZE)
    part = next((found for found, _ in one.network.named_modules() if found.endswith(part)), part)
    assert cut_network(one, part) is None


def test_a_network_that_asserts_its_input_is_not_cut() -> None:
    network = VisionTransformer(32, 16, 2, 2, 32, 64, num_classes=3)  # refuses what is not 32 pixels high
    preprocessing = replace(SPEC.image, height=32, width=32)
    one = freeze_network(network, replace(SPEC, classifier="heads.head", preprocessing=preprocessing))
    assert cut_network(one, "conv_proj") is None


class Skips(torch.nn.Module):
    """What the second layer is given besides the first one's output is lost behind a cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = (torch.nn.Conv2d(3, 3, 1) for _ in range(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.second(self.first(images)) + images).mean((2, 3))
        return logits


def test_a_classifier_of_zeros_proves_nothing() -> None:
    network = Skips()
    torch.nn.init.zeros_(network.head.weight)
    assert cut_network(freeze_network(network, replace(SPEC, classifier="head")), "first") is None


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, architecture="another"),
        replace(SPEC, library="torchvision"),
        replace(SPEC, model_args={"global_pool": "max"}),
        replace(SPEC, surgery=("relu",)),
    ],
)
def test_equal_tensors_of_another_function_have_another_digest(other: NetworkSpec) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 3))
    assert freeze_network(network, SPEC).digest == freeze_network(network, replace(SPEC)).digest
    assert freeze_network(network, other).digest != freeze_network(network, SPEC).digest


def test_another_version_of_the_library_is_another_function(monkeypatch: pytest.MonkeyPatch) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 3))
    before = freeze_network(network, SPEC).digest
    monkeypatch.setattr("edgetl.backbones.extract.metadata.version", lambda _: "0")
    assert freeze_network(network, SPEC).digest != before


def test_features_of_two_architectures_with_equal_tensors_are_kept_apart(tmp_path: Path) -> None:
    one, two = frozen("efficientnet_b0"), frozen("tf_efficientnet_b0")  # they pad differently
    two.network.load_state_dict(one.network.state_dict())
    two, shots = freeze_network(two.network, two.spec), samples(tmp_path, 2)
    alike = freeze_network(two.network, replace(two.spec, preprocessing=one.spec.image))
    found = [pooled_features(each, shots, tmp_path / "cache", progress=Silent()) for each in (one, alike)]
    assert found[0].path != found[1].path
    assert not np.allclose(found[0].read(), found[1].read())


def test_multiply_accumulates_are_counted_per_image() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3, padding=1, groups=2), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 5)
    )
    assert count_macs(network, torch.zeros(1, 4, 6, 6)) == 8 * 36 * (2 * 9) + 5 * 8 * 36


def test_features_are_computed_again_with_another_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, pictures, cache = frozen("resnet10t"), samples(tmp_path, 2), tmp_path / "cache"
    pooled_features(network, pictures, cache, progress=Silent())
    pooled_features(network, pictures, cache, progress=Silent())
    assert len(list(cache.glob("*.npy"))) == 1
    monkeypatch.setattr("edgetl.fronts.image.front.decoder_versions", lambda: {"pillow": "another"})
    pooled_features(network, pictures, cache, progress=Silent())
    assert len(list(cache.glob("*.npy"))) == 2
