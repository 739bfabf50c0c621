"""A backbone of the user's own: a function in a file, with its weights; every mistake is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgetl.backbones.load import build, rebuild
from edgetl.backbones.module_networks import construct
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.backbones.weights import locate
from edgetl.errors import EdgetlError
from edgetl.recipes.recipe import Backbone
from edgetl.types import NetworkSpec
from edgetl.types.findings import Audit

NET = """
from torch import nn

class Net(nn.Module):
    input_size = (24, 32)
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    classifier = "last"

    def __init__(self, classes):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.last = nn.Linear(8, classes)
        self.unused = nn.Linear(3, classes)

    def forward(self, x):
        return self.last(self.first(x).relu().mean((2, 3)))

def make(num_classes):
    return Net(num_classes)
"""


def written(folder: Path, text: str = NET) -> Backbone:
    """A file, and weights of its network for seven other classes."""
    (folder / "net.py").write_text(text, encoding="utf-8")
    first, last = nn.Conv2d(3, 8, 3), nn.Linear(8, 7)
    tensors = {f"first.{name}": value for name, value in first.state_dict().items()}
    tensors |= {f"last.{name}": value for name, value in last.state_dict().items()}
    tensors |= {f"unused.{name}": value for name, value in nn.Linear(3, 7).state_dict().items()}
    save_file(tensors, folder / "net.safetensors")
    return Backbone.model_validate({"module": "net.py:make", "weights": "net.safetensors"})


def built(folder: Path, backbone: Backbone, classes: int = 7) -> tuple[nn.Module, NetworkSpec, Audit]:
    return build(backbone, locate(backbone, folder, []), classes, "squash")


def test_it_states_its_input_and_which_layer_gives_the_features(tmp_path: Path) -> None:
    network, spec, audit = built(tmp_path, written(tmp_path))
    assert (spec.image.height, spec.image.width, spec.image.mean) == (24, 32, (0.5, 0.5, 0.5))
    assert spec.classifier == "last"
    assert audit.matched >= 2
    assert network(torch.zeros(2, 3, 24, 32)).shape == (2, 7)


def test_it_is_rebuilt_from_its_file_and_saved_weights(tmp_path: Path) -> None:
    network, spec, _ = built(tmp_path, written(tmp_path))
    write_spec(spec, tmp_path / "network.json")
    save_file(dict(network.state_dict()), tmp_path / "state.safetensors")
    again = rebuild(read_spec(tmp_path / "network.json"), tmp_path / "state.safetensors")
    images = torch.rand(3, 3, 24, 32)
    assert torch.equal(again(images), network(images))


def test_a_changed_file_is_another_network(tmp_path: Path) -> None:
    backbone = written(tmp_path)
    _, spec, _ = built(tmp_path, backbone)
    before = locate(backbone, tmp_path, []).digest
    (tmp_path / "net.py").write_text(NET + "\n", encoding="utf-8")
    assert locate(backbone, tmp_path, []).digest != before
    with pytest.raises(EdgetlError, match="changed since the network was adapted"):
        construct(spec.architecture, spec.model_args, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import no_such_package_at_all", r"net\.py: ModuleNotFoundError: No module named"),
        ("def other(n): ...", r"net\.py: has no function `make` \(backbone\.module\)"),
        ("def make(n): return 3", r"net\.py:make: expected a torch\.nn\.Module; found int"),
        ("def make(): ...", r"net\.py:make: TypeError: make\(\) takes 0 positional arguments"),
        (NET.replace("    input_size = (24, 32)\n", ""), "expected the attribute input_size"),
        (NET.replace("(0.25, 0.25, 0.25)", "0.25"), "std: expected three numbers"),
        ("raise ValueError('first line\\nsecond')", r"net\.py: ValueError: first line \(backbone\.module\)"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(EdgetlError, match=expected) as refused:
        built(tmp_path, written(tmp_path, text))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"module": "net.py"}, "expected FILE.py:FUNCTION, as in net.py:make; found `net.py`"),
        ({"module": "missing.py:make", "weights": "net.safetensors"}, r"missing\.py: no such file"),
        ({"module": "net.py:make"}, "name its weights"),
        ({"module": "net.py:make", "weights": "no.safetensors"}, r"no\.safetensors: no such file"),
    ],
)
def test_a_mistake_in_the_recipe_is_one_line(tmp_path: Path, values: dict[str, str], expected: str) -> None:
    written(tmp_path)
    with pytest.raises(EdgetlError, match=expected):
        locate(Backbone.model_validate(values), tmp_path, [])


def test_random_weights_are_taken_if_asked_for(tmp_path: Path) -> None:
    written(tmp_path)
    backbone = Backbone.model_validate({"module": "net.py:make", "pretrained": False})
    network, _, audit = built(tmp_path, backbone, 2)
    assert audit.matched == 0
    assert network(torch.zeros(1, 3, 24, 32)).shape == (1, 2)
