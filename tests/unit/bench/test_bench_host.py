"""All validation images for an absent CPU: answers of the host, with all doubts of emulation in the intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.bench.host_answers import Answered, on_all_images
from edgetl.tasks.classification.accuracy import compare

IMAGES, CLASSES = 40, 3
PICKED = np.arange(0, IMAGES, 4)


def network(seed: int, near: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Host logits, labels and the float network's logits; of `near` of the images two classes are close."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, IMAGES)
    reference = random.normal(0, 1, (IMAGES, CLASSES)) + 2 * np.eye(CLASSES)[labels]
    host = reference + random.normal(0, 0.3, reference.shape)
    close = random.random(IMAGES) < near
    first, second = np.argsort(-host, axis=1)[:, :2].T
    host[close, second[close]] = host[close, first[close]] - 0.01
    return host.astype(np.float32), labels, reference.astype(np.float32)


def test_where_both_cpus_answer_alike_the_host_speaks_for_all_images() -> None:
    host, labels, reference = network(0)
    found = on_all_images(Answered(host, host[PICKED], PICKED), labels, reference, 0)
    assert found is not None
    accuracy, check = found
    assert accuracy == compare(host, labels, reference, 0)
    assert (check.emulated_images, check.same, check.max_abs_diff, check.undecided) == (10, 10, 0.0, 0)


def test_an_emulated_answer_counts_and_not_the_hosts() -> None:
    host, labels, reference = network(0)
    here, there = np.argsort(-host[0])[:2]
    host[0, there] = host[0, here] - np.float32(0.001)
    labels[0] = there
    emulated = host[PICKED].copy()
    emulated[0, there] += np.float32(0.002)
    found = on_all_images(Answered(host, emulated, PICKED), labels, reference, 0)
    assert found is not None
    wrong_here = compare(host, labels, reference, 0)
    assert found[0].top1.value == pytest.approx(wrong_here.top1.value + 1 / IMAGES)
    assert (found[1].emulated_images, found[1].same) == (10, 9)


def test_a_close_answer_is_undecided_once_the_cpus_differ_by_half_its_lead() -> None:
    host, labels, reference = network(1)
    image = 1  # not emulated
    first, second = np.argsort(-host[image])[:2]
    host[image, second] = host[image, first] - np.float32(0.01)
    emulated = host[PICKED].copy()
    for difference, undecided in ((0.004, 0), (0.006, 1)):
        emulated[0, 0] = host[PICKED[0], 0] + np.float32(difference)
        found = on_all_images(Answered(host, emulated, PICKED), labels, reference, 0)
        assert found is not None
        assert found[1].undecided == undecided
        assert found[1].max_abs_diff == pytest.approx(difference, rel=1e-3)


def test_cpus_that_differ_widely_leave_the_emulated_images_alone() -> None:
    host, labels, reference = network(2)
    assert on_all_images(Answered(-host, host[PICKED], PICKED), labels, reference, 0) is None


@pytest.mark.parametrize("where", ["host", "emulated"])
def test_not_finite_logits_are_never_spoken_for(where: str) -> None:
    host, labels, reference = network(3)
    emulated = host[PICKED].copy()
    (host if where == "host" else emulated)[0, 0] = np.nan
    assert on_all_images(Answered(host, emulated, PICKED), labels, reference, 0) is None


@given(seed=st.integers(0, 10_000), near=st.sampled_from([0.0, 0.1, 0.3]), scale=st.sampled_from([0.001, 0.01, 0.05]))
def test_no_target_within_the_seen_difference_lies_outside_the_intervals(seed: int, near: float, scale: float) -> None:
    host, labels, reference = network(seed, near)
    random = np.random.default_rng(seed + 1)
    target = host + random.uniform(-scale, scale, host.shape).astype(np.float32)
    target[PICKED[0], 0] = host[PICKED[0], 0] + np.float32(scale)  # the largest difference is among those that are seen
    found = on_all_images(Answered(host, target[PICKED], PICKED), labels, reference, 0)
    if found is None:
        return
    claimed, truth = found[0], compare(target, labels, reference, 0)
    for name in ("top1", "drop_points", "agreement", "macro_f1"):
        interval, true = getattr(claimed, name), getattr(truth, name).value
        assert interval.low <= interval.value <= interval.high
        if name != "macro_f1":  # not monotonous in single answers
            assert interval.low - 1e-9 <= true <= interval.high + 1e-9
