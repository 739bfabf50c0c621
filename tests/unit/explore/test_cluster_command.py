"""`edgetl cluster` from a folder of pictures to its files, with the backbone that comes with the package."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loose_pictures import write_pictures

from edgetl.cli import main
from edgetl.explore.cluster.propose import Proposal, propose
from edgetl.files.durable import write_text

BACKBONE = "edgetl:printed_characters"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "photos", {"a": 6, "b": 6})


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["cluster", *map(str, arguments), "--backbone", BACKBONE, "--quiet"])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def _table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_all_files_are_written_and_agree(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "torn.png").write_bytes(b"torn")
    (photos / "line\nbreak").mkdir()
    out = tmp_path / "out"
    assert _run(photos, "--out", out, "--clusters", 3, "--label-next", 4, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    clusters, following = _table(out / "clusters.csv"), _table(out / "label-next.csv")
    assert clusters[0] == ["path", "cluster", "similarity", "label"]
    assert following[0] == ["path", "label"]
    assert sorted(row[0] for row in clusters[1:]) == sorted(map(str, photos.glob("*/*.png")))
    assert [sum(row[1] == str(k) for row in clusters) for k in range(3)] == told["sizes"]
    assert [row[0] for row in following[1:]] == [each["path"] for each in told["label_next"]]
    assert all(row[1] == "" for row in following[1:])
    assert [Path(each["path"]).name for each in told["skipped"]] == ["line?break", "torn.png"]
    page = (out / "clusters.html").read_text(encoding="utf-8")
    assert page.count("<h2>") == 1 + 3
    assert page.count("data:image/jpeg") == 12 + 4
    assert not (out / "pseudo-labels.csv").exists()


def test_filled_in_labels_guide_the_next_proposals_and_are_never_overwritten(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, labels = tmp_path / "out", tmp_path / "labels.csv"
    assert _run(photos, "--out", out, "--clusters", 2, "--label-next", 4) == 0
    proposed = _table(out / "label-next.csv")[1:]
    filled = "path,label\n" + "".join(f"{path},{Path(path).parent.name}\n" for path, _ in proposed)
    (out / "label-next.csv").write_text(filled)
    assert _run(photos, "--out", out) == 2
    assert "label-next.csv: changed since edgetl wrote it" in capsys.readouterr().err
    labels.write_text(filled)
    (out / "label-next.csv").unlink()
    if len({Path(path).parent for path, _ in proposed}) < 2:
        pytest.fail("the pictures were chosen so that both folders are proposed")
    assert _run(photos, "--out", out, "--clusters", 2, "--label-next", 3, "--labelled", labels, "--pseudo-label") == 0
    told = capsys.readouterr().out
    assert "no pseudo-labels: 4 labeled images; at least 59 are needed" in told
    after = {path for path, _ in _table(out / "label-next.csv")[1:]}
    assert len(after) == 3
    assert not after & {path for path, _ in proposed}


SAVED: dict[str, Callable[[str], bytes]] = {
    "by a spreadsheet, with semicolons": lambda text: text.replace(",", ";").encode("utf-8-sig"),
    "by a spreadsheet, with tabs": lambda text: text.replace(",", "\t").encode(),
    "in a code page": lambda text: text.replace(",\n", ",Stra\u00dfe\n").encode("cp1252"),
    "in UTF-16": lambda text: text.encode("utf-16"),
    "without its header": lambda text: text.partition("\n")[2].encode(),
    "empty": lambda text: b"",
}


@pytest.mark.parametrize("how", SAVED)
def test_a_list_saved_again_is_never_overwritten_whatever_it_was_saved_with(
    photos: Path, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _run(photos, "--out", out, "--clusters", 2, "--label-next", 4) == 0
    path = out / "label-next.csv"
    path.write_bytes(SAVED[how](path.read_text(encoding="utf-8")))
    before = path.read_bytes()
    capsys.readouterr()
    assert _run(photos, "--out", out, "--clusters", 2, "--label-next", 4) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "label-next.csv: changed since edgetl wrote it" in line
    assert "--labeled" in line
    assert path.read_bytes() == before


def test_pseudo_labels_somebody_looked_through_are_kept_too(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _run(photos, "--out", out, "--clusters", 2) == 0
    (out / "pseudo-labels.csv").write_text("path,label\nx.png,cat\n")
    assert _run(photos, "--out", out, "--clusters", 2) == 2
    assert "pseudo-labels.csv: changed since edgetl wrote it" in capsys.readouterr().err
    assert (out / "pseudo-labels.csv").read_text() == "path,label\nx.png,cat\n"


def test_labels_filled_in_while_the_images_are_read_are_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, path = tmp_path / "out", tmp_path / "out" / "label-next.csv"
    assert _run(photos, "--out", out, "--clusters", 2) == 0

    def slowly(*arguments: Any, **keywords: Any) -> tuple[Proposal, ...]:
        path.write_text("path;label\nx.png;cat\n")
        return propose(*arguments, **keywords)

    monkeypatch.setattr("edgetl.explore.cluster.cluster.propose", slowly)
    assert _run(photos, "--out", out, "--clusters", 2) == 2
    assert path.read_text() == "path;label\nx.png;cat\n"


def test_a_list_that_nobody_touched_is_replaced_also_after_a_kill_between_the_files(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert _run(photos, "--out", out, "--label-next", 4) == 0
    for killed_at in ("clusters.json", "label-next.csv"):

        def killed(path: Path, text: str, name: str = killed_at) -> None:
            if path.name == name:
                raise KeyboardInterrupt
            write_text(path, text)

        with monkeypatch.context() as patch:
            patch.setattr("edgetl.explore.cluster.cluster.write_text", killed)
            assert _run(photos, "--out", out, "--label-next", 3) == 130
        assert _run(photos, "--out", out, "--label-next", 4) == 0
        assert len(_table(out / "label-next.csv")) == 1 + 4


def test_two_runs_write_equal_files(photos: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert _run(photos, "--out", tmp_path / name) == 0
    for file in ("clusters.csv", "label-next.csv", "clusters.json", "clusters.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--clusters", "many"], "or auto; found 'many'"),
        (["--clusters", "50"], "only 12 different images"),
        (["--pseudo-label"], "name a list with --labeled"),
    ],
)
def test_requests_that_cannot_be_met_are_refused_in_one_line(
    photos: Path, tmp_path: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(photos, "--out", tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert words in error


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipe.yaml", "name: cells\ntask: detection\n"),
        ("train.json", '{"images": [], "annotations": [], "categories": []}'),
        ("boxes.csv", "path,x0,y0,x1,y1,label\n"),
    ],
)
def test_labeled_objects_are_refused_because_clusters_are_for_classification(
    name: str, content: str, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert _run(tmp_path / name) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}: contains labeled objects, and `edgetl cluster` is for classification" in line
    assert _run(photos, "--labeled", tmp_path / name) == 2
    assert "is for classification" in capsys.readouterr().err


def test_a_folder_with_annotations_of_objects_is_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "train.json").write_text('{"images": [], "annotations": [], "categories": []}', encoding="utf-8")
    assert _run(photos) == 2
    assert "is for classification" in capsys.readouterr().err
