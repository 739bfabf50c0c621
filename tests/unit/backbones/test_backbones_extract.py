"""Activations of frozen networks, and networks cut in two."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgetl.backbones.augment import Augment
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
from edgetl.progress import Silent
from edgetl.recipe import Backbone
from edgetl.types import Sample, WeightSource

SIZE = 64


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def frozen(name: str) -> Frozen:
    network, spec, _ = build(Backbone(name=name, pretrained=False, input_size=SIZE), WeightSource("none"), 3, "squash")
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
    one, shots, augment = frozen("test_resnet"), samples(tmp_path), Augment("natural", SIZE, SIZE)

    def view(cache: str, number: int, seed: int = 0) -> np.ndarray:
        rows = pooled_features(one, shots, tmp_path / cache, augment=augment, view=number, seed=seed, progress=Silent())
        return rows.read()

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


def test_multiply_accumulates_are_counted_per_image() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3, padding=1, groups=2), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 5)
    )
    assert count_macs(network, torch.zeros(1, 4, 6, 6)) == 8 * 36 * (2 * 9) + 5 * 8 * 36
