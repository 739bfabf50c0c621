"""Checkpoints of the usual training programs give the very features of the plain one; others are named for what they
are. The cases of the reports: averaged-weights, not-a-checkpoint, grey-network, transformers-folder."""

from __future__ import annotations

import argparse
import json
import zipfile
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgetl.backbones.classifier import features, find_head
from edgetl.backbones.load import build
from edgetl.backbones.weights import locate
from edgetl.errors import EdgetlError, UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.types.findings import Audit

NAME, OLD_CLASSES, CLASSES = "test_resnet", 7, 5
State = dict[str, Tensor]


@cache
def network(seed: int = 0, channels: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    made: nn.Module = timm.create_model(NAME, num_classes=OLD_CLASSES, in_chans=channels).eval()
    return made


def state(seed: int = 0) -> State:
    return dict(network(seed).state_dict())


def under(prefix: str, tensors: State) -> State:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def saved(tmp_path: Path, content: object, name: str = "weights.pth") -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


def loaded(path: Path, name: str = NAME) -> tuple[nn.Module, Audit]:
    backbone = Backbone(name=name, weights=path.name, input_size=32)
    made, _, audit = build(backbone, locate(backbone, path.parent, []), CLASSES, "squash")
    return made, audit


@torch.no_grad()
def features_of(made: nn.Module, inputs: Tensor | None = None) -> Tensor:
    inputs = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32) if inputs is None else inputs
    return features(made, find_head(made, made.get_classifier().out_features), inputs)[0]  # type: ignore[operator]


def refusal(path: Path) -> str:
    with pytest.raises(EdgetlError) as caught:
        loaded(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def lightning(tensors: State) -> dict[str, Any]:
    extra = {"loss.weight": torch.ones(3), "metric.total": torch.zeros(())}
    return {
        "epoch": 3,
        "global_step": 100,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {**under("model.", tensors), **extra},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}],
        "lr_schedulers": [],
    }


def mmcv(tensors: State) -> dict[str, Any]:
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    head = {"head.fc.weight": torch.ones(OLD_CLASSES, 64), "head.fc.bias": torch.zeros(OLD_CLASSES)}
    return {"meta": {"mmcls_version": "0.25"}, "state_dict": OrderedDict({**under("backbone.", kept), **head})}


def fastai(tensors: State) -> dict[str, Any]:
    order = {name: str(index) for index, (name, _) in enumerate(network().named_children())}
    body = {}
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        if first != "fc":
            body[f"0.{order[first]}.{rest}"] = tensor
    return {"model": {**body, "1.2.weight": torch.ones(64), "1.8.weight": torch.ones(OLD_CLASSES, 64)}, "opt": {}}


def optimizer_beside(tensors: State) -> dict[str, Any]:
    made = network()
    optimizer = torch.optim.AdamW(made.parameters())
    return {"model": tensors, "optimizer": optimizer.state_dict(), "epoch": 1, "best_acc": np.float64(93.2)}


PROGRAMS: dict[str, Any] = {
    "plain": lambda s: s,
    "timm train.py": lambda s: {"epoch": 3, "arch": NAME, "state_dict": s, "args": argparse.Namespace(lr=0.1), "v": 2},
    "torchvision references": optimizer_beside,
    "DataParallel": lambda s: under("module.", s),
    "torch.compile": lambda s: under("_orig_mod.", s),
    "torch.compile of DistributedDataParallel": lambda s: {"state_dict": under("module._orig_mod.", s)},
    "model.": lambda s: under("model.", s),
    "backbone.": lambda s: under("backbone.", s),
    "net.": lambda s: under("net.", s),
    "lightning": lightning,
    "mmcv": mmcv,
    "fastai": fastai,
    "fastai with timm": lambda s: {"model": under("0.model.", s), "opt": {}},
    "TimmWrapper of transformers": lambda s: under("timm_model.", s),
    "accelerate and a wrapper in a wrapper": lambda s: {"state": {"model_state": under("module.model.net.", s)}},
    "net": lambda s: {"net": s, "acc": 93.2, "epoch": 3},
    "numpy score": lambda s: {"state_dict": s, "best": np.float64(0.9)},
    "settings and a place": lambda s: {"state_dict": s, "args": argparse.Namespace(out=Path("runs"))},
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_checkpoints_of_the_usual_training_programs_give_the_very_features(tmp_path: Path, program: str) -> None:
    made, audit = loaded(saved(tmp_path, PROGRAMS[program](state())))
    assert torch.equal(features_of(made), features_of(network()))
    assert audit.matched == len(state()) - 2


def test_what_lies_beside_the_network_is_accounted_for(tmp_path: Path) -> None:
    _, audit = loaded(saved(tmp_path, lightning(state())))
    assert set(audit.dropped) == {"fc.weight", "fc.bias", "loss.weight", "metric.total"}


# --- averaged-weights


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda a, b: {"state_dict": b, "state_dict_ema": a}, "`state_dict_ema`, the averaged weights; not state_dict"),
        (lambda a, b: {"model": b, "model_ema": under("module.", a)}, "`model_ema`, the averaged weights; not model"),
        (lambda a, _: {"epoch": 3, "state_dict_ema": a}, "taken from `state_dict_ema`, the averaged weights"),
        (
            lambda a, b: {"state_dict": {**under("model.", b), **under("ema_model.module.", a)}},
            "begin with `ema_model.module.`, the averaged weights; not model.",
        ),
        (lambda a, _: {"net": a, "acc": 93.2}, "taken from `net`"),
    ],
)
def test_averaged_weights_are_taken_as_timm_takes_them_and_named(tmp_path: Path, content: Any, said: str) -> None:
    made, audit = loaded(saved(tmp_path, content(state(1), state(2))))
    assert torch.equal(features_of(made), features_of(network(1)))
    (note,) = audit.notes
    assert said in note


def test_where_nothing_tells_which_network_is_meant_the_choice_is_the_users(tmp_path: Path) -> None:
    for content in (
        {"student": state(1), "teacher": state(2)},
        {**under("encoder_q.", state(1)), **under("encoder_k.", state(2))},
    ):
        message = refusal(saved(tmp_path, content))
        assert "several sets of weights that match" in message
        assert "save only one of them" in message


def test_a_usual_name_says_nothing(tmp_path: Path) -> None:
    assert loaded(saved(tmp_path, {"state_dict": under("module.", state())}))[1].notes == ()


def test_another_shape_under_a_prefix_is_named_by_the_networks_own_name(tmp_path: Path) -> None:
    wrong = {**state(), "conv1.0.weight": torch.zeros(1, 3, 9, 9)}
    assert "conv1.0.weight has shape 1x3x9x9" in refusal(saved(tmp_path, under("module.model.", wrong)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "found an empty mapping"),
        ([1, 2], "found a list"),
        ({"epoch": 3, "loss": [1.0]}, "found 'epoch': int, 'loss': list"),
        ({"optimizer": {"state": {"w": torch.ones(2)}}}, "found 'optimizer': dict"),
        (torch.ones(3), "found a Tensor"),
    ],
)
def test_what_was_found_instead_of_a_state_dict_is_said(tmp_path: Path, content: object, words: str) -> None:
    message = refusal(saved(tmp_path, content))
    assert "a mapping of names to tensors (a state dict)" in message
    assert words in message


class _Own:
    pass


def test_a_python_object_is_named(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, {"state_dict": state(), "config": _Own()}))
    assert "_Own" in message
    assert "save_file(model.state_dict()" in message


# --- not-a-checkpoint


def _zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/best.pth", b"x" * 100)


_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 7212345\n"
NOT_CHECKPOINTS: dict[str, tuple[Any, str]] = {
    "pointer.pth": (_POINTER, "a Git LFS pointer; run git lfs pull"),
    "pointer.safetensors": (_POINTER, "a Git LFS pointer; run git lfs pull"),
    "page.pth": (b"<!DOCTYPE html><html><title>Virus scan warning</title></html>", "a web page"),
    "keras.h5": (b"\x89HDF\r\n\x1a\n" + bytes(200), "an HDF5 file (Keras"),
    "own.onnx": (b"\x08\x0a\x12\x03abc" + bytes(30), "a trained ONNX model has a command of its own: edgetl import"),
    "zipped.pth": (_zipped, "a zip archive; unpack it first"),
    "empty.pth": (b"", "an empty file"),
    "picture.safetensors": (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG"),
}


@pytest.mark.parametrize("name", NOT_CHECKPOINTS)
def test_what_is_not_a_checkpoint_is_named_for_what_it_is(tmp_path: Path, name: str) -> None:
    content, words = NOT_CHECKPOINTS[name]
    if callable(content):
        content(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert words in message
    assert "pickle" not in message


@pytest.mark.parametrize("dtype", ["F4", "F8_E4M3", "F8_E5M2", "F8_E8M0"])
def test_numbers_of_four_and_eight_bits_are_a_weights_error(tmp_path: Path, dtype: str) -> None:
    size = 4 if dtype == "F4" else 8
    header = json.dumps({"conv1.0.weight": {"dtype": dtype, "shape": [8], "data_offsets": [0, size]}})
    padded = header.ljust(-(-len(header) // 8) * 8).encode()
    data = len(padded).to_bytes(8, "little") + padded + bytes(size)
    (tmp_path / "w.safetensors").write_bytes(data)
    message = refusal(tmp_path / "w.safetensors")
    assert "save the weights as float32" in message or "not a complete safetensors file" in message


# --- grey-network


def test_a_gray_network_computes_the_same_of_gray_pictures(tmp_path: Path) -> None:
    made, audit = loaded(saved(tmp_path, network(0, 1).state_dict()))
    gray = torch.linspace(-1, 1, 2 * 32 * 32).reshape(2, 1, 32, 32)
    torch.testing.assert_close(
        features_of(made, gray.expand(2, 3, 32, 32)), features_of(network(0, 1), gray), rtol=1e-5, atol=1e-5
    )
    assert "made for 1 channel" in audit.notes[0]


def test_a_gray_network_with_a_mean_per_color_is_refused_with_the_cause(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = saved(tmp_path, timm.create_model("mobilenetv3_small_050", in_chans=1).state_dict())
    with pytest.raises(WeightsError, match=r"made for 1 channel, .* a different mean and std for each color"):
        loaded(path, "mobilenetv3_small_050")


def _folder(tmp_path: Path, tensors: State, **config: object) -> Backbone:
    (tmp_path / "own").mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "own/model.safetensors")
    (tmp_path / "own/config.json").write_text(json.dumps(config))
    return Backbone(name="local-dir:own", input_size=32)


def _build(backbone: Backbone, base: Path) -> nn.Module:
    return build(backbone, locate(backbone, base, []), CLASSES, "squash")[0]


def test_a_folder_for_one_channel_is_taken_where_mean_and_std_are_one(tmp_path: Path) -> None:
    cfg = {"input_size": [1, 32, 32], "mean": [0.4], "std": [0.2]}
    backbone = _folder(
        tmp_path, network(0, 1).state_dict(), architecture=NAME, model_args={"in_chans": 1}, pretrained_cfg=cfg
    )
    made, spec, _ = build(backbone, locate(backbone, tmp_path, []), CLASSES, "squash")
    assert spec.image.mean == (0.4, 0.4, 0.4)
    assert made.state_dict()["conv1.0.weight"].shape[1] == 3


# --- transformers-folder


def test_a_folder_of_transformers_is_named_and_the_way_on_with_it(tmp_path: Path) -> None:
    backbone = _folder(tmp_path, state(), architectures=["ViTForImageClassification"], model_type="vit")
    with pytest.raises(WeightsError, match=r"written by transformers \('ViTForImageClassification'\), not by timm"):
        _build(backbone, tmp_path)


def test_a_timm_wrapper_of_transformers_loads(tmp_path: Path) -> None:
    config = {"architectures": ["TimmWrapperForImageClassification"], "model_type": "timm_wrapper"}
    wrapped = under("timm_model.", state())
    backbone = _folder(tmp_path, wrapped, **config, architecture=NAME, pretrained_cfg={"input_size": [3, 32, 32]})
    assert torch.equal(features_of(_build(backbone, tmp_path)), features_of(network()))


def test_a_config_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="expected `architecture`, a timm name; found None"):
        _build(_folder(tmp_path, state()), tmp_path)


def test_a_folder_for_two_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="made for 2 channels"):
        _build(_folder(tmp_path, state(), architecture=NAME, model_args={"in_chans": 2}), tmp_path)
