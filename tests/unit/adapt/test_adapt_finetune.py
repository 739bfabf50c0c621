"""Training one network on cached inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgetl.adapt.finetune import Plan, Trained, finetune, logits_of
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Adapt
from edgetl.recipes.recipe_file import parse_recipe

LABELS = np.array([0, 1] * 12, np.int64)
ALL = tuple(range(24))


pytestmark = pytest.mark.usefixtures("one_thread")


class Clouds:
    """Two clouds of points, told apart by the sign of a product, which no linear layer can."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        sign = torch.where(torch.rand(24, generator=generator) > 0.5, 1.0, -1.0)
        both = torch.stack([sign, sign * torch.where(torch.from_numpy(LABELS) == 1, 1.0, -1.0)], 1)
        self._points = both + 0.2 * torch.randn(24, 2, generator=generator)

    def plain(self, indices: Sequence[int]) -> Tensor:
        return self._points[list(indices)]

    def views(self, indices: Sequence[int], generator: torch.Generator) -> Tensor:
        return self.plain(indices) + 0.05 * torch.randn(len(indices), 2, generator=generator)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.second = nn.Linear(2, 16), nn.BatchNorm1d(16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.relu(self.second(torch.relu(self.norm(self.first(x))))))
        return logits


def train(
    net: nn.Module, held_out: Sequence[int] = (), parts: tuple[str, ...] = ("first", "norm", "second"), **config: Any
) -> Trained:
    settings = Adapt.model_validate({"epochs": 30, "batch_size": 8, "patience": 99, **config})
    plan = Plan(settings, 1e-2, tuple((part,) for part in parts), "head", settings.epochs)
    rest = [index for index in ALL if index not in held_out]
    return finetune(net, Clouds(), LABELS, rest, held_out, plan)


def test_it_learns_what_no_head_alone_could() -> None:
    net = Net()
    trained = train(net)
    assert (logits_of(net, Clouds(), ALL).argmax(1) == LABELS).mean() > 0.95
    assert trained.history[-1].train_loss < trained.history[0].train_loss
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_held_out_logits_are_kept_for_every_epoch() -> None:
    net = Net()
    trained = train(net, held_out=(0, 1, 2, 3))
    assert trained.logits.shape == (30, 4, 2)
    assert np.array_equal(trained.logits[-1], logits_of(net, Clouds(), (0, 1, 2, 3)))
    assert all(epoch.held_out_loss is not None for epoch in trained.history)


def test_only_the_named_parts_and_the_head_move() -> None:
    net, before = Net(), Net().state_dict()
    train(net, parts=("second",))
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"second.weight", "second.bias", "head.weight", "head.bias"}


def test_batch_norm_statistics_move_only_where_they_are_trained() -> None:
    for policy, moves in (("frozen", False), ("trained", True)):
        net = Net()
        train(net, batch_norm=policy, epochs=2)
        assert (not torch.equal(net.norm.get_buffer("running_mean"), torch.zeros(16))) == moves


def test_gradual_unfreezing_starts_with_the_head_and_goes_up() -> None:
    nets = {epochs: Net() for epochs in (1, 2, 4)}
    start = Net().state_dict()

    def moved(net: nn.Module) -> set[str]:
        return {name.split(".")[0] for name, tensor in net.state_dict().items() if not torch.equal(tensor, start[name])}

    settings = Adapt(epochs=30, batch_size=8, unfreeze_epochs=1)
    for epochs, net in nets.items():
        plan = Plan(settings, 1e-2, (("first",), ("norm",), ("second",)), "head", 30)
        finetune(net, Clouds(), LABELS, ALL, (), plan, stop_after=epochs)
    assert moved(nets[1]) == {"head"}
    assert moved(nets[2]) == {"head", "second"}
    assert moved(nets[4]) == {"head", "second", "norm", "first"}


def test_a_block_of_which_a_part_is_frozen_is_one_step_of_unfreezing() -> None:
    blocks = (("first.weight", "first.bias"), ("second.weight", "second.bias"))
    whole, split, half = Net(), Net(), Net()
    settings = Adapt(epochs=30, batch_size=8)
    finetune(whole, Clouds(), LABELS, ALL, (), Plan(settings, 1e-2, (("first",), ("second",)), "head", 30))
    finetune(split, Clouds(), LABELS, ALL, (), Plan(settings, 1e-2, blocks, "head", 30))
    assert all(torch.equal(one, two) for one, two in zip(whole.parameters(), split.parameters(), strict=True))
    slowly = Adapt(epochs=30, batch_size=8, unfreeze_epochs=1)
    finetune(half, Clouds(), LABELS, ALL, (), Plan(slowly, 1e-2, blocks, "head", 30), stop_after=2)
    assert not torch.equal(half.second.bias, Net().second.bias)
    assert torch.equal(half.first.bias, Net().first.bias)


@pytest.mark.parametrize(
    ("images", "batch_size", "batches"), [(9, 8, 1), (17, 8, 2), (16, 8, 2), (2, 8, 1), (10, 8, 2)]
)
def test_batch_norms_that_learn_are_shown_no_batch_of_one(images: int, batch_size: int, batches: int) -> None:
    net, sizes = Net(), list[int]()
    net.first.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    settings = Adapt(epochs=1, batch_size=batch_size, batch_norm="trained")
    finetune(net, Clouds(), LABELS, ALL[:images], (), Plan(settings, 1e-2, (("first",), ("norm",)), "head", 1))
    assert len(sizes) == batches
    assert min(sizes) > 1
    assert sum(sizes) == images


def test_batches_of_one_image_are_refused_where_batch_norms_learn() -> None:
    raw = {
        "name": "a",
        "data": {"train": "train"},
        "backbone": {"name": "resnet18"},
        "targets": ["x86-cpu"],
        "adapt": {"batch_norm": "trained", "batch_size": 1},
    }
    with pytest.raises(UsageError, match=r"adapt.*batch_norm: trained.*raise batch_size to 2 or more"):
        parse_recipe(raw, where="recipe.yaml")


def test_frozen_batch_norms_take_a_last_batch_of_one() -> None:
    net, sizes = Net(), list[int]()
    net.first.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    finetune(net, Clouds(), LABELS, ALL[:9], (), Plan(Adapt(epochs=1, batch_size=8), 1e-2, (("first",),), "head", 1))
    assert sizes[-2:] == [8, 1]


def test_dropout_draws_from_the_seed_whatever_was_drawn_before_and_leaves_the_generator_alone() -> None:
    weights: list[Tensor] = []
    for before in (1, 2):
        net = Net()
        net.norm = nn.Sequential(net.norm, nn.Dropout(0.5))  # type: ignore[assignment]
        torch.manual_seed(before)
        state = torch.get_rng_state()
        train(net, parts=("first", "second"), epochs=2)
        assert torch.equal(torch.get_rng_state(), state)
        weights.append(net.head.weight.clone())
    assert torch.equal(weights[0], weights[1])


def test_two_runs_are_equal_and_another_seed_is_not() -> None:
    weights: list[Tensor] = []
    for seed in (0, 0, 1):
        net = Net()
        torch.manual_seed(len(weights))  # what happened before must not matter
        train(net, seed=seed, epochs=3)
        weights.append(net.head.weight.clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_trial_stopped_early_is_the_beginning_of_the_whole_one() -> None:
    settings = Adapt(epochs=10, batch_size=8)
    plan = Plan(settings, 1e-2, (("second",),), "head", 10)
    whole = finetune(Net(), Clouds(), LABELS, ALL[4:], ALL[:4], plan)
    short = finetune(Net(), Clouds(), LABELS, ALL[4:], ALL[:4], plan, stop_after=4)
    assert np.array_equal(short.logits, whole.logits[:4])


def test_training_stops_when_patience_is_over_or_the_loss_is_not_finite() -> None:
    settings = Adapt(epochs=100, batch_size=8, patience=2)
    wild = finetune(Net(), Clouds(), LABELS, ALL[4:], ALL[:4], Plan(settings, 1.0, (("second",),), "head", 100))
    assert len(wild.history) < 100
    net = Net()
    net.head.weight.data.fill_(float("nan"))
    lost = finetune(net, Clouds(), LABELS, ALL, (), Plan(settings, 1e-2, (), "head", 100))
    assert lost.diverged
    assert len(lost.history) == 1
