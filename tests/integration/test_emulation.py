"""A small real model, natively and as aarch64 code under qemu: the same function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import load_file
from small_runs import small_run

from edgetl.bench import qemu
from edgetl.bench.builds import Candidate, TargetBuilds
from edgetl.bench.measure_builds import measure_builds
from edgetl.bench.result import BENCH_FILE, PREDICTIONS_FILE, read_bench
from edgetl.errors import BackendError
from edgetl.recipes.targets import load_target
from edgetl.types import Compiled, ImagePreprocessing, Sample, Split

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def _emulator() -> None:
    obstacle = qemu.missing()
    if obstacle is not None:
        pytest.skip(f"{obstacle.reason}; {obstacle.remedy}")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """uint8 NHWC image -> cast -> NCHW -> quantized convolution with ReLU -> mean -> 4 logits."""
    generator = np.random.default_rng(0)
    constants: dict[str, NDArray[np.generic] | np.generic] = {
        "scale": np.float32(1 / 255),
        "zero": np.uint8(0),
        "weight": generator.integers(-64, 65, (4, 3, 3, 3)).astype(np.int8),  # 2 x 64 x 255: no pair saturates
        "weight_scale": np.linspace(0.001, 0.004, 4, dtype=np.float32),
        "weight_zero": np.zeros(4, np.int8),
        "out_scale": np.float32(0.02),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["nchw", "scale"], ["unit"]),
        helper.make_node("QuantizeLinear", ["unit", "scale", "zero"], ["q_in"]),
        helper.make_node("DequantizeLinear", ["q_in", "scale", "zero"], ["dq_in"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["dq_weight"], axis=0),
        helper.make_node("Conv", ["dq_in", "dq_weight"], ["conv"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("QuantizeLinear", ["relu", "out_scale", "zero"], ["q_out"]),
        helper.make_node("DequantizeLinear", ["q_out", "out_scale", "zero"], ["dq_out"]),
        helper.make_node("GlobalAveragePool", ["dq_out"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 16, 16, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    return path


@pytest.mark.usefixtures("_emulator")
def test_arm_answers_as_this_machine_does(model: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    native = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])
    arm = qemu.outputs(model, images, timeout_s=300)["logits"]
    assert arm.dtype == np.float32
    # single quantization steps (0.02) of single pixels may differ between CPUs, means hardly
    np.testing.assert_allclose(arm, native, atol=0.005)
    np.testing.assert_array_equal(arm.argmax(axis=1), native.argmax(axis=1))


@pytest.mark.usefixtures("_emulator")
def test_all_images_are_answered_here_and_some_of_them_as_arm_answers_them(model: Path, tmp_path: Path) -> None:
    pictures = np.random.default_rng(2).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    samples = []
    for index, picture in enumerate(pictures):
        path = tmp_path / f"{index}.png"
        Image.fromarray(picture).save(path)
        samples.append(Sample(str(path), index % 4, ""))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    native = np.concatenate([session.run(None, {"image": picture[None]})[0] for picture in pictures])
    builds = TargetBuilds(
        target=load_target("arm64-cpu"),
        candidates=(Candidate(model.parent, Compiled("onnxruntime", "1", "int8", model.name, (model.name,))),),
        preprocessing=ImagePreprocessing(16, 16, "squash", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        reference=native,
    )
    split = Split(tuple("abcd"), (), tuple(samples), (), "squash", "", "")
    (out := tmp_path / "out").mkdir()
    measure_builds(small_run(split, tmp_path, bench={"emulated_images": 6}), builds, out)
    bench = read_bench(out / BENCH_FILE)
    (build,) = bench.builds
    assert bench.emulated
    assert build.accuracy is not None
    assert build.host is not None
    assert (build.accuracy.images, build.host.emulated_images, build.host.same) == (24, 6, 6)
    assert build.accuracy.drop_points.value == 0
    assert build.host.max_abs_diff < 0.005  # as above
    assert load_file(out / PREDICTIONS_FILE)["int8"].shape == (6, 4)


@pytest.mark.usefixtures("_emulator")
def test_a_broken_model_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(BackendError, match=r"model\.onnx: onnxruntime for ARM rejects it: .*model") as caught:
        qemu.outputs(path, np.zeros((1, 4, 4, 3), np.uint8), timeout_s=300)
    assert not isinstance(caught.value, qemu.EmulationError)


@pytest.mark.usefixtures("_emulator")
def test_the_version_is_that_of_the_runtime_that_answers() -> None:
    assert qemu.version().count(".") == 2


@pytest.mark.usefixtures("_emulator")
def test_a_guest_that_is_too_slow_is_ended(model: Path) -> None:
    with pytest.raises(qemu.EmulationError, match=r"did not finish within 0\.05 s"):
        qemu.outputs(model, np.zeros((1, 16, 16, 3), np.uint8), timeout_s=0.05)
