"""What is published beside the stages is the current result, whole, and touched only when it changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from edgetl.publish import publish_pivot, publish_report
from edgetl.store import StageResult, Store, open_store


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
        content = publish_report(store, report(store, "a", "b"))
    assert content == {"schema": 1}
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
        (tmp_path / "bundles" / "a" / "leftover").write_text("x")
        publish_report(store, report(store, "a", note="2"))
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "bundles" / "a").iterdir()] == ["model.onnx"]
    assert (tmp_path / "bundles" / "a" / "model.onnx").read_text() == "a2"


def test_a_report_without_any_bundle_is_published(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert publish_report(store, report(store)) == {"schema": 1}
    assert not (tmp_path / "bundles").exists()


def test_a_failure_half_way_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path) as store:
        publish_report(store, report(store, "a"))

        def broken(*arguments: object) -> None:
            raise RuntimeError("power cut")

        monkeypatch.setattr("edgetl.publish.shutil.copyfile", broken)
        with pytest.raises(RuntimeError):
            publish_report(store, report(store, "a", note="2"))
    assert (tmp_path / "bundles" / "a" / "model.onnx").read_text() == "a"
