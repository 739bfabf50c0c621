"""Predict and verify: from a picture file to labels, on the bundle's own runtime."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest
from backend_pivots import images, pivot, reference
from PIL import Image
from pivot_folder import GOLDEN, LABELS, make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import open_bundle, predict, verify
from edgetl.bundle.manifest import labels_text, read_manifest
from edgetl.bundle.ports import signature_for
from edgetl.bundle.read import read_bundle
from edgetl.bundle.write import replace_compiled
from edgetl.errors import BackendError, BundleError
from edgetl.fronts.image.decode import decode


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x86-cpu-int8, x86-cpu-float32, null-int8, null-float32."""
    folder = tmp_path_factory.mktemp("bundles")
    compile_targets(make_pivot(folder / "pivot"), ["x86-cpu", "null"], folder / "bundles")
    return folder / "bundles"


@pytest.fixture(scope="module")
def runs_here(bundles: Path) -> Path:
    """The float bundle of x86-cpu; skips where it cannot run."""
    bundle = read_bundle(bundles / "x86-cpu-float32")
    try:
        with open_bundle(bundle, threads=1):
            return bundle.folder
    except BackendError as error:
        pytest.skip(str(error))


def test_probabilities_are_the_softmax_of_the_logits_most_likely_first(runs_here: Path, tmp_path: Path) -> None:
    (picture,) = images(1, seed=5)
    Image.fromarray(picture).save(tmp_path / "a.png")
    (found,) = predict(runs_here, [tmp_path / "a.png"], top=5, threads=1)
    logits = reference(pivot("float32"), picture[None])[0].astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum()
    assert found.labels == tuple(LABELS[index] for index in np.argsort(-logits))
    assert found.probabilities == pytest.approx(sorted(shares, reverse=True), rel=1e-3)
    assert sum(found.probabilities) == pytest.approx(1)


def test_top_limits_the_labels_and_is_limited_by_them(runs_here: Path) -> None:
    image = runs_here / "golden" / "0.png"
    assert len(next(predict(runs_here, [image], top=2, threads=1)).labels) == 2
    assert len(next(predict(runs_here, [image], top=99, threads=1)).labels) == len(LABELS)


def test_an_unreadable_image_is_named_and_the_rest_goes_on(runs_here: Path, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    image = runs_here / "golden" / "0.png"
    broken, fine = predict(runs_here, [tmp_path / "b.png", image], top=1, threads=1)
    assert broken.labels == ()
    assert "b.png: not usable as an image" in broken.error
    assert (len(fine.labels), fine.error) == (1, "")


def test_the_right_bundle_replays_its_golden_vectors(runs_here: Path) -> None:
    checks = verify(read_bundle(runs_here), threads=1)
    assert [(check.image, check.step) for check in checks] == [
        (index, step) for index in range(GOLDEN) for step in ("decode", "resize", "network")
    ]
    assert all(check.passed for check in checks)


def test_a_network_that_answers_otherwise_is_found(bundles: Path) -> None:
    checks = verify(read_bundle(bundles / "null-int8"), threads=1)
    assert {check.step: check.passed for check in checks} == {"decode": True, "resize": True, "network": False}


def test_an_unfinished_bundle_names_the_command_that_finishes_it(bundles: Path, tmp_path: Path) -> None:
    bundle = read_bundle(bundles / "null-int8")
    manifest = bundle.manifest.model_copy(
        update={"compiled": bundle.manifest.compiled.__class__("null", "1", "int8", "model.onnx", (), finished=False)}
    )
    with (
        pytest.raises(BackendError, match="edgetl compile --finish"),
        open_bundle(type(bundle)(tmp_path, manifest), threads=1),
    ):
        pass


@pytest.mark.skipif(platform.machine() == "aarch64", reason="this machine is the other one")
def test_a_bundle_for_another_machine_says_what_it_needs(tmp_path: Path) -> None:
    compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path)
    folder = tmp_path / "null-int8"
    content = json.loads((folder / "manifest.json").read_text())
    content["target"]["machine"] = "aarch64"
    (folder / "manifest.json").write_text(json.dumps(content))
    bundle = read_bundle(folder)
    with pytest.raises(BackendError, match=r"cannot run here: .*aarch64"), open_bundle(bundle, threads=1):
        pass


def test_golden_vectors_of_another_shape_are_refused(tmp_path: Path) -> None:
    compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path)
    folder = tmp_path / "null-int8"
    np.save(folder / "golden" / "0.input.npy", np.zeros((2, 2, 3), np.uint8))
    manifest = read_bundle_unchecked(folder)
    with pytest.raises(BundleError, match=r"0\.input\.npy: expected uint8 \(32, 32, 3\)"):
        verify(manifest, threads=1)


def test_a_picture_that_decodes_to_other_pixels_is_found_before_the_steps_behind_it(tmp_path: Path) -> None:
    compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path)
    folder = tmp_path / "null-int8"
    rgb = decode(folder / "golden" / "0.png").copy()
    rgb[0, 0, 0] ^= 4
    Image.fromarray(rgb).save(folder / "golden" / "0.png")
    failed = [check for check in verify(read_bundle_unchecked(folder), threads=1) if not check.passed]
    assert (failed[0].image, failed[0].step, failed[0].difference) == (0, "decode", 4)
    assert all(check.step != "resize" for check in failed)


def test_a_golden_picture_of_another_size_says_both_sizes(tmp_path: Path) -> None:
    compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path)
    folder = tmp_path / "null-int8"
    Image.new("RGB", (5, 7)).save(folder / "golden" / "0.png")
    checks = verify(read_bundle_unchecked(folder), threads=1)
    assert checks[0].detail == "5x7 pixels, expected 32x32"


@pytest.mark.parametrize("count", [len(LABELS) - 2, len(LABELS) + 1])
@pytest.mark.parametrize("name", ["x86-cpu-float32", "null-int8"])
def test_labels_that_do_not_fit_the_logits_are_found_on_opening(
    runs_here: Path, tmp_path: Path, name: str, count: int
) -> None:
    folder = Path(shutil.copytree(runs_here.parent / name, tmp_path / name))
    labels = tuple(f"kind {index}" for index in range(count))
    (folder / "labels.txt").write_text(labels_text(labels))
    manifest = read_manifest(folder)
    signature = signature_for("classification", labels, manifest.preprocessing)
    manifest = manifest.model_copy(update={"labels": labels, "signature": signature})
    replace_compiled(folder, manifest, manifest.compiled)
    words = rf"the manifest says logits float32 \(\?, {count}\), the network gives shape \(1, {len(LABELS)}\)"
    with pytest.raises(BundleError, match=words), open_bundle(read_bundle(folder), threads=1):
        pass
    with pytest.raises(BundleError, match=words):
        list(predict(folder, [folder / "golden" / "0.png"], top=5, threads=1))


def read_bundle_unchecked(folder: Path):  # type: ignore[no-untyped-def]
    manifest = read_manifest(folder)
    replace_compiled(folder, manifest, manifest.compiled)
    return read_bundle(folder)
