"""Several heads on one backbone: on frozen features each does what it does alone, and training together says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from small_adaptations import adapt_in, split_in, write_weights

from edgetl.adapt.losses import loss_of_heads
from edgetl.data.split_heads import of_head
from edgetl.pivot.adapted import NETWORK_STATE
from edgetl.tasks.classification.folds import folds_of_heads
from edgetl.types import HeadClasses, Sample, Split

HEADS = (HeadClasses("pattern", 0, ("stripes", "bars", "dots")), HeadClasses("straight", 3, ("no", "yes")))


def two_heads(tmp_path: Path, shots: int = 6) -> Split:
    """Stripes, bars or dots, and whether they are straight lines; every third shot has no second label."""

    def labeled(samples: tuple[Sample, ...], every: int) -> tuple[Sample, ...]:
        return tuple(
            replace(each, truth=(each.label,) if number % 3 == every else (each.label, 3 + int(each.label < 2)))
            for number, each in enumerate(samples)
        )

    plain = split_in(tmp_path, shots)
    labels = tuple(label for head in HEADS for label in head.labels)
    return replace(plain, classes=labels, shots=labeled(plain.shots, 1), val=labeled(plain.val, -1), heads=HEADS)


def classifier(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    tensors = load_file(folder / NETWORK_STATE)
    name = next(name for name, values in tensors.items() if name.endswith("weight") and len(values) in (2, 3, 5))
    return tensors[name], tensors[name.replace("weight", "bias")]


@pytest.mark.stage
def test_new_heads_are_the_ones_that_each_would_get_alone(tmp_path: Path) -> None:
    split, weights = two_heads(tmp_path), write_weights(tmp_path / "weights.safetensors")
    plain = {"augment": "none"}  # random views of fewer shots are others
    together = adapt_in(split, weights, tmp_path / "together", data=plain, strategy="probe")
    parts = []
    for head in HEADS:
        adapt_in(of_head(split, head), weights, tmp_path / head.name, data=plain, strategy="probe")
        parts.append(classifier(tmp_path / head.name))
    for found, alone in zip(classifier(tmp_path / "together"), zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(found, np.concatenate(alone))
    guards = [guard for guard in together.guards if guard.guard == "several heads"]
    assert [guard.verdict for guard in guards] == ["pass", "pass"]
    assert guards[1].sentence.startswith("straight: its new head is fitted on the frozen network by its own labels")


@pytest.mark.stage
def test_fine_tuning_together_is_compared_with_each_head_alone(tmp_path: Path) -> None:
    split, weights = two_heads(tmp_path), write_weights(tmp_path / "weights.safetensors")
    found = adapt_in(split, weights, tmp_path / "out", strategy="finetune", train_last=1, epochs=2)
    assert found.strategy == "finetune"
    assert "on 30 held-out labels `" in found.reason
    assert found.chosen
    assert (found.held_out_images, found.chosen.images, found.judged) == (18, 30, "labels")
    for name in ("pattern", "straight"):
        guard = next(each for each in found.guards if each.guard == "several heads" and name in each.sentence)
        assert guard.verdict in ("pass", "warn")
        assert {"together_top1", "new_head_top1", "alone_top1"} <= set(guard.numbers)


def test_every_fold_trains_on_and_holds_out_every_class_of_every_head() -> None:
    generator = np.random.default_rng(0)
    labels = np.stack([np.arange(30) % 3, np.where(np.arange(30) % 5 == 0, -1, np.arange(30) // 3 % 2)], axis=1)
    labels = labels[generator.permutation(30)]
    folds = folds_of_heads(labels, 3, seed=0)
    assert len(folds) == 3
    assert sorted(index for fold in folds for index in fold.held_out) == list(range(30))
    for fold in folds:
        for part in (fold.train, fold.held_out):
            assert [len(set(column[column >= 0])) for column in labels[list(part)].T] == [3, 2]


def test_a_class_with_one_shot_in_one_head_leaves_nothing_to_hold_out() -> None:
    labels = np.stack([np.arange(12) % 3, np.minimum(np.arange(12), 1)], axis=1)
    assert folds_of_heads(labels, 3, seed=0) == ()


def test_the_loss_is_the_sum_of_each_heads_mean_over_its_labels() -> None:
    torch.manual_seed(0)
    logits = torch.randn(8, 5)
    labels = torch.tensor([[index % 3, index % 2 if index < 3 else -1] for index in range(8)])
    loss = loss_of_heads(HEADS, labels.numpy(), 0.0)
    cross_entropy = torch.nn.functional.cross_entropy
    expected = cross_entropy(logits[:, :3], labels[:, 0]) + cross_entropy(logits[:3, 3:], labels[:3, 1])
    torch.testing.assert_close(loss(logits, labels), expected)


def test_parts_of_a_batch_add_up_to_its_loss() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 5), torch.tensor([[0, -1], [1, -1], [2, 0], [0, 1], [-1, 0], [1, 1]])
    loss = loss_of_heads(HEADS, labels.numpy(), 0.1)
    halves = sum(loss(logits[part], labels[part]) * 0.5 for part in (slice(3), slice(3, 6)))
    torch.testing.assert_close(halves, loss(logits, labels))
