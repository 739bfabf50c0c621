"""report.json, the table in the terminal, and rows for CI, of a detector."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from detector_reports import ADAPTED, CLASSES, SETTINGS, report, samples
from rich.console import Console

from edgetl.bench.ci_files import csv_text
from edgetl.report.ci import rows
from edgetl.report.detection.model import ObjectScores
from edgetl.report.model import Report, read_report, report_text, write_report
from edgetl.report.terminal import show_report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report(samples(tmp_path_factory.mktemp("cells")))[0]


def build_of(made: Report, precision: str = "int8") -> ObjectScores:
    found = next(build for build in made.bundles[0].builds if build.precision == precision).detection
    assert found is not None
    return found


def shown(made: Report) -> str:
    stream = io.StringIO()
    show_report(made, Console(file=stream, width=80))
    return stream.getvalue()


def test_the_score_is_ap_and_nothing_is_called_top1(made: Report) -> None:
    content = json.loads(report_text(made))
    assert (content["task"], content["metric"]) == ("detection", "AP")
    bundle = content["bundles"][0]
    for row in (content["reference"], bundle, *bundle["builds"]):
        assert row["score_low"] <= row["score"] <= row["score_high"]
        assert row["top1"] is row["macro_f1"] is None
        assert not row["recalls"]


def test_the_drop_is_that_of_the_score(made: Report) -> None:
    int8, float32 = made.bundles[0].builds
    assert int8.score is not None
    assert int8.drop_points == pytest.approx(100 * (made.reference.score - int8.score), abs=1e-9)
    assert float32.drop_points == 0


def test_every_class_and_every_third_of_the_sizes_has_its_scores(made: Report) -> None:
    found = build_of(made)
    assert [each.label for each in found.classes] == list(CLASSES)
    assert sum(each.objects for each in found.classes) == sum(each.objects for each in found.sizes) == found.objects
    assert found.sizes[0].least_area == 0
    assert found.sizes[-1].most_area is None
    assert found.threshold == SETTINGS.score_threshold
    hits, reported = (sum(getattr(each, name) for each in found.classes) for name in ("hits", "reported"))
    assert found.precision == pytest.approx(hits / reported)


def test_a_report_comes_back_as_it_was_written(made: Report, tmp_path: Path) -> None:
    write_report(made, tmp_path / "report.json")
    again = read_report(tmp_path / "report.json")
    assert again == made
    assert again.adapt == ADAPTED


def test_labeled_objects_are_counted_per_class(made: Report) -> None:
    assert sum(made.data.val_per_class) == made.reference.detection.objects  # type: ignore[union-attr]


def test_a_report_of_an_earlier_version_has_its_top1_as_the_score(made: Report) -> None:
    content = json.loads(report_text(made))
    for row in (content["reference"], *content["bundles"]):
        for name in ("score", "score_low", "score_high", "detection"):
            del row[name]
        row |= {"top1": 0.75, "top1_low": 0.5, "top1_high": 0.9}
    del content["task"], content["metric"]
    old = Report.model_validate(content)
    assert (old.task, old.metric) == ("classification", "top-1")
    assert (old.reference.score, old.bundles[0].score_low) == (0.75, 0.5)


def test_the_terminal_names_the_metric_the_hardest_class_and_the_working_point(made: Report) -> None:
    text = shown(made)
    assert max(len(line) for line in text.splitlines()) <= 80
    words = " ".join(text.split())
    assert "top-1" not in words
    assert "float network AP " in words
    assert f"on {made.reference.detection.objects} objects in 8 images" in words  # type: ignore[union-attr]
    assert "lowest AP: " in words
    assert "x86-cpu: reports objects from a score of 0.4: recall " in words
    assert "warning: platelets: 9 objects." in words
    assert ", AP " in made.summary or "AP " in words


def test_the_table_of_ci_has_a_column_per_class(made: Report) -> None:
    first, second, absent = rows(made)
    assert first["metric"] == "AP"
    assert first["top1"] is None
    assert first["score"] == made.bundles[0].score
    assert [name for name in first if name.startswith("ap.")] == [f"ap.{label}" for label in CLASSES]
    assert first["ap50"] == build_of(made).ap50
    assert second["recall"] == build_of(made, "float32").recall
    assert absent["ap.red"] is absent["threshold"] is None
    assert len({line.count(",") for line in csv_text([first, absent]).splitlines()[:1]}) == 1


def test_a_class_without_objects_has_no_scores(tmp_path: Path) -> None:
    known = samples(tmp_path)
    without = [each for each in known if all(box.label != 1 for box in each.boxes)]
    lonely = build_of(report(without)[0])
    assert lonely.classes[1].objects == 0
    assert lonely.classes[1].ap is lonely.classes[1].drop_points is None
