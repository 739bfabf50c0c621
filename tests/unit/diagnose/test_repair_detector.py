"""A fault planted in one layer of a detector is repaired, judged by AP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file
from small_runs import small_run
from tiny_detector import as_detector, labeled_pictures
from tiny_network import LABELS, PREPROCESSING, double_weight_scale, float_pivot, quantized_pivot

from edgetl.bench.repair_record import REPAIR_FILE, read_repair
from edgetl.diagnose.repair.repair import repair_int8
from edgetl.files.digest import file_digest
from edgetl.fronts.batches import frames_of
from edgetl.pivot.golden import add_outputs
from edgetl.pivot.literal import infer, open_literal
from edgetl.pivot.pivot import FOLDER, Pivot, PivotModel, read_pivot, write_pivot
from edgetl.recipes.gates import Gates
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.tasks.base import load_task
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import Sample, Split

pytestmark = pytest.mark.stage

TARGET = load_target("x86-cpu")
SCHEME = scheme_id(TARGET.scheme)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pivot whose INT8 model has a fault in the layer `widen`, with golden outputs of one picture."""
    made = tmp_path / "pivot"
    (made / "golden").mkdir(parents=True)
    (tmp_path / "golden").mkdir()
    inputs = np.ascontiguousarray(labeled_pictures(tmp_path / "golden", 1, seed=9)[[0]])
    (tmp_path / "golden" / "0.png").rename(made / "golden" / "0.png")
    for kind in ("rgb", "input"):
        np.save(made / "golden" / f"0.{kind}.npy", inputs[0])
    faulty = double_weight_scale(quantized_pivot(), "widen")
    models = {"float32": as_detector(float_pivot()), f"int8-{SCHEME}": as_detector(faulty)}
    described = []
    for stem, model in models.items():
        path = made / f"{stem}.onnx"
        onnx.save_model(model, path)
        add_outputs(made / "golden", {stem: infer(open_literal(path.read_bytes()), [inputs])})
        scheme = SCHEME if stem.startswith("int8") else None
        precision = "int8" if scheme else "float32"
        described.append(
            PivotModel.model_validate(
                {"file": path.name, "precision": precision, "scheme_id": scheme, "sha256": file_digest(path)}
                | {"parity": {"images": 1, "max_abs_diff": 0, "top1_agreement": 1, "tolerance": 1}}
            )
        )
    pivot = Pivot(
        labels=LABELS,
        preprocessing=PREPROCESSING,
        models=tuple(described),
        golden_files=("0.png",),
        source="a test",
        licence="CC0",
        task="detection",
        postprocess=Postprocess(),
        digests={},
    )
    write_pivot(made, pivot)
    return made


def val_of(folder: Path) -> tuple[Sample, ...]:
    """Pictures with the float network's own best class as their object; its answers are the pivot's reference."""
    (place := folder.parent / "val").mkdir()
    task, pixels = load_task("detection"), labeled_pictures(place, 40, seed=5)
    outputs = infer(open_literal((folder / "float32.onnx").read_bytes()), pixels.batches())
    answers = task.answer(outputs, frames_of(pixels.samples, PREPROCESSING))
    save_file({task.kept: answers}, folder / "reference.safetensors")
    return pixels.samples


def test_the_layer_at_fault_goes_to_float_until_ap_is_within_the_gate(folder: Path, tmp_path: Path) -> None:
    val = val_of(folder)
    split = Split(LABELS, val[:16], val, (), "squash", "", "")
    run = small_run(split, tmp_path, task="detection")
    (out := tmp_path / "out").mkdir()
    repair_int8(run, TARGET, folder, Gates(max_drop_points=1.0), out)
    found = read_repair(out / REPAIR_FILE)
    assert found.metric == "AP"
    assert found.quantized == 4  # the float decoder has no layer to choose
    assert not found.trials[0].passed
    assert found.trials[0].drop_points.value > 1.0
    assert found.layers is not None
    assert "widen" in found.layers
    taken = next(trial for trial in found.trials if trial.layers == found.layers)
    assert taken.drop_points.value <= 1.0
    assert found.sentence.startswith(f"INT8 loses {found.trials[0].drop_points.value:.2f} points")
    assert "top-1" not in found.sentence

    (model,) = read_pivot(out / FOLDER).models
    assert (model.precision, model.parity) == ("mixed", None)
    golden = load_file(out / FOLDER / "golden" / "outputs.safetensors")
    assert golden["mixed.boxes"].shape == golden["float32.boxes"].shape == (1, 1, 4)
    assert golden["mixed.scores"].shape == (1, 1, len(LABELS))
