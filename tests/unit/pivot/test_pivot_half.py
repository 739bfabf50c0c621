"""float16: the range that decides, and the converted network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from PIL import Image
from safetensors.torch import save_file
from small_runs import small_run

from edgetl.backbones.load import construct
from edgetl.backbones.spec import write_spec
from edgetl.errors import UsageError
from edgetl.pivot.export import export_pivot
from edgetl.pivot.half import measure_range, to_float16
from edgetl.pivot.pivot import HalfRange, Pivot, available, left_out, model_for, read_pivot
from edgetl.recipes.targets import load_target
from edgetl.types import ImagePreprocessing, NetworkSpec, Sample, Split

P = ImagePreprocessing(32, 32, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SPEC = NetworkSpec("timm", "test_resnet", {}, 2, "fc", P)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    samples = []
    for index in range(10):
        path = folder / f"{index}.png"
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        samples.append(Sample(str(path), index % 2, ""))
    return Split(("a", "b"), tuple(samples[:4]), tuple(samples[4:]), (), "squash", "", "")


def _export(folder: Path, split: Split, *, half: bool = True, factor: float = 1.0) -> Pivot:
    """`factor` scales the first convolution: its values, not what a viewer of the weights' shapes would see."""
    torch.manual_seed(0)
    network = construct(SPEC)
    state = network.state_dict()
    first = next(name for name, module in network.named_modules() if isinstance(module, torch.nn.Conv2d))
    state[f"{first}.weight"] *= factor
    (folder / "adapted").mkdir()
    save_file(state, folder / "adapted" / "network.safetensors")
    write_spec(SPEC, folder / "adapted" / "network.json")
    (folder / "pivot").mkdir()
    run = small_run(split, folder, targets=["nvidia-rtx" if half else "null"])
    export_pivot(run, folder / "adapted", {}, folder / "pivot")
    return read_pivot(folder / "pivot")


def test_the_pivot_has_a_float16_model_that_is_the_float_network(split: Split, tmp_path: Path) -> None:
    pivot = _export(tmp_path, split)
    assert [model.precision for model in pivot.models] == ["float32", "float16"]
    half = pivot.models[1]
    assert half.parity is not None
    assert half.parity.images == 6
    assert 0 < half.parity.max_abs_diff <= half.parity.tolerance
    model = onnx.load_model(tmp_path / "pivot" / half.file)
    weights = [t for t in model.graph.initializer if len(t.dims) == 4 and t.dims[-1] == 3]
    assert weights
    assert {t.data_type for t in weights} == {TensorProto.FLOAT16}
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert (tmp_path / "pivot" / half.file).stat().st_size < 0.7 * (tmp_path / "pivot" / "float32.onnx").stat().st_size


def test_a_target_with_float16_builds_gets_that_model(split: Split, tmp_path: Path) -> None:
    pivot, target = _export(tmp_path, split), load_target("nvidia-rtx")
    assert available(pivot, target) == ("float16", "float32")
    assert model_for(pivot, target, "float16").file == "float16.onnx"
    assert model_for(pivot, target, "bfloat16").file == "float32.onnx"


def test_without_a_target_that_wants_it_nothing_is_looked_at(split: Split, tmp_path: Path) -> None:
    pivot = _export(tmp_path, split, half=False)
    assert [model.precision for model in pivot.models] == ["float32"]
    assert pivot.half_range is None
    assert dict(left_out(pivot, load_target("nvidia-rtx"))) == {
        "int8": "the pivot has no INT8 network of the number format s8s8-2c6574; "
        "add nvidia-rtx to the recipe's targets and build again",
        "float16": "the pivot has no float16 model; add nvidia-rtx to the recipe's targets and build again",
    }


def test_values_beyond_float16_leave_the_model_out_and_say_where(split: Split, tmp_path: Path) -> None:
    pivot = _export(tmp_path, split, factor=1e6)
    assert [model.precision for model in pivot.models] == ["float32"]
    found = pivot.half_range
    assert found is not None
    assert found.largest > 65504
    assert found.images == 4
    assert f"`{found.tensor}`" in found.explain()
    assert found.explain().endswith("there is no float16 build.")
    assert available(pivot, load_target("nvidia-rtx")) == ("float32",)
    assert dict(left_out(pivot, load_target("nvidia-rtx")))["float16"] == found.explain()
    with pytest.raises(UsageError, match="float16 needs a float16 model; the pivot has float32"):
        model_for(pivot, load_target("nvidia-rtx"), "float16")


def _chain(*factors: float) -> onnx.ModelProto:
    """image -> float -> times each factor in turn."""
    helper = onnx.helper
    nodes = [helper.make_node("Cast", ["image"], ["v0"], to=TensorProto.FLOAT)]
    constants = []
    for index, factor in enumerate(factors):
        constants.append(numpy_helper.from_array(np.array(factor, np.float32), f"f{index}"))
        nodes.append(helper.make_node("Mul", [f"v{index}", f"f{index}"], [f"v{index + 1}"]))
    nodes.append(helper.make_node("ReduceMean", [f"v{len(factors)}"], ["logits"], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 2, 2, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_the_largest_value_is_found_wherever_it_lies_and_whatever_its_sign() -> None:
    batches = [np.full((2, 2, 2, 3), 10, np.uint8), np.full((1, 2, 2, 3), 100, np.uint8)]
    found = measure_range(_chain(-50.0, 0.001), batches)
    assert (found.largest, found.tensor, found.images) == (5000.0, "v1", 3)


def test_values_that_are_no_numbers_do_not_fit() -> None:
    found = measure_range(_chain(1e38, 1e38, 0.0), [np.full((1, 2, 2, 3), 10, np.uint8)])
    assert not found.fits


@pytest.mark.parametrize(("largest", "fits"), [(32752.0, True), (32753.0, False), (0.0, True)])
def test_twice_what_was_seen_has_to_fit(largest: float, fits: bool) -> None:
    assert HalfRange(largest=largest, tensor="t", images=1).fits is fits


def test_a_converted_model_computes_in_float16() -> None:
    model = to_float16(_as_float_input(_chain(3.0)))
    assert {t.data_type for t in model.graph.initializer} == {TensorProto.FLOAT16}


def _as_float_input(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.node[0].CopyFrom(onnx.helper.make_node("Identity", ["image"], ["v0"]))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return model
