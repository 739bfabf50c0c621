"""Networks for series: rebuilt as they were, folded, attached in float32, and refused for another front."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from windows import wave

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.examples import as_exported, noise, normalize, raw, views
from edgetl.backbones.load import build
from edgetl.backbones.series.native import NAMES, WindowSource
from edgetl.backbones.weights import locate
from edgetl.errors import UsageError
from edgetl.pivot.attach import attach
from edgetl.pivot.fold import fold
from edgetl.pivot.from_torch import to_onnx
from edgetl.recipes.fronts import Series
from edgetl.recipes.recipe import Backbone
from edgetl.types import NetworkSpec, SeriesPreprocessing, Windows
from edgetl.types.findings import Audit

WINDOWS = Windows(("x", "y"), 0.1, (40, 60), (3.0, -2.0), (2.0, 0.5))
P = SeriesPreprocessing(60, WINDOWS.mean, WINDOWS.std)


def opened(name: str, steps: int | None = None, windows: Windows = WINDOWS) -> tuple[nn.Module, NetworkSpec, Audit]:
    backbone = Backbone(name=name)
    series = Series() if steps is None else Series(steps=steps)
    return build(backbone, locate(backbone, Path(), ()), 3, WindowSource(windows, series))


def stored(count: int = 6, steps: int = 60) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    time_steps = np.stack([wave(steps, 2, seed) for seed in range(count)])
    return (time_steps * np.array(P.std, np.float32) + np.array(P.mean, np.float32)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_networks_see_the_longest_shot_in_units_of_its_channels(name: str) -> None:
    network, spec, audit = opened(name)
    assert spec.preprocessing == P
    assert (audit.matched, spec.num_classes) == (0, 3)
    assert network(normalize(raw(stored(), P), P)).shape == (6, 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("steps", "channels"), [(4, 1), (17, 3), (300, 12)])
def test_any_length_and_number_of_channels_fits(name: str, steps: int, channels: int) -> None:
    windows = Windows(tuple("abcdefghijkl"[:channels]), 0, (steps,), (0.0,) * channels, (1.0,) * channels)
    network, _, _ = opened(name, steps, windows)
    assert network(torch.randn(2, channels, steps)).shape == (2, 3)


@pytest.mark.parametrize("name", ["minirocket", "resnet_1d"])
def test_batch_norms_fold_into_the_convolutions_before_them(name: str) -> None:
    network, _, _ = opened(name)
    network.train()(normalize(raw(stored(), P), P))  # statistics of their own
    norms = sum(isinstance(part, nn.BatchNorm1d) for part in network.modules())
    folded = fold(network.eval(), P.network_shape)
    left = 1 if name == "minirocket" else 0  # that of the features has no layer before it
    assert (folded.folded, folded.left) == (norms - left, left)


@pytest.mark.parametrize("name", ["minirocket", "gru"])
def test_the_exported_graph_takes_windows_in_the_sensors_units(name: str) -> None:
    network, _, _ = opened(name)
    network.train()(normalize(raw(stored(), P), P))
    model = attach(to_onnx(network.eval(), P.network_shape, ("logits",)), P, ["a", "b", "c"])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [(each.name, each.type, each.shape[1:]) for each in session.get_inputs()] == [
        ("series", "tensor(float)", [60, 2])
    ]
    (found,) = session.run(["logits"], {"series": stored()})
    with torch.no_grad():
        expected = network(as_exported(stored(), P)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_kernels_of_minirocket_sum_to_zero_and_are_never_trained() -> None:
    network, _, _ = opened("minirocket")
    weights = [part.get_buffer("weight") for part in network.modules() if type(part).__name__ == "FixedConv1d"]
    assert len(weights) == 3  # dilations 1, 2 and 4 fit into 60 steps
    assert all(torch.all(weight.sum(2) == 0) for weight in weights)
    assert [name for name, _ in network.named_parameters()] == ["classifier.weight", "classifier.bias"]


def test_equal_builds_give_equal_networks() -> None:
    one, other = (opened("minirocket")[0].state_dict() for _ in range(2))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("name", ["resnet_1d", "gru", "lstm"])
def test_weights_of_another_set_are_taken_over_as_far_as_shapes_allow(name: str, tmp_path: Path) -> None:
    trained, _, _ = opened(name)
    for tensor in trained.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor))
    write_checkpoint(trained.state_dict(), tmp_path / "other.safetensors")
    backbone = Backbone(name=name, weights=str(tmp_path / "other.safetensors"))
    source = locate(backbone, Path(), ())
    for channels, new in ((2, 0), (5, 1)):
        windows = Windows(tuple("abcde"[:channels]), 0, (90,), (0.0,) * channels, (1.0,) * channels)
        network, _, audit = build(backbone, source, 7, WindowSource(windows, Series()))
        kept = {name for name, tensor in network.state_dict().items() if name in trained.state_dict()}
        equal = {
            each for each in kept if torch.equal(network.state_dict()[each], trained.state_dict()[each])
        }  # fmt: skip
        assert len(kept - equal) == 2 + new  # the head, and the first layer where the channels differ
        assert len(audit.notes) == new
        assert len(audit.new) == 2 + new
        assert len(audit.dropped) == 2 + new
        assert audit.matched == len(kept) - 2 - new


def test_names_of_another_front_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no network for series is called `resnet_1`; did you mean `resnet_1d`"):
        opened("resnet_1")
    backbone = Backbone(name="gru")
    with pytest.raises(UsageError, match=r"`gru` is for front: series, not for front: image"):
        build(backbone, locate(backbone, Path(), ()), 3, "squash")


def test_views_differ_repeat_with_their_seed_and_stay_near() -> None:
    windows = raw(stored(20), P)
    light = views("light", P)
    one, same = (light(windows, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, light(windows, torch.Generator().manual_seed(4)))
    distance = ((one - windows) / torch.tensor(P.std)).square().mean().sqrt()
    assert 0.05 < distance < 0.6
    assert views("none", P)(windows, torch.Generator()) is windows
    assert noise(P, 5).shape == (5, 60, 2)
    with pytest.raises(UsageError, match="unknown augmentation policy `speech`"):
        views("speech", P)
