"""The small network from scratch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgetl.adapt import scratch
from edgetl.adapt.scratch import scratch_logits
from edgetl.errors import UsageError
from edgetl.tasks.classification.folds import stratified_folds

pytestmark = pytest.mark.usefixtures("one_thread", "short_baseline")


def _stripes(images: int, side: int = 64) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Stripes along rows or columns, of random phase and brightness, with noise."""
    generator = np.random.default_rng(0)
    labels = np.arange(images, dtype=np.int64) % 2
    rows, columns = np.mgrid[:side, :side]
    pictures = [
        40 + generator.uniform(80, 150) * (((columns if label else rows) + generator.integers(8)) // 8 % 2)
        for label in labels
    ]
    gray = np.stack(pictures) + generator.normal(0, 10, (images, side, side))
    return np.repeat(gray.clip(0, 255).astype(np.uint8)[:, None], 3, axis=1), labels


def test_it_learns_stripes_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_STEPS", 15)
    pixels, labels = _stripes(24)
    folds = stratified_folds(labels.tolist(), 2, 0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    logits = scratch_logits(pixels, labels, folds, "light", 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert logits.shape == (24, 2)
    assert (logits.argmax(1) == labels).mean() > 0.8
    assert scratch_logits(pixels, labels, folds, "light", 0).tobytes() == logits.tobytes()


def test_pictures_of_any_size_are_seen_at_one_size() -> None:
    pixels, labels = _stripes(8)
    large = pixels.repeat(2, axis=2).repeat(2, axis=3)
    folds = stratified_folds(labels.tolist(), 2, 0)
    assert (scratch_logits(large, labels, folds, "none", 0) == scratch_logits(pixels, labels, folds, "none", 0)).all()


def test_labels_of_held_out_images_are_never_seen() -> None:
    pixels, labels = _stripes(8)
    folds = stratified_folds(labels.tolist(), 2, 0)
    changed = labels.copy()
    held_out = list(folds[0].held_out)
    changed[held_out] = 1 - changed[held_out]
    one, two = (scratch_logits(pixels, each, folds, "none", 0) for each in (labels, changed))
    assert (one[held_out] == two[held_out]).all()


def test_an_unknown_policy_and_incomplete_folds_are_refused() -> None:
    pixels, labels = _stripes(8)
    folds = stratified_folds(labels.tolist(), 2, 0)
    with pytest.raises(UsageError, match="unknown augmentation policy"):
        scratch_logits(pixels, labels, folds, "upside-down", 0)
    with pytest.raises(ValueError, match="each of 8 images once"):
        scratch_logits(pixels, labels, folds[:1], "none", 0)
