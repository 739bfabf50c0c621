"""Guards: verdicts from numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl.adapt.guards import (
    Judged,
    clear_lead,
    judged,
    negative_transfer,
    overfitting,
    sanity_probe,
    too_little_data,
    worth_training,
)
from edgetl.adapt.record import Guard
from edgetl.types.stats import wilson


def _right(right: int, images: int = 100) -> NDArray[np.bool_]:
    return np.arange(images) < right


def _candidate(name: str, right: int, loss: float = 1.0) -> Judged:
    return Judged(name, _right(right), np.full(100, loss))


def test_logits_are_judged_image_by_image() -> None:
    found = judged("ridge", np.array([[2.0, 0.0], [2.0, 0.0]]), np.array([0, 1]))
    assert found.right.tolist() == [True, False]
    np.testing.assert_allclose(found.loss, [math.log1p(math.exp(-2)), 2 + math.log1p(math.exp(-2))])


@pytest.mark.parametrize(
    ("candidate", "frozen", "scratch", "expected"),
    [
        (_candidate("fine-tuning", 90), [_candidate("ridge", 70)], _candidate("scratch", 40), "pass"),
        (_candidate("fine-tuning", 71, 0.5), [_candidate("ridge", 70)], None, "pass"),
        (_candidate("fine-tuning", 71), [_candidate("ridge", 70)], None, "pass"),
        (_candidate("fine-tuning", 69), [_candidate("ridge", 70)], None, "rolled back"),
        (_candidate("fine-tuning", 70), [_candidate("ridge", 70)], None, "rolled back"),
        (_candidate("fine-tuning", 70, 0.5), [_candidate("ridge", 70)], None, "pass"),
        (_candidate("fine-tuning", 69, 0.5), [_candidate("ridge", 70)], None, "warn"),
        (_candidate("fine-tuning", 90), [_candidate("ncm", 70), _candidate("ridge", 95)], None, "rolled back"),
        (_candidate("ridge", 60), [], _candidate("scratch", 85), "failed"),
        (_candidate("ridge", 60), [], _candidate("scratch", 61), "warn"),
        (_candidate("ridge", 60), [], _candidate("scratch", 30), "pass"),
        (_candidate("ridge", 60), [], None, "not measured"),
    ],
)
def test_a_candidate_must_beat_frozen_features_and_a_network_from_scratch(
    candidate: Judged, frozen: list[Judged], scratch: Judged | None, expected: str
) -> None:
    found = negative_transfer(candidate, frozen, scratch)
    assert found.verdict == expected
    assert found.sentence[0].isupper()
    assert found.sentence.endswith(".")


def test_the_fewer_images_the_clearer_fine_tuning_must_lead() -> None:
    assert [clear_lead(images) for images in (0, 20, 30, 60, 500)] == [30.0, 1.5, 1.0, 0.5, 0.5]
    few = [np.arange(20) < right for right in (18, 17)]  # one image more: 0.5 standard errors
    better, rival = (Judged(name, right, np.ones(20)) for name, right in zip(("tuned", "head"), few, strict=True))
    assert negative_transfer(better, [rival], None).verdict == "rolled back"


def test_a_rollback_names_both_and_their_difference() -> None:
    found = negative_transfer(_candidate("fine-tuning", 60), [_candidate("ridge", 70)], None)
    assert "Fine-tuning is not clearly better than a new head alone" in found.sentence
    assert "60.0% against 70.0% of 100 held-out images" in found.sentence
    assert "-10.0 points" in found.sentence
    assert found.numbers["candidate_minus_frozen_points"] == pytest.approx(-10)


@pytest.mark.parametrize(
    ("right", "expected", "end"),
    [
        (_right(72), "pass", "such a small lead may be chance."),
        (_right(68) | ~_right(99), "warn", "which may be chance; it was kept because the other weights are random."),
        (_right(50), "rolled back", "so the backbone keeps its random weights, with the new head."),
    ],
)
def test_random_weights_are_trained_unless_a_head_on_them_is_clearly_better(
    right: NDArray[np.bool_], expected: str, end: str
) -> None:
    tuned, head = Judged("fine-tuning", right, np.ones(100)), _candidate("ridge", 70)
    found = negative_transfer(tuned, [head], None, pretrained=False)
    assert (found.verdict, found.sentence[-len(end) :]) == (expected, end)
    assert worth_training(tuned, head, 100, pretrained=False) == (expected != "rolled back")
    assert ("clearly worse" in found.sentence) == (expected == "rolled back")


def test_of_clips_it_speaks_of_clips_and_not_of_a_command_for_images() -> None:
    clips, scratch = _candidate("ridge", 60), _candidate("a small network trained from scratch", 90)
    found = negative_transfer(clips, [], scratch, noun="clip")
    assert "does better on these clips (90.0% against 60.0% of 100 held-out clips right" in found.sentence
    assert "edgetl select" not in found.sentence
    assert "edgetl select" in negative_transfer(clips, [], scratch).sentence


def test_a_lead_of_nothing_is_no_warning_and_says_why_fine_tuning_was_kept() -> None:
    found = negative_transfer(_candidate("finetune last 4 of 11 parts", 97, 0.5), [_candidate("logistic", 97)], None)
    assert found.verdict == "pass"
    assert found.sentence == (
        "Fine-tuning and a new head alone had the same number of 100 held-out images right (97.0%); fine-tuning was "
        "kept because it was more confident in the right classes."
    )


def test_what_the_recipe_asks_for_is_kept_with_a_warning() -> None:
    found = negative_transfer(_candidate("fine-tuning", 60), [_candidate("ridge", 70)], None, asked_for=True)
    assert found.verdict == "warn"
    assert found.sentence.endswith(", and was kept because the recipe asks for it.")
    clear = negative_transfer(_candidate("fine-tuning", 95), [_candidate("ridge", 70)], None, asked_for=True)
    assert clear.verdict == "pass"


@pytest.mark.parametrize(
    ("train", "held_out", "losses", "epochs", "expected"),
    [
        (1.0, 90, [1.0, 0.6, 0.5], 3, "pass"),
        (1.0, 70, [], 0, "pass"),
        (1.0, 40, [], 0, "warn"),
        (1.0, 40, [1.0, 0.5, 0.8], 2, "warn"),
        (1.0, 90, [1.0, 0.5, math.inf], 2, "pass"),
    ],
)
def test_learning_by_heart_is_warned_of(
    train: float, held_out: int, losses: list[float], epochs: int, expected: str
) -> None:
    assert overfitting(train, _right(held_out), losses, epochs).verdict == expected


def test_a_held_out_loss_that_rose_again_is_told_with_the_epoch_that_training_ended_at() -> None:
    found = overfitting(1.0, _right(90), [1.0, 0.5, 0.6, 0.8], 2)
    assert "rose again, from 0.5 after epoch 2 to 0.8 after 4, so training on all shots ended there" in found.sentence
    assert found.numbers["decline"] == pytest.approx(0.6)
    assert "rose" not in overfitting(1.0, _right(90), [1.0, 0.5, 0.51], 3).sentence


@given(st.integers(2, 400), st.floats(0, 1), st.integers(2, 30))
def test_the_images_that_are_missing_settle_it(images: int, share: float, classes: int) -> None:
    right = round(share * images)
    found = too_little_data(_right(right, images), classes)
    more = int(found.numbers["more_images_per_class"])
    assert found.verdict == ("warn" if more else "pass")
    assert (f"about {more} more per class" in found.sentence) == (more > 0)

    def reach(per_class: int) -> float:
        total = images + classes * per_class
        interval = wilson(round(right / images * total), total)
        return 100 * max(interval.high - interval.value, interval.value - interval.low)

    assert reach(more) <= 10.0
    assert all(reach(fewer) > 10.0 for fewer in range(more))


def test_at_everything_right_the_interval_narrows_faster_than_the_root() -> None:
    found = too_little_data(_right(12, 12), 2)
    assert found.numbers["more_images_per_class"] == 12  # 36 of 36 right is 90 to 100 %
    assert found.sentence == (
        "The held-out accuracy of 100% is known to within 24.2 points (76% to 100%) on 12 shots, too imprecise to "
        "choose by: about 12 more per class would bring it within 10."
    )


def _features(images: int, *, signal: float, spread: float, seed: int = 0) -> NDArray[np.float32]:
    """Around a mean of 1: two classes in turn, `signal` deviations apart."""
    generator = np.random.default_rng(seed)
    labels = np.arange(images) % 2
    centers = np.random.default_rng(99).normal(size=(2, 30)) * signal
    return (1 + spread * (centers[labels] + generator.normal(size=(images, 30)))).astype(np.float32)


def _sanity(pretrained: NDArray[np.float32], random: NDArray[np.float32]) -> Guard:
    return sanity_probe(pretrained, random, np.arange(len(pretrained)) % 2, 2, seed=0)


def test_good_features_beat_random_ones() -> None:
    found = _sanity(_features(40, signal=1.5, spread=1.0), _features(40, signal=0, spread=0.1))
    assert found.verdict == "pass"
    assert "beat random ones" in found.sentence
    assert found.numbers["top1"] > found.numbers["random_top1"]


def test_collapsed_features_carry_nothing() -> None:
    found = _sanity(_features(40, signal=0, spread=0.02), _features(40, signal=0.3, spread=0.1))
    assert found.verdict == "failed"
    assert found.sentence.startswith("The weights carry no information:")


def test_features_worse_than_random_carry_nothing_however_they_vary() -> None:
    found = _sanity(_features(60, signal=0, spread=2.0), _features(60, signal=1.5, spread=0.1))
    assert found.verdict == "failed"


def test_few_shots_that_tell_nothing_blame_nobody() -> None:
    found = _sanity(_features(6, signal=0.2, spread=1.0), _features(6, signal=0.2, spread=0.1, seed=1))
    assert found.verdict == "pass"
    assert "Too few shots" in found.sentence


def test_a_single_shot_per_class_is_judged_by_its_spread_alone() -> None:
    good, dead = _features(2, signal=1, spread=1.0), _features(2, signal=1, spread=0.01)
    random = _features(2, signal=0, spread=0.1)
    assert _sanity(good, random).verdict == "pass"
    assert _sanity(dead, random).verdict == "failed"


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e6])
def test_features_that_overflow_carry_nothing(broken: float) -> None:
    features = _features(10, signal=1, spread=1.0)
    features[3, 4] = broken
    assert _sanity(features, _features(10, signal=0, spread=0.1)).verdict == "failed"


def test_random_weights_that_overflow_are_beaten() -> None:
    random = _features(40, signal=0, spread=0.1)
    random[0, 0] = np.inf
    assert _sanity(_features(40, signal=1.5, spread=1.0), random).verdict == "pass"
