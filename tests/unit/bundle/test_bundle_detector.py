"""A detector's bundle: its golden outputs and objects, replayed; and the objects it finds in a picture file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from detector_pivot import (
    ANCHORS,
    GOLDEN,
    PREPROCESSING,
    SETTINGS,
    break_a_class,
    detector,
    make_detector_pivot,
    outputs_of,
    pictures,
)
from hostile_bundles import change_model, refit
from numpy.typing import NDArray
from PIL import Image
from pivot_folder import make_pivot
from safetensors.numpy import load_file, save

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.golden import StepCheck, replay
from edgetl.bundle.golden_detection import KEPT, Rows, best_anchors, distance
from edgetl.bundle.inference import detect, open_once, predict, verify
from edgetl.bundle.manifest import read_manifest
from edgetl.bundle.read import read_bundle
from edgetl.bundle.write import TOLERANCES, detector_tolerance
from edgetl.errors import BackendError, BundleError, UsageError
from edgetl.fronts.image.resize import resize
from edgetl.pivot.pivot import read_pivot, write_pivot
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types.frames import frame_of

STEPS = ["decode", "resize", "network", "postprocess"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """x86-cpu-float32; nothing of it runs in tests that replay outputs of their own."""
    pivot = make_detector_pivot(tmp_path / "pivot")
    return compile_targets(pivot, ["x86-cpu"], tmp_path / "bundles")[1]


def outputs(inputs: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    return outputs_of(detector("float32"), np.concatenate(inputs))


def replayed(bundle: Path, change: float = 0.0, of: str = "scores") -> tuple[StepCheck, ...]:
    def infer(inputs: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        found = outputs(inputs)
        return found | {of: found[of] + np.float32(change)}

    return replay(bundle, read_manifest(bundle), infer)


def test_a_bundle_keeps_the_best_anchors_and_what_they_become(bundle: Path) -> None:
    golden = load_file(bundle / "golden" / "outputs.safetensors")
    assert {name: values.shape for name, values in golden.items()} == {
        "boxes": (GOLDEN, ANCHORS, 4),
        "scores": (GOLDEN, ANCHORS, 3),
        "index": (GOLDEN, ANCHORS),
    }
    objects = load_file(bundle / "golden" / "detections.safetensors")
    assert len(objects) == 3 * GOLDEN
    assert len(objects["0.scores"]) > 0


def test_of_many_anchors_the_best_are_kept_in_their_order() -> None:
    scores = np.zeros((1000, 2), np.float32)
    scores[700:, 1] = np.linspace(0.5, 1, 300)
    scores[5, 0] = 0.9
    kept = best_anchors(scores)
    assert len(kept) == KEPT
    assert kept[0] == 5
    assert (np.diff(kept) > 0).all()
    assert 700 not in kept
    assert best_anchors(np.zeros((1000, 2), np.float32)).tolist() == list(range(KEPT))


def test_the_same_outputs_pass_all_four_steps(bundle: Path) -> None:
    checks = replayed(bundle)
    assert [check.step for check in checks] == STEPS * GOLDEN
    assert all(check.passed for check in checks)
    assert all(check.difference == 0 for check in checks)


@pytest.mark.parametrize("of", ["scores", "boxes"])
def test_other_outputs_fail_the_network_step_alone(bundle: Path, of: str) -> None:
    allowed = TOLERANCES["float32"].max_diff_of_range * (1 if of == "scores" else PREPROCESSING.width)
    assert all(check.passed for check in replayed(bundle, 0.9 * allowed, of))
    checks = replayed(bundle, 1.1 * allowed, of)
    assert {check.step for check in checks if not check.passed} == {"network"}


def test_outputs_that_are_not_finite_fail(bundle: Path) -> None:
    (first, *_) = (check for check in replayed(bundle, float("nan")) if check.step == "network")
    assert not first.passed
    assert "not finite" in first.detail


def test_scores_below_the_compared_ones_may_differ_and_boxes_of_weak_objects_too() -> None:
    box, moved = np.array([[0, 0, 10, 10]], np.float32), np.array([[5, 5, 15, 15]], np.float32)

    def between(score: float, other: float, boxes: NDArray[np.float32] = box) -> float:
        found, golden = Rows(box, np.array([[score]], np.float32)), Rows(boxes, np.array([[other]], np.float32))
        return distance(found, golden, np.array([0]), 100)

    assert between(0.01, 0.04) == 0
    assert between(0.01, 0.06) == pytest.approx(0.05)
    assert between(0.9, 0.24, moved) == pytest.approx(0.66)
    assert between(0.9, 0.9, moved) == pytest.approx(0.05)


def test_the_same_rows_in_another_order_pass_and_a_missing_one_fails(bundle: Path) -> None:
    """As a network with two stages gives them on another runtime."""

    def turned(inputs: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        return {name: values[:, ::-1] for name, values in outputs(inputs).items()}

    def without_the_best(inputs: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        found = turned(inputs)
        best = found["scores"].max(axis=2).argmax(axis=1)
        found["scores"] = found["scores"].copy()
        found["scores"][np.arange(len(best)), best] = 0
        return found

    manifest = read_manifest(bundle)
    assert all(check.passed for check in replay(bundle, manifest, turned))
    failed = [check.step for check in replay(bundle, manifest, without_the_best) if not check.passed]
    assert failed == ["network"] * GOLDEN


def test_golden_objects_that_postprocess_does_not_give_fail_their_step_alone(bundle: Path) -> None:
    path = bundle / "golden" / "detections.safetensors"
    objects = load_file(path)
    objects["1.boxes"] = np.nextafter(objects["1.boxes"], np.float32(np.inf))
    path.write_bytes(save(objects))
    failed = [check for check in replayed(bundle) if not check.passed]
    assert [(check.image, check.step) for check in failed] == [(1, "postprocess")]


@pytest.mark.parametrize(
    ("file", "tensor", "value", "words"),
    [
        ("outputs", "boxes", np.zeros((GOLDEN, ANCHORS, 5), np.float32), "`boxes`: expected float32"),
        ("outputs", "scores", np.full((GOLDEN, ANCHORS, 3), np.nan, np.float32), "not finite"),
        ("outputs", "index", np.zeros((GOLDEN, ANCHORS), np.int64), "ascending numbers below 48"),
        ("outputs", "index", np.tile(np.arange(ANCHORS) + 1, (GOLDEN, 1)), "ascending numbers below 48"),
        ("detections", "0.labels", np.zeros((1, 1), np.int64), "`0.labels`: expected int64"),
        ("detections", "0.scores", np.zeros((), np.float32), "`0.scores`: expected float32"),
    ],
)
def test_golden_results_that_do_not_fit_are_refused(
    bundle: Path, file: str, tensor: str, value: NDArray[np.generic], words: str
) -> None:
    name = f"golden/{file}.safetensors"
    refit(bundle, name, save(load_file(bundle / name) | {tensor: value}))
    with pytest.raises(BundleError, match=words):
        replayed(bundle)


def test_the_golden_objects_of_a_build_are_those_of_its_own_threshold(tmp_path: Path) -> None:
    pivot = make_detector_pivot(tmp_path / "pivot")
    described = read_pivot(pivot)
    own = dataclasses.replace(SETTINGS, score_threshold=0.9)
    models = tuple(model.model_copy(update={"postprocess": own}) for model in described.models)
    write_pivot(pivot, described.model_copy(update={"models": models}))
    bundle = compile_targets(pivot, ["x86-cpu"], tmp_path / "bundles")[1]
    assert read_manifest(bundle).postprocess == own
    assert (load_file(bundle / "golden" / "detections.safetensors")["0.scores"] >= np.float32(0.9)).all()
    assert all(check.passed for check in replayed(bundle))


def test_a_rough_int8_build_may_differ_more_but_never_by_more_than_a_quarter() -> None:
    assert detector_tolerance("int8", 0.0).max_diff_of_range == 0.1
    assert detector_tolerance("int8", 0.03).max_diff_of_range == pytest.approx(0.15)
    assert detector_tolerance("int8", 0.2).max_diff_of_range == 0.25
    assert detector_tolerance("float32", 0.2) == TOLERANCES["float32"]


@pytest.fixture
def runs_here(bundle: Path) -> Path:
    try:
        verify(read_bundle(bundle), threads=1)
    except BackendError as error:
        pytest.skip(str(error))
    return bundle


def test_a_bundle_passes_on_its_own_runtime(runs_here: Path) -> None:
    open_once(runs_here)
    assert all(check.passed for check in verify(read_bundle(runs_here), threads=1))


def test_objects_are_those_of_decode_resize_network_and_postprocess(runs_here: Path, tmp_path: Path) -> None:
    (picture,) = pictures(1, seed=7)
    Image.fromarray(picture).save(tmp_path / "a.png")
    (found,) = detect(runs_here, [tmp_path / "a.png"], threads=1)
    batch = outputs([resize(picture, PREPROCESSING)[None]])
    frame = frame_of(picture.shape[0], picture.shape[1], PREPROCESSING)
    (expected,) = postprocess(batch["boxes"], batch["scores"], [frame], SETTINGS)
    assert found.objects is not None
    assert len(found.objects.scores) > 0
    assert np.allclose(found.objects.boxes, expected.boxes, atol=1e-3)
    assert found.objects.labels.tolist() == expected.labels.tolist()


def test_an_unreadable_image_is_named_and_the_rest_goes_on(runs_here: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    broken, good = detect(runs_here, [tmp_path / "broken.png", runs_here / "golden" / "0.png"], threads=1)
    assert broken.objects is None
    assert "broken.png" in broken.error
    assert good.objects is not None


def test_outputs_that_are_not_finite_are_an_error_of_the_image(runs_here: Path) -> None:
    refit(runs_here, "model.onnx", change_model(runs_here / "model.onnx", break_a_class))
    image = runs_here / "golden" / "0.png"
    (found,) = detect(runs_here, [image], threads=1)
    assert found.objects is None
    assert found.error == f"{image}: the network's outputs have values that are not finite"


def test_a_detector_does_not_classify_and_a_classifier_finds_no_objects(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a classifier; it is made for detection"):
        next(predict(bundle, [], top=1, threads=1))
    (classifier, _) = compile_targets(make_pivot(tmp_path / "classifier"), ["null"], tmp_path / "other")
    with pytest.raises(UsageError, match="expected a detector; it is made for classification"):
        next(detect(classifier, [], threads=1))


def test_a_pivot_whose_golden_outputs_are_incomplete_is_refused(tmp_path: Path) -> None:
    from hostile_bundles import refit_pivot

    pivot = make_detector_pivot(tmp_path / "pivot")
    tensors = load_file(pivot / "golden" / "outputs.safetensors")
    del tensors["float32.boxes"]
    refit_pivot(pivot, "golden/outputs.safetensors", save(tensors))
    with pytest.raises(BundleError, match=r"expected `float32.boxes`, float32 \(2, \?, 4\); found nothing"):
        compile_targets(pivot, ["null"], tmp_path / "out")
