from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_objects import detections, random_found, random_truths

from edgetl.tasks.detection.average_precision import average_precision
from edgetl.tasks.detection.detections import Detections
from edgetl.tasks.detection.match import Matches, match, size_thirds
from edgetl.tasks.detection.scores import Resampled, resample, scores
from edgetl.types import Box, Boxes, Interval

CLASSES, IMAGES = 3, 40


def matched(seed: int = 0, *, lost: float = 0.0) -> Matches:
    """Found objects of random images; a share of them is taken away, so that a build is worse."""
    truths = random_truths(IMAGES, CLASSES, 7)
    generator = np.random.default_rng(seed)
    found = []
    for each in random_found(truths, CLASSES, 8):
        keep = generator.random(each.labels.size) >= lost
        found.append(Detections(each.boxes[keep], each.scores[keep], each.labels[keep]))
    return match(found, truths, CLASSES, size_thirds(truths))


def drawn(matches: Matches, groups: list[str] | None = None) -> Resampled:
    return resample(matches, 0.5, groups, resamples=300)


def inside(interval: Interval) -> bool:
    return interval.low <= interval.value <= interval.high


def test_values_are_those_of_the_images_as_they_are() -> None:
    matches = matched()
    found = scores(drawn(matches))
    whole = average_precision(matches)
    assert (found.ap.value.value, found.ap50.value.value) == pytest.approx((whole.mean, whole.ap50), abs=1e-12)
    assert [each.ap.value.value for each in found.classes if each.ap] == pytest.approx(
        whole.classes.tolist(), abs=1e-12
    )
    sizes = [average_precision(matches, size=size).mean for size in (1, 2, 3)]
    assert [each.ap.value.value for each in found.sizes if each.ap] == pytest.approx(sizes, abs=1e-12)
    assert sum(each.objects for each in found.sizes) == found.objects == sum(each.objects for each in found.classes)
    assert inside(found.ap.value)
    assert found.ap.drop_points is None


def test_a_build_loses_nothing_against_itself() -> None:
    build = drawn(matched())
    found = scores(build, build)
    assert found.ap.drop_points == Interval(0.0, 0.0, 0.0)
    assert found.recall.drop_points == Interval(0.0, 0.0, 0.0)


def test_the_drop_is_paired_so_its_interval_is_narrower_than_that_of_the_score() -> None:
    reference, build = drawn(matched()), drawn(matched(1, lost=0.05))
    found = scores(build, reference)
    alone = scores(reference)
    assert found.ap.drop_points is not None
    assert found.ap.drop_points.value == pytest.approx(100 * (alone.ap.value.value - found.ap.value.value), abs=1e-9)
    width = found.ap.drop_points.high - found.ap.drop_points.low
    assert 0 < width < 100 * (found.ap.value.high - found.ap.value.low)
    assert inside(found.ap.drop_points)


def test_a_build_that_finds_a_tenth_is_proven_to_be_worse() -> None:
    found = scores(drawn(matched(1, lost=0.9)), drawn(matched()))
    for score in (found.ap, found.ap50, found.recall):
        assert score.drop_points is not None
        assert score.drop_points.low > 0


def test_intervals_over_groups_are_wider_where_the_images_of_a_group_are_alike() -> None:
    truths = random_truths(8, CLASSES, 1, ignored=0)
    found = random_found(truths, CLASSES, 2)
    fivefold = match(found * 5, truths * 5, CLASSES)
    by_image = scores(drawn(fivefold)).ap.value
    by_group = scores(drawn(fivefold, [str(image % 8) for image in range(40)])).ap.value
    assert by_group.high - by_group.low > 1.5 * (by_image.high - by_image.low)


def test_a_class_without_objects_has_no_scores() -> None:
    truths: list[Boxes] = [(Box(0, 0, 10, 10, 0),)] * 2
    found = scores(drawn(match([detections([[0, 0, 10, 10]], [0.9], [0])] * 2, truths, 2)))
    assert [(each.objects, each.ap is None) for each in found.classes] == [(2, False), (0, True)]
    assert (found.classes[0].hits, found.classes[0].reported, found.precision) == (2, 2, 1.0)


def test_images_without_labeled_objects_have_no_score() -> None:
    with pytest.raises(ValueError, match="at least one labeled object"):
        resample(match([detections([], [], [])], [()], 1), 0.5)


def test_only_builds_on_the_same_images_are_compared() -> None:
    one, other = drawn(matched()), drawn(match([detections([], [], [])], [(Box(0, 0, 9, 9, 0),)], CLASSES))
    with pytest.raises(ValueError, match="the same images"):
        scores(one, replace(other))
