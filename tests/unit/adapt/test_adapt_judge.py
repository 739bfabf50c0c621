"""Which epoch of fine-tuning a candidate is judged at, and trained to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgetl.adapt.compare import chosen_epoch, judged_trials
from edgetl.adapt.finetune import Epoch, Trained
from edgetl.tasks.classification.folds import Fold

EPOCHS = 8


def trial(*held_out_losses: float, train_loss: float = 0.1) -> Trained:
    """Two held-out images of two classes; after epoch e the logits of both say class e % 2."""
    history = tuple(
        Epoch(number, 1e-4, train_loss, loss, 0.5, 0.1) for number, loss in enumerate(held_out_losses, start=1)
    )
    logits = [[[float(number % 2 == label) for label in (0, 1)]] * 2 for number in range(1, len(held_out_losses) + 1)]
    return Trained(history, np.array(logits, np.float32))


def test_a_loss_that_falls_to_the_end_is_trained_to_the_end() -> None:
    assert chosen_epoch([trial(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)], EPOCHS) == 8


def test_a_loss_that_rises_a_little_is_trained_to_the_end() -> None:
    assert chosen_epoch([trial(0.9, 0.8, 0.7, 0.6, 0.40, 0.41, 0.42, 0.43)], EPOCHS) == 8


def test_a_loss_that_rises_by_more_than_a_tenth_is_trained_to_its_least() -> None:
    assert chosen_epoch([trial(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.5, 0.6)], EPOCHS) == 6


def test_a_lucky_epoch_at_a_high_rate_is_not_trained_to() -> None:
    assert chosen_epoch([trial(0.9, 0.1, 0.7, 0.6, 0.45, 0.4, 0.5, 0.6)], EPOCHS) == 6
    assert chosen_epoch([trial(0.9, 0.1, 0.7, 0.6, 0.40, 0.4, 0.4, 0.4)], EPOCHS) == 8


def test_the_epoch_is_that_of_the_mean_over_the_folds_as_far_as_all_of_them_went() -> None:
    short, long = trial(0.9, 0.8, 0.7, 0.6, 0.2, 0.6), trial(0.9, 0.8, 0.7, 0.6, 0.6, 0.4, 0.1, 0.1)
    assert chosen_epoch([short, long], EPOCHS) == 5


@pytest.mark.parametrize("trials", [[], [trial(0.5, 0.4, train_loss=math.nan)]])
def test_there_is_none_without_trials_and_where_one_diverged(trials: list[Trained]) -> None:
    assert chosen_epoch(trials, EPOCHS) == 0


def test_a_single_epoch_is_the_one() -> None:
    assert chosen_epoch([trial(0.5)], 1) == 1


def test_a_candidate_is_judged_by_what_it_answered_after_the_chosen_epoch() -> None:
    trials, folds = [trial(0.9, 0.1, 0.7, 0.6, 0.4, 0.2, 0.5, 0.6)], [Fold((2, 3), (0, 1))]
    found = judged_trials("it", trials, EPOCHS, folds, np.array([0, 1, 0, 1]))
    assert found is not None
    assert found[0].right.tolist() == [True, False]  # epoch 6 says class 0
    assert found[1].tolist() == [0, 1]
