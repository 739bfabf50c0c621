"""What is published beside the stages is the current result, whole, and touched only when it changed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_pivot
from edgetl.bundle.manifest import manifest_text, read_manifest
from edgetl.bundle.publish import publish_pivot, publish_report
from edgetl.bundle.read import read_bundle
from edgetl.bundle.write import replace_compiled
from edgetl.errors import StoreError
from edgetl.files.digest import folder_digests
from edgetl.files.durable import put, write_text
from edgetl.recipes.targets import load_target
from edgetl.store.results import StageResult, Store, open_store


def stage(store: Store, name: str, files: Mapping[str, str]) -> StageResult:
    def run(folder: Path) -> None:
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)

    return store.once(name, 1, dict(files), run)


def report(store: Store, *bundles: str, note: str = "") -> StageResult:
    files = {f"bundles/{name}/model.onnx": f"{name}{note}" for name in bundles}
    return stage(store, "report", {**files, "report.json": '{"schema": 1}', "report.html": f"<p>{note}</p>"})


def test_pivot_and_report_lie_beside_the_stages(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        publish_pivot(store, stage(store, "export", {"pivot.json": "{}", "golden/0.png": "x"}))
        publish_report(store, report(store, "a", "b"))
    assert (tmp_path / "report.json").read_text() == '{"schema": 1}'
    assert (tmp_path / "pivot" / "golden" / "0.png").read_text() == "x"
    assert (tmp_path / "bundles" / "b" / "model.onnx").read_text() == "b"
    assert (tmp_path / "report.html").is_file()


def test_what_is_current_is_not_written_again(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        publish_report(store, report(store, "a"))
        before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
        publish_report(store, report(store, "a"))
        after = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
    assert after == before


def test_a_changed_bundle_is_replaced_whole_and_one_that_is_no_longer_built_goes(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        publish_report(store, report(store, "a", "b"))
        publish_report(store, report(store, "a", note="2"))
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "bundles" / "a").iterdir()] == ["model.onnx"]
    assert (tmp_path / "bundles" / "a" / "model.onnx").read_text() == "a2"


@pytest.mark.parametrize("change", ["added", "changed", "a folder of somebody else", "a file"])
def test_what_somebody_did_in_the_place_of_a_bundle_is_not_overwritten(tmp_path: Path, change: str) -> None:
    with open_store(tmp_path) as store:
        publish_report(store, report(store, "a", "b"))
        place = tmp_path / "bundles" / "a"
        if change == "added":
            (place / "notes.txt").write_text("precious")
        elif change == "changed":
            (place / "model.onnx").write_text("precious")
        else:
            shutil.rmtree(place)
            place.write_text("precious") if change == "a file" else (place / "deep").mkdir(parents=True)
            if change != "a file":
                (place / "deep" / "notes.txt").write_text("precious")
        with pytest.raises(StoreError, match=r"bundles/a: changed since edgetl wrote it.*move it away and run again"):
            publish_report(store, report(store, "a", "b", note="2"))
        found = [path for path in (place, *place.rglob("*")) if path.is_file()]
        assert "precious" in [path.read_text() for path in found]
        assert (tmp_path / "bundles" / "b" / "model.onnx").read_text() == "b"
        place.rename(tmp_path / "moved")
        publish_report(store, report(store, "a", "b", note="2"))
        assert (place / "model.onnx").read_text() == "a2"


def test_what_somebody_else_put_among_the_bundles_stays(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        publish_report(store, report(store, "a", "b"))
        (tmp_path / "bundles" / "x86-cpu-int8").mkdir()
        (tmp_path / "bundles" / "b" / "notes.txt").write_text("precious")
        publish_report(store, report(store, "a", note="2"))
        publish_report(store, report(store, "c"))
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == ["b", "c", "x86-cpu-int8"]
    assert (tmp_path / "bundles" / "b" / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize("killed_at", [1, 2])
def test_a_publication_that_was_killed_is_ours_all_the_same(
    tmp_path: Path, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def killed(scratch: Path, folder: Path) -> None:
        calls.append(folder)
        if len(calls) == killed_at:
            raise KeyboardInterrupt
        put(scratch, folder)

    with open_store(tmp_path) as store:
        publish_report(store, report(store, "a", "b"))
        with monkeypatch.context() as patch:
            patch.setattr("edgetl.bundle.publish.put", killed)
            with pytest.raises(KeyboardInterrupt):
                publish_report(store, report(store, "a", "b", note="2"))
        publish_report(store, report(store, "b", "c", note="3"))
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == ["b", "c"]
    assert (tmp_path / "bundles" / "b" / "model.onnx").read_text() == "b3"


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """A TensorRT bundle as the compile stage leaves it."""
    folder = tmp_path / "made" / "kinds-nvidia-gpu"
    folder.mkdir(parents=True)
    pivot = make_pivot(tmp_path / "pivot", golden=0)
    compile_pivot(pivot, load_target("nvidia-gpu"), "float32", folder.name, folder)
    return folder


def reported(store: Store, bundle: Path, note: str = "") -> StageResult:
    def run(folder: Path) -> None:
        shutil.copytree(bundle, folder / "bundles" / bundle.name)
        (folder / "report.json").write_text("{}")
        (folder / "report.html").write_text(note)

    return store.once("report", 1, {"of": folder_digests(bundle), "note": note}, run)


def finish(bundle: Path) -> None:
    """What `edgetl compile --finish` does, with an engine that no GPU has seen."""
    manifest = read_bundle(bundle).manifest
    (bundle / "model.engine").write_bytes(b"engine")
    compiled = replace(
        manifest.compiled, model="model.engine", files=(*manifest.compiled.files, "model.engine"), finished=True
    )
    replace_compiled(bundle, manifest, compiled)


def test_a_bundle_that_was_finished_in_place_stays_while_its_network_does(tmp_path: Path, unfinished: Path) -> None:
    out = tmp_path / "out"
    place = out / "bundles" / unfinished.name
    for note in ("", "", "of a report that was made again"):
        with open_store(out) as store:
            publish_report(store, reported(store, unfinished, note))
        if not (place / "model.engine").exists():
            assert not note
            finish(place)
        assert read_bundle(place).manifest.compiled.finished
    manifest = read_bundle(unfinished).manifest
    write_text(unfinished / "manifest.json", manifest_text(manifest.model_copy(update={"pivot_sha256": "0" * 64})))
    with open_store(out) as store:
        publish_report(store, reported(store, unfinished))
    assert read_manifest(place).pivot_sha256 == "0" * 64
    assert not (place / "model.engine").exists()


def test_a_finished_bundle_of_a_target_that_is_no_longer_built_stays(tmp_path: Path, unfinished: Path) -> None:
    out = tmp_path / "out"
    with open_store(out) as store:
        publish_report(store, reported(store, unfinished))
        finish(out / "bundles" / unfinished.name)
        publish_report(store, report(store, "a"))
    assert sorted(path.name for path in (out / "bundles").iterdir()) == ["a", unfinished.name]


def test_a_report_without_any_bundle_is_published(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        publish_report(store, report(store))
    assert (tmp_path / "report.json").read_text() == '{"schema": 1}'
    assert not (tmp_path / "bundles").exists()


def test_a_failure_half_way_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path) as store:
        publish_report(store, report(store, "a"))

        def broken(*arguments: object) -> None:
            raise RuntimeError("power cut")

        monkeypatch.setattr("edgetl.bundle.publish.shutil.copyfile", broken)
        with pytest.raises(RuntimeError):
            publish_report(store, report(store, "a", note="2"))
    assert (tmp_path / "bundles" / "a" / "model.onnx").read_text() == "a"
