"""The forecast against ONNX Runtime itself, run under qemu as on a Haswell CPU, which has AVX2 and no VNNI."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from saturating_models import DEPTHWISE, LAYERS, bright_images, network

from edgetl.diagnose.forecast.forecast import exact, outputs, saturated
from edgetl.diagnose.forecast.layers import layers_of
from edgetl.diagnose.forecast.network import Network

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LEFT_INEXACT = "QLinearMatMul"  # seen in onnxruntime 1.31: its exact mode leaves this operator as it is

# every model of a folder on its input, in each of the modes: 0 as it is, 1 the exact mode of ONNX Runtime
SCRIPT = """
import pathlib, sys
import numpy as np, onnxruntime
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    for mode in sys.argv[2]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.x64quantprecision", mode)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        (found,) = session.run(None, {name: np.load(path.with_suffix(".npy"))})
        np.save(path.with_suffix(f".{mode}.npy"), found)
"""


def emulated(folder: Path, modes: str = "01") -> None:
    """Run every model of a folder as on a Haswell CPU: <name>.onnx on <name>.npy gives <name>.<mode>.npy."""
    emulator = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("no qemu for x86-64 on the PATH; apt-get install qemu-user-static")
    if platform.machine() != "x86_64":
        pytest.skip(f"this machine's Python and onnxruntime are for {platform.machine()}, not x86-64")
    done = subprocess.run(
        [emulator, "-cpu", "Haswell", sys.executable, "-c", SCRIPT, str(folder), modes],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ONNX Runtime answers without VNNI: <case>.0.npy, and with the exact mode <case>.1.npy."""
    folder = tmp_path_factory.mktemp("emulated")
    for name, (model, data) in (LAYERS | DEPTHWISE).items():
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        np.save(folder / f"{name}.npy", data)
    (folder / "network.onnx").write_bytes(network().SerializeToString())
    np.save(folder / "network.npy", bright_images(4))
    emulated(folder)
    return folder


def read(folder: Path, name: str, mode: int) -> NDArray[np.generic]:
    found: NDArray[np.generic] = np.load(folder / f"{name}.{mode}.npy")
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_a_saturating_layer_answers_as_forecast_to_the_bit(answers: Path, name: str) -> None:
    model, data = LAYERS[name]
    (layer,), _ = layers_of(model)
    np.testing.assert_array_equal(saturated(layer, data), read(answers, name, 0))
    assert (saturated(layer, data) != exact(layer, data)).any(), "the case is meant to saturate"


@pytest.mark.parametrize("name", [name for name in LAYERS if name != LEFT_INEXACT])
def test_the_exact_mode_of_onnx_runtime_gives_the_sums_without_saturation(answers: Path, name: str) -> None:
    model, data = LAYERS[name]
    (layer,), _ = layers_of(model)
    np.testing.assert_array_equal(exact(layer, data), read(answers, name, 1))


@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise_convolutions_do_not_saturate(answers: Path, name: str) -> None:
    np.testing.assert_array_equal(read(answers, name, 0), read(answers, name, 1))


def test_a_whole_network_answers_as_forecast_to_the_bit(answers: Path) -> None:
    found = read(answers, "network", 0)
    np.testing.assert_array_equal(outputs(Network(network()), [bright_images(4)], saturated)["logits"], found)
    assert (found != read(answers, "network", 1)).any()
