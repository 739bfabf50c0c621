"""The page of a detector."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detector_reports import CLASSES, EVIL, report, samples
from html_outline import Outline, outline

from edgetl.report.confusion import shape_objects
from edgetl.report.detection import section
from edgetl.report.detection.model import SizeScores
from edgetl.report.detection.pictures import Both, choose_images
from edgetl.report.html import Details, render_html
from edgetl.report.model import Report
from edgetl.tasks.detection.detections import Detections
from edgetl.types import Box, Sample

Made = tuple[Report, Details]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return report(samples(tmp_path_factory.mktemp("cells")))


@pytest.fixture(scope="module")
def page(made: Made) -> str:
    return render_html(*made)


@pytest.fixture(scope="module")
def found(page: str) -> Outline:
    return outline(page)


def words_of(outlined: Outline) -> str:
    return " ".join("".join(outlined.words).split())


def test_the_page_needs_nothing_from_outside_and_its_links_lead_somewhere(page: str, found: Outline) -> None:
    assert "http" not in page
    assert not {"script", "link"} & set(found.tags)
    assert all(address.startswith(("#", "data:image/jpeg;base64,")) for address in found.addresses)
    assert len(found.ids) == len(set(found.ids))
    assert {address[1:] for address in found.addresses if address.startswith("#")} <= set(found.ids)


def test_the_page_shows_what_a_detector_is_judged_by(found: Outline) -> None:
    words = words_of(found)
    for expected in (
        "3 classes, 2 training images, 8 validation images with 16 labeled objects",
        "The float network has AP ",
        "AP and latency",
        "Objects by class and size",
        "objects with a score of at least 0.4 are reported",
        "By size: thirds of the labeled objects by area",
        "nothing there",
        "Reported differently from the float network, most different first",
        "Objects missed or wrong, lowest F1 first",
        "Labeled objects per class",
        "neck and head, rate 0.004",
        "best frozen",
        "−0.030…0.002",
        "over budget",
        "Too little data",
        "240 steps of 8 images on all shots",
    ):
        assert expected in words, expected


def test_nothing_of_classification_is_left(found: Outline) -> None:
    words = words_of(found)
    for foreign in ("Top-1", "top-1", "macro-F1", "Agreement", "softmax", "Confusion matrix", "logit", "best head"):
        assert foreign not in words, foreign


def test_what_the_user_supplied_is_escaped(tmp_path: Path) -> None:
    page = render_html(*report(samples(tmp_path), labels=(EVIL, "b", "c")))
    assert "<script" not in page
    assert "script" not in outline(page).tags
    assert page.count("&lt;script&gt;") >= 4


def test_images_show_both_networks_where_they_differ(page: str) -> None:
    assert page.count('class="boxed"') >= 4
    assert "Float network: " in page
    assert '<g class="missed"><title>missed: ' in page
    assert '<g class="right"><title>' in page


def test_captions_are_left_out_where_they_would_hide_the_image(tmp_path: Path) -> None:
    (few,) = samples(tmp_path, 1)
    boxes = tuple(Box(3.0 * at, 2.0, 3.0 * at + 2, 4.0, 0) for at in range(12))
    crowd = Sample(few.path, boxes, "")
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    for known, captions in ((replace(crowd, truth=boxes[:3]), 3), (crowd, 0)):
        found = Both([nothing], [nothing], 0.4)
        differ, worst = choose_images([known], CLASSES, found, "int8")
        assert (differ.found, worst.found) == (0, 1)
        (side,) = worst.images[0].sides
        assert sum(bool(box.caption) for box in side.boxes) == captions
        assert side.sentence == f"0 of {len(known.boxes)} found, {len(known.boxes)} missed, 0 wrong"


def test_an_image_that_is_gone_is_said(tmp_path: Path) -> None:
    known = samples(tmp_path)
    made = report(known)
    for sample in known:
        Path(sample.path).unlink()
    page = render_html(*made)
    assert "no longer readable" in page
    assert 'class="boxed"' not in page


def test_equal_builds_and_infinite_corners_are_shown_once_and_drawn(made: Made) -> None:
    document, details = made
    here, absent = details.targets
    answers = here.answers["int8"].copy()
    answers[0, 0] = (-np.inf, 0, np.inf, 5, 0.9, 0)
    twin = document.bundles[0].model_copy(update={"target": "intel-cpu"})
    document = document.model_copy(update={"bundles": (document.bundles[0], twin, document.bundles[1])})
    both = [
        replace(here, answers={**here.answers, "int8": answers}, bench=replace(here.bench, target=name))
        for name in ("x86-cpu", "intel-cpu")
    ]
    page = render_html(document, replace(details, targets=(*both, absent)))
    assert "x86-cpu int8, intel-cpu int8" in page
    assert not re.search(r'="-?(inf|nan)"', page)


def test_a_report_without_answers_has_no_section_of_objects(made: Made) -> None:
    document, details = made
    bare = replace(details, targets=tuple(replace(each, answers={}) for each in details.targets))
    found = outline(render_html(document, bare))
    assert "objects" not in found.ids
    assert "images" not in found.ids


def test_the_page_is_the_same_for_the_same_report(made: Made, page: str) -> None:
    assert render_html(*made) == page


def test_many_classes_are_shown_as_sentences() -> None:
    names = [f"class {number}" for number in range(30)]
    counts = np.zeros((31, 31), np.int64)
    counts[0, 0], counts[0, 1], counts[30, 2], counts[3, 30] = 5, 2, 7, 4
    shaped = shape_objects(counts, names)
    assert not shaped.rows
    assert shaped.sentences == (
        "class 2 reported where nothing is labeled: 7",
        "class 3 missed: 4 of 4",
        "class 0 reported as class 1: 2 of 7",
    )


def test_the_background_has_no_count_of_its_own() -> None:
    shaped = shape_objects(np.arange(16).reshape(4, 4), CLASSES)
    assert shaped.columns == (*CLASSES, "missed")
    name, cells = shaped.rows[-1]
    assert (name, cells[-1]) == ("nothing there", None)
    assert cells[0] is not None
    assert (cells[0].count, cells[0].right) == (12, False)


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [
        (0.0, 1024.0, "to 32 × 32 pixels"),
        (1024.1, 4096.0, "32 × 32 to 64 × 64 pixels"),
        (4096.1, None, "from 64 × 64 pixels"),
    ],
)
def test_sizes_are_said_as_squares(least: float, most: float | None, text: str) -> None:
    assert section.sizes(SizeScores(objects=1, least_area=least, most_area=most)) == text
