from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgetl.errors import BackendError
from edgetl.pivot.from_torch import capture, to_onnx
from edgetl.pivot.serialize import serialize

_EXPORT = """
import hashlib, torch
from torch import nn
from edgetl.pivot.serialize import serialize
from edgetl.pivot.from_torch import to_onnx
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
print(hashlib.sha256(serialize(to_onnx(network, (3, 8, 8)))).hexdigest())
"""


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    ).eval()


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return to_onnx(_network(), (3, 8, 8))


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_the_onnx_model_is_the_network_for_every_batch_size(model: onnx.ModelProto, batch: int) -> None:
    x = torch.randn(batch, 3, 8, 8)
    found = onnxruntime.InferenceSession(serialize(model)).run(["logits"], {"input": x.numpy()})[0]
    np.testing.assert_allclose(found, _network()(x).detach().numpy(), atol=1e-5)


def test_nothing_of_this_machine_is_in_the_file(model: onnx.ModelProto) -> None:
    data = serialize(model)
    for trace in (str(Path.home()), str(Path(torch.__file__).parent), "site-packages", "torch", ".py"):
        assert trace.encode() not in data, trace


def test_exporting_in_another_process_gives_equal_bytes(model: onnx.ModelProto) -> None:
    other = subprocess.run([sys.executable, "-c", _EXPORT], capture_output=True, text=True, check=True)
    assert other.stdout == hashlib.sha256(serialize(model)).hexdigest() + "\n"  # and the exporter says nothing


def test_the_capture_has_no_in_place_operators() -> None:
    graph = capture(_network(), (3, 8, 8)).graph
    names = [str(node.target) for node in graph.nodes if node.op == "call_function"]
    assert "aten.relu.default" in names
    assert not [name for name in names if "_." in name]


def test_a_flattened_map_may_be_channels_last_in_memory() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 2)).eval()
    captured = capture(network, (3, 8, 8)).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 8, 8)
    found = captured(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, network(x))


class _Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3)) if float(x.sum()) > 0 else x.amax((2, 3))


@pytest.mark.parametrize("export", [capture, to_onnx])
def test_a_network_that_cannot_be_captured_is_refused_in_one_line(export: object) -> None:
    with pytest.raises(BackendError, match="refused the network _Branching") as refusal:
        export(_Branching(), (3, 8, 8))  # type: ignore[operator]
    assert "\n" not in str(refusal.value)
