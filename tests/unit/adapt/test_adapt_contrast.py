"""The contrastive loss of a batch, compared with its formula written out."""

from __future__ import annotations

import math

import pytest
import torch

from edgetl.adapt.losses import _TEMPERATURE, contrastive_loss


def by_formula(features: torch.Tensor, labels: list[int]) -> float:
    directions = [row / row.norm() for row in features]
    found = []
    for i, label in enumerate(labels):
        others = [j for j in range(len(labels)) if j != i]
        weights = {j: math.exp(float(directions[i] @ directions[j]) / _TEMPERATURE) for j in others}
        same = [j for j in others if labels[j] == label]
        if same:
            found.append(-sum(math.log(weights[j] / sum(weights.values())) for j in same) / len(same))
    return sum(found) / len(found)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2], [0, 0, 0, 0, 0], [0, 1, 0, 1, 1]])
def test_is_the_published_formula(labels: list[int]) -> None:
    features = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    assert float(contrastive_loss(features, torch.tensor(labels))) == pytest.approx(by_formula(features, labels))


def test_a_batch_without_two_of_a_class_has_no_loss_and_finite_gradients() -> None:
    features = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = contrastive_loss(features, torch.tensor([0, 1, 2]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_a_step_against_it_brings_a_class_together() -> None:
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    first = contrastive_loss(features, labels)
    first.backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert contrastive_loss(features.detach() - 0.1 * features.grad, labels) < first.detach()
