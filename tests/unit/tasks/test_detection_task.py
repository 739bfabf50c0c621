"""Detection behind the contract of a task: what is kept of outputs, and the threshold of another computation."""

from __future__ import annotations

import numpy as np

from edgetl.tasks.detection.detections import Postprocess
from edgetl.tasks.detection.task import Detection, objects, same_count
from edgetl.types.frames import Frame

FRAME = Frame(height=100, width=200, rows=10, columns=20, top=0, left=0)
BOXES = np.array([[[0, 0, 4, 4], [10, 2, 20, 10], [0, 0, 4, 4]]], np.float32)
SCORES = np.array([[[0.9, 0.0], [0.005, 0.4], [0.8, 0.0]]], np.float32)


def test_answers_are_the_objects_in_image_pixels_best_first() -> None:
    answers = Detection().answer({"boxes": BOXES, "scores": SCORES}, [FRAME])
    assert answers.shape == (1, 100, 6)
    np.testing.assert_allclose(answers[0, 0], [0, 0, 40, 40, 0.9, 0], rtol=1e-6)
    np.testing.assert_allclose(answers[0, 1], [100, 20, 200, 100, 0.4, 1], rtol=1e-6)
    assert (answers[0, 2:] == -1).all()


def test_the_objects_come_back_out_of_answers() -> None:
    (found,) = objects(Detection().answer({"boxes": BOXES, "scores": SCORES}, [FRAME]))
    assert found.labels.tolist() == [0, 1]
    assert found.scores.tolist() == [np.float32(0.9), np.float32(0.4)]
    assert found.boxes.shape == (2, 4)


def test_an_image_with_an_output_that_is_not_finite_is_marked() -> None:
    broken = SCORES.copy()
    broken[0, 2, 1] = np.inf
    answers = Detection().answer({"boxes": BOXES, "scores": broken}, [FRAME])
    assert np.isnan(answers[0, -1]).all()
    assert len(objects(answers)[0].scores) == 2


def test_a_build_with_lower_scores_reports_as_many_objects_as_float() -> None:
    reference = np.array([0.9, 0.8, 0.6, 0.3, 0.2], np.float32)
    threshold = same_count(reference * np.float32(0.5), reference, Postprocess(score_threshold=0.5))
    assert 0.15 < threshold < 0.3
    assert int((reference * np.float32(0.5) >= np.float32(threshold)).sum()) == 3


def test_the_threshold_stays_where_there_is_nothing_to_count() -> None:
    none = np.zeros(0, np.float32)
    some = np.array([0.9, 0.8], np.float32)
    settings = Postprocess(score_threshold=0.5)
    assert same_count(none, none, settings) == 0.5
    assert same_count(none, some, settings) == 0.5
    assert same_count(some, np.array([0.1], np.float32), settings) == 0.5


def test_ties_at_the_edge_never_let_fewer_pass() -> None:
    scores = np.array([0.9, 0.4, 0.4, 0.1], np.float32)
    threshold = same_count(scores, np.array([0.9, 0.8, 0.1], np.float32), Postprocess(score_threshold=0.5))
    assert int((scores >= np.float32(threshold)).sum()) >= 2
