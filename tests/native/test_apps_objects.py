"""edgetl-run, edgetl-verify and edgetl-bench on detectors say what the Python commands say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_calls import Shell
from detector_pivot import GOLDEN, break_a_class, make_detector_pivot, pictures
from hostile_bundles import change_model, refit
from native_apps import Apps, Engine
from objects_tool import assert_same_bits
from PIL import Image
from pivot_folder import make_pivot
from safetensors.numpy import load_file, save

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import detect
from edgetl.report.devices import read_devices
from edgetl.tasks.detection.detections import Detections

pytestmark = pytest.mark.integration

COUNT = 200


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Builds of a small detector, by `<target>-<precision>`, and `classifier`."""
    folder = tmp_path_factory.mktemp("bundles")
    made = compile_targets(make_detector_pivot(folder / "pivot"), ["null", "x86-cpu", "intel-cpu"], folder / "bundles")
    (classifier, _) = compile_targets(make_pivot(folder / "classes"), ["null"], folder / "others")
    return {path.name: path for path in made} | {"classifier": classifier}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of many sizes, JPEG and PNG in turn."""
    folder = tmp_path_factory.mktemp("drawn")
    paths = []
    for index, pixels in enumerate(pictures(COUNT, seed=3)):
        paths.append(folder / f"{index}.{'png' if index % 2 else 'jpg'}")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def objects_of(found: dict[str, Any], labels: tuple[str, ...]) -> Detections:
    boxes = np.array([one["box"] for one in found["objects"]], np.float32).reshape(-1, 4)
    scores = np.array([one["score"] for one in found["objects"]], np.float32)
    return Detections(boxes, scores, np.array([labels.index(one["label"]) for one in found["objects"]], np.int64))


def assert_bit_equal(apps: Apps, engine: Engine, bundle: Path, images: list[Path]) -> None:
    labels = tuple((bundle / "labels.txt").read_text().split())
    told = apps.json("edgetl-run", bundle, *images, "--engine-library", engine.library)
    count = 0
    for path, one, found in zip(images, told, detect(bundle, images, threads=1), strict=True):
        assert one["path"] == str(path)
        assert found.objects is not None
        assert_same_bits(objects_of(one, labels), found.objects, str(path))
        count += len(found.objects.scores)
    assert count > len(images)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_files_to_objects_are_bit_equal(
    apps: Apps, engine: Engine, bundles: dict[str, Path], drawn: list[Path], precision: str
) -> None:
    assert_bit_equal(apps, engine, bundles[f"{engine.target}-{precision}"], drawn)


def test_files_to_objects_are_bit_equal_on_real_images_of_all_sizes(
    apps: Apps, engine: Engine, bundles: dict[str, Path], shared: Path
) -> None:
    folders = (shared / "data" / name for name in ("coco_samples", "bccd_detection", "raccoon", "hymenoptera"))
    images = [path for folder in folders for path in sorted(folder.rglob("*.jpg"))[: COUNT // 4]]
    if len(images) < COUNT:
        pytest.skip(f"only {len(images)} real images with objects here")
    assert_bit_equal(apps, engine, bundles[f"{engine.target}-float32"], images)


def test_run_says_what_predict_says(
    shell: Shell, apps: Apps, bundles: dict[str, Path], drawn: list[Path], onnxruntime: tuple[str, ...]
) -> None:
    bundle, some = bundles["x86-cpu-float32"], drawn[:20]
    assert apps("edgetl-run", bundle, *some, *onnxruntime).stdout == shell("predict", bundle, *some).out
    options = ["--threshold", "0.9"]
    found = apps.json("edgetl-run", bundle, *some, *options, *onnxruntime)
    assert found == shell("predict", bundle, *some, *options, "--json").json()
    assert all(one["score"] >= 0.9 for each in found for one in each["objects"])


def test_options_of_the_other_task_are_refused(apps: Apps, bundles: dict[str, Path], drawn: list[Path]) -> None:
    detector, classifier = bundles["null-int8"], bundles["classifier"]
    apps.refuses(
        2, "--top is for classifiers; the bundle is a detector", "edgetl-run", detector, drawn[0], "--top", "2"
    )
    apps.refuses(
        2, "--threshold is for detectors; the bundle", "edgetl-run", classifier, drawn[0], "--threshold", "0.5"
    )
    apps.refuses(
        2, "--threshold takes a number from 0 to 1; found `2`", "edgetl-run", detector, drawn[0], "--threshold", "2"
    )


def test_verify_says_what_python_says(
    shell: Shell, apps: Apps, bundles: dict[str, Path], onnxruntime: tuple[str, ...]
) -> None:
    bundle = bundles["x86-cpu-int8"]
    told, python = apps("edgetl-verify", bundle, *onnxruntime), shell("verify", bundle)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == python.out
    assert told.stdout.count("postprocess") == GOLDEN


def test_verify_names_the_network_and_the_postprocess(
    shell: Shell, apps: Apps, bundles: dict[str, Path], onnxruntime: tuple[str, ...], tmp_path: Path
) -> None:
    done = apps("edgetl-verify", bundles["null-int8"])  # its scores are zero
    assert (done.returncode, "the first step that differs is `network`" in done.stderr) == (1, True)
    (bundle, _) = compile_targets(make_detector_pivot(tmp_path / "pivot"), ["x86-cpu"], tmp_path / "bundles")
    objects = load_file(bundle / "golden" / "detections.safetensors")
    objects["0.labels"] = objects["0.labels"][::-1].copy()
    refit(bundle, "golden/detections.safetensors", save(objects))
    told, python = apps("edgetl-verify", bundle, *onnxruntime), shell("verify", bundle)
    assert (told.returncode, python.code) == (1, 1)
    assert told.stdout == python.out
    assert "the first step that differs is `postprocess`" in told.stderr


def test_rows_in_another_order_pass_both_and_other_rows_fail_both(
    shell: Shell, apps: Apps, onnxruntime: tuple[str, ...], tmp_path: Path
) -> None:
    """A network with two stages gives its rows in another order on another runtime."""
    (bundle, _) = compile_targets(make_detector_pivot(tmp_path / "pivot"), ["x86-cpu"], tmp_path / "bundles")
    name = "golden/outputs.safetensors"
    outputs = load_file(bundle / name)
    turned = {each: np.ascontiguousarray(outputs[each][:, ::-1]) for each in ("boxes", "scores")}
    for scores, verdict in ((turned["scores"], "ok  "), (turned["scores"] * np.float32(0.8), "FAIL")):
        refit(bundle, name, save(outputs | turned | {"scores": scores}))
        told, python = apps("edgetl-verify", bundle, *onnxruntime), shell("verify", bundle)
        assert told.stdout == python.out
        assert {line[:4] for line in told.stdout.splitlines() if "  network " in line} == {verdict}


def test_outputs_that_are_not_finite_are_one_line_in_both(
    shell: Shell, apps: Apps, onnxruntime: tuple[str, ...], tmp_path: Path
) -> None:
    bundle = compile_targets(make_detector_pivot(tmp_path / "pivot"), ["x86-cpu"], tmp_path / "bundles")[1]
    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", break_a_class))
    image = bundle / "golden" / "0.png"
    told, python = apps("edgetl-run", bundle, image, *onnxruntime), shell("predict", bundle, image)
    assert (told.returncode, python.code) == (1, 1)
    assert "the network's outputs have values that are not finite" in told.stderr
    assert "the network's outputs have values that are not finite" in python.err
    assert len(told.stderr.splitlines()) == len(python.err.splitlines())


def test_bench_times_the_network_and_the_whole_detection(
    apps: Apps, bundles: dict[str, Path], onnxruntime: tuple[str, ...], drawn: list[Path], tmp_path: Path
) -> None:
    folders = [bundles["x86-cpu-float32"], bundles["x86-cpu-int8"]]
    options = ["--cold-starts", "1", "--images", str(drawn[0]), *onnxruntime]
    found = apps.json("edgetl-bench", *folders, *options)
    (tmp_path / "device.json").write_text(json.dumps(found))
    (device,) = read_devices([tmp_path / "device.json"])
    for bundle in device.measurement.bundles:
        assert bundle.detect_p50_ms is not None
        assert bundle.p50_ms is not None
        assert bundle.detect_p50_ms.value > bundle.p50_ms.value
        assert bundle.cold_start_ms is not None
    told = apps("edgetl-bench", folders[0], *options).stdout
    assert "; whole detection p50 " in told


def test_a_classifier_has_no_time_of_detection(apps: Apps, bundles: dict[str, Path]) -> None:
    found = apps.json("edgetl-bench", bundles["classifier"], "--cold-starts", "0")
    assert found["bundles"][0]["detect_p50_ms"] is None
