"""Pivot and target make a bundle: whole or not at all, with everything a device needs to check it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pivot_folder import GOLDEN, LABELS, PREPROCESSING, make_pivot
from safetensors.numpy import load_file

from edgetl.bundle import compile as bundle_compile
from edgetl.bundle.compile import compile_pivot, compile_targets, finish_bundle
from edgetl.bundle.read import read_bundle
from edgetl.bundle.write import TOLERANCES, tolerance_for
from edgetl.errors import BackendError, BundleError, UsageError
from edgetl.files.digest import folder_digests
from edgetl.pivot.pivot import model_for, read_pivot
from edgetl.recipes.targets import load_target
from edgetl.types import Compiled, Missing, Precision, Target


@pytest.fixture(scope="module")
def pivot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pivot(tmp_path_factory.mktemp("pivot") / "pivot")


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_bundle_carries_model_labels_licences_golden_vectors_and_manifest(
    pivot: Path, tmp_path: Path, precision: Precision
) -> None:
    target = load_target("null")
    compile_pivot(pivot, target, precision, "kinds-null", tmp_path)
    manifest = read_bundle(tmp_path).manifest
    assert (manifest.name, manifest.target, manifest.compiled.precision) == ("kinds-null", target, precision)
    assert (manifest.labels, manifest.preprocessing) == (LABELS, PREPROCESSING)
    assert (tmp_path / "labels.txt").read_text().splitlines() == list(LABELS)
    licences = (tmp_path / "LICENSES.txt").read_text()
    assert "a test" in licences
    assert "CC0" in licences
    model = model_for(read_pivot(pivot), target, precision)
    assert (manifest.pivot_sha256, manifest.scheme) == (model.sha256, model.scheme_id)
    expected = load_file(pivot / "golden" / "logits.safetensors")[Path(model.file).stem]
    assert np.array_equal(load_file(tmp_path / "golden" / "logits.safetensors")["logits"], expected)
    assert manifest.golden is not None
    assert manifest.golden.count == GOLDEN


def test_the_same_pivot_gives_the_same_bundle(pivot: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        compile_pivot(pivot, load_target("null"), "int8", "kinds", tmp_path / name)
    assert folder_digests(tmp_path / "one") == folder_digests(tmp_path / "other")


def test_a_pivot_without_golden_images_gives_a_bundle_without(tmp_path: Path) -> None:
    pivot = make_pivot(tmp_path / "pivot", golden=0)
    (tmp_path / "bundle").mkdir()
    assert compile_pivot(pivot, load_target("null"), "int8", "kinds", tmp_path / "bundle").golden is None
    assert not (tmp_path / "bundle" / "golden").exists()


def test_every_build_of_every_target_appears_under_its_name(pivot: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "bundles"
    folders = compile_targets(pivot, ["null"], out)
    assert folders == [out / "null-int8", out / "null-float32"]
    assert sorted(path.name for path in out.iterdir()) == ["null-float32", "null-int8"]


def test_without_the_targets_integers_only_float_is_built_and_asking_for_them_is_an_error(
    pivot: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "targets"
    folder.mkdir()
    text = (Path(bundle_compile.__file__).parents[2] / "targets" / "null.yaml").read_text()
    other = text.replace('name: "null"', "name: other").replace("uint8", "int8")
    (folder / "other.yaml").write_text(other)
    assert [path.name for path in compile_targets(pivot, ["other"], tmp_path / "out", [folder])] == ["other-float32"]
    with pytest.raises(UsageError, match=r"other: int8 needs the scheme s8s8-.*; the pivot has float32, u8s8-"):
        model_for(read_pivot(pivot), load_target("other", [folder]), "int8")


def test_a_folder_that_exists_is_refused_before_anything_is_compiled(pivot: Path, tmp_path: Path) -> None:
    (tmp_path / "null-float32").mkdir()
    with pytest.raises(UsageError, match="null-float32: already exists"):
        compile_targets(pivot, ["null"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["null-float32"]


def test_a_toolchain_that_fails_leaves_no_folder(pivot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = bundle_compile.compile_pivot

    def second_fails(pivot: Path, target: Target, precision: Precision, name: str, out: Path) -> object:
        if precision == "float32":
            (out / "half.onnx").write_text("half")
            raise BackendError("refused")
        return real(pivot, target, precision, name, out)

    monkeypatch.setattr(bundle_compile, "compile_pivot", second_fails)
    with pytest.raises(BackendError):
        compile_targets(pivot, ["null"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["null-int8"]
    read_bundle(tmp_path / "out" / "null-int8")


def test_a_missing_toolchain_names_what_mends_it(pivot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edgetl.backends.null.NullBackend.missing", lambda self: Missing("not installed", "pip install it")
    )
    with pytest.raises(BackendError, match="target null: null cannot compile here: not installed; pip install it"):
        compile_pivot(pivot, load_target("null"), "int8", "kinds", tmp_path)


def test_a_changed_pivot_is_refused(pivot: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(pivot, tmp_path / "pivot"))
    (changed / "golden" / "0.png").write_bytes(b"")
    with pytest.raises(BundleError, match=r"0\.png: changed"):
        compile_targets(changed, ["null"], tmp_path / "out")


class Finisher:
    """A toolchain whose last step writes an engine."""

    name = "finisher"

    def version(self) -> str:
        return "1"

    def missing(self) -> None:
        return None

    cannot_run = compile = open = missing

    def finish(self, folder: Path, compiled: Compiled, target: Target) -> Compiled:
        (folder / "model.engine").write_text("engine")
        return Compiled("null", "1", compiled.precision, "model.engine", ("model.engine",))


def test_finishing_adds_the_engine_and_keeps_the_bundle_checkable(
    pivot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = compile_targets(pivot, ["null"], tmp_path)[:1]
    monkeypatch.setattr(bundle_compile, "load_backend", lambda name: Finisher())
    finish_bundle(folder)
    bundle = read_bundle(folder)
    assert bundle.manifest.compiled.model == "model.engine"
    assert "model.engine" in bundle.manifest.files
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null-float32", "null-int8"]


def test_a_bundle_can_be_finished_from_inside_and_through_a_link(
    pivot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, linked = compile_targets(pivot, ["null"], tmp_path / "bundles")
    monkeypatch.setattr(bundle_compile, "load_backend", lambda name: Finisher())
    monkeypatch.chdir(inside)
    finish_bundle(Path())
    (tmp_path / "link").symlink_to(linked)
    finish_bundle(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    for folder in (inside, linked):
        assert read_bundle(folder).manifest.compiled.model == "model.engine"


@pytest.mark.parametrize("fault", [OSError(39, "Directory not empty"), KeyboardInterrupt()])
def test_an_interrupt_between_the_two_renames_leaves_the_bundle_as_it_was(
    pivot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    (folder,) = compile_targets(pivot, ["null"], tmp_path)[:1]
    before = folder_digests(folder)
    monkeypatch.setattr(bundle_compile, "load_backend", lambda name: Finisher())
    real = Path.rename

    def second_fails(self: Path, target: Path) -> Path:
        if Path(target) == folder and self.suffix != ".old":
            raise fault
        return real(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(type(fault)):
        finish_bundle(folder)
    assert folder_digests(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null-float32", "null-int8"]


def test_a_device_that_cannot_finish_leaves_the_bundle_as_it_was(
    pivot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Finisher):
        def finish(self, folder: Path, compiled: Compiled, target: Target) -> Compiled:
            (folder / "half.engine").write_text("half")
            raise BackendError("out of device memory")

    (folder,) = compile_targets(pivot, ["null"], tmp_path)[:1]
    before = folder_digests(folder)
    monkeypatch.setattr(bundle_compile, "load_backend", lambda name: Broken())
    with pytest.raises(BackendError):
        finish_bundle(folder)
    assert folder_digests(folder) == before


def test_a_complete_bundle_has_nothing_to_finish(pivot: Path, tmp_path: Path) -> None:
    (folder,) = compile_targets(pivot, ["null"], tmp_path)[:1]
    with pytest.raises(BackendError, match="nothing to finish"):
        finish_bundle(folder)


def test_golden_tolerances_grow_with_what_rounding_does_to_a_network() -> None:
    exact = np.array([[0.0, 10.0], [10.0, 0.0]], np.float32)
    near, far = exact + np.float32(0.001), exact + np.array([[0.4, 0], [0, 0]], np.float32)
    assert tolerance_for("int8", near, exact) == TOLERANCES["int8"]
    assert tolerance_for("int8", far, exact).max_diff_of_range == pytest.approx(5 * 0.04)
    # 25 times what the cosine of (0.4, 10) and (0, 10) lacks to 1
    assert tolerance_for("int8", far, exact).min_cosine == pytest.approx(1 - 25 * 0.0008, abs=1e-4)
    assert tolerance_for("bfloat16", far, exact).max_diff_of_range > TOLERANCES["bfloat16"].max_diff_of_range
    assert tolerance_for("int8", None, exact) == tolerance_for("int8", near, None) == TOLERANCES["int8"]
