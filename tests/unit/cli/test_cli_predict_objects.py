"""`edgetl predict` on a detector: lines, a table or JSON of objects, and images with them drawn."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_calls import Shell
from detector_pivot import LABELS, make_detector_pivot
from PIL import Image
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import detect, open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.cli.draw import Drawings
from edgetl.errors import BackendError, UsageError
from edgetl.fronts.image.decode import decode
from edgetl.tasks.detection.detections import Detections


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    made = compile_targets(make_detector_pivot(folder / "pivot"), ["x86-cpu"], folder / "bundles")[1]
    try:
        with open_bundle(read_bundle(made), threads=1):
            return made
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture
def images(bundle: Path, tmp_path: Path) -> Path:
    """in/0.png and in/1.png with objects, in/black.png without."""
    (tmp_path / "in").mkdir()
    for name in ("0.png", "1.png"):
        shutil.copy(bundle / "golden" / name, tmp_path / "in" / name)
    Image.new("RGB", (40, 30)).save(tmp_path / "in" / "black.png")
    return tmp_path / "in"


def test_each_image_has_a_line_and_each_object_in_it(shell: Shell, bundle: Path, images: Path) -> None:
    (found,) = detect(bundle, [images / "0.png"], threads=1)
    assert found.objects is not None
    told = shell("predict", bundle, images / "0.png", images / "black.png")
    assert (told.code, told.err) == (0, "")
    first, *lines = told.out.splitlines()
    assert first == f"{images / '0.png'}: {len(found.objects.scores)} objects"
    assert lines[-1] == f"{images / 'black.png'}: 0 objects"
    corners = " ".join(f"{value:.1f}" for value in found.objects.boxes[0])
    assert lines[0] == f"  {LABELS[found.objects.labels[0]]} {100 * found.objects.scores[0]:.1f} %  {corners}"


def test_a_table_has_a_row_for_each_object_and_for_images_without(shell: Shell, bundle: Path, images: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(shell("predict", bundle, images, "--csv").out)))
    assert list(rows[0]) == ["path", "label", "score", "x0", "y0", "x1", "y1", "error"]
    found = [one.objects for one in detect(bundle, sorted(images.iterdir()), threads=1)]
    assert len(rows) == sum(max(1, len(one.scores)) for one in found if one)
    assert (rows[-1]["path"], rows[-1]["label"], rows[-1]["x1"]) == (str(images / "black.png"), "", "")
    assert float(rows[0]["x1"]) == pytest.approx(found[0].boxes[0, 2], abs=0.01)  # type: ignore[union-attr]


def test_json_has_numbers_that_give_the_same_float32(shell: Shell, bundle: Path, images: Path) -> None:
    (told,) = shell("predict", bundle, images / "1.png", "--json").json()
    (found,) = detect(bundle, [images / "1.png"], threads=1)
    assert found.objects is not None
    assert np.array([one["box"] for one in told["objects"]], np.float32).tobytes() == found.objects.boxes.tobytes()
    assert np.array([one["score"] for one in told["objects"]], np.float32).tobytes() == found.objects.scores.tobytes()


def test_a_threshold_leaves_out_objects_with_lower_scores(shell: Shell, bundle: Path, images: Path) -> None:
    counts = []
    for threshold in ("0.5", "0.9", "1"):
        (told,) = shell("predict", bundle, images / "0.png", "--threshold", threshold, "--json").json()
        assert all(one["score"] >= float(threshold) for one in told["objects"])
        counts.append(len(told["objects"]))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 0


def test_an_image_that_cannot_be_used_is_named_and_the_others_are_searched(
    shell: Shell, bundle: Path, images: Path
) -> None:
    (images / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn off")
    told = shell("predict", bundle, images)
    assert told.code == 1
    assert "torn.png" in told.err
    assert "3 images searched; 1 could not be used" in told.err
    assert told.out.count("object") == 3


def test_drawings_show_the_objects_in_the_size_of_the_image(
    shell: Shell, bundle: Path, images: Path, tmp_path: Path
) -> None:
    (images / "deep").mkdir()
    shutil.copy(images / "0.png", images / "deep" / "0.png")
    told = shell("predict", bundle, images, "--draw", tmp_path / "drawn")
    assert told.code == 0
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == ["0-2.png", "0.png", "1.png", "black.png"]
    before, after = decode(images / "1.png"), decode(tmp_path / "drawn" / "1.png")
    assert before.shape == after.shape
    assert (before != after).any()
    assert (decode(tmp_path / "drawn" / "black.png") == 0).all()


def test_nothing_is_drawn_over_what_is_there(shell: Shell, bundle: Path, images: Path, tmp_path: Path) -> None:
    told = shell("predict", bundle, images, "--draw", images)
    assert told.code != 0
    assert "expected a new or an empty folder to draw into" in told.err
    with pytest.raises(UsageError, match="to draw into"):
        Drawings(images / "0.png", LABELS)


def test_boxes_that_are_turned_around_are_drawn_too(images: Path, tmp_path: Path) -> None:
    turned = Detections(np.array([[20, 20, 5, 5]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    assert Drawings(tmp_path / "new", LABELS).draw(images / "black.png", turned).is_file()


def test_options_of_the_other_task_are_refused(shell: Shell, bundle: Path, images: Path, tmp_path: Path) -> None:
    shell.refuses(2, ["--top is for classifiers", "is a detector"], "predict", bundle, images, "--top", "3")
    shell.refuses(2, ["--sort-into is for classifiers"], "predict", bundle, images, "--sort-into", tmp_path / "s")
    (classifier, _) = compile_targets(make_pivot(tmp_path / "classes"), ["null"], tmp_path / "others")
    shell.refuses(2, ["--draw is for detectors", "is a classifier"], "predict", classifier, images, "--draw", "d")
