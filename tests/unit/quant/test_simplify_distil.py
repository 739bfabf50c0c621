"""Training after an operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from gated_networks import EFFICIENT, MOBILE, TORCHVISION, images, settled
from torch import Tensor, nn

from edgetl.errors import UsageError
from edgetl.quant.record import Epoch
from edgetl.quant.simplify.distil import distil, loss_of, stages
from edgetl.quant.simplify.replace import replace_parts
from edgetl.quant.train import Views, best_epoch
from edgetl.recipes.recipe import Surgery

SHORT = Surgery(epochs=4, batch_size=8, learning_rate=1e-4)


def _views(count: int = 32) -> Views:
    shown = images(count, 7)

    def take(indices: Sequence[int]) -> Tensor:
        return shown[list(indices)]

    return Views(count, take, take)


def _trained(config: Surgery) -> tuple[nn.Module, list[Epoch]]:
    teacher = settled(EFFICIENT)
    made = replace_parts(teacher, config, images(32, 7))
    return made.network, distil(made.network, teacher, "classifier", _views(), config)


def test_training_lowers_the_loss_from_where_it_started() -> None:
    _, history = _trained(SHORT)
    assert [epoch.epoch for epoch in history] == [0, 1, 2, 3, 4]
    assert best_epoch(history).loss < 0.7 * history[0].loss


def test_of_many_shots_an_epoch_draws_others_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetl.quant.simplify.distil.MOST_PER_EPOCH", 8)
    seen: dict[str, list[list[int]]] = {"plain": [], "augmented": []}
    shown = images(20, 7)

    def take(kind: str) -> Callable[[Sequence[int]], Tensor]:
        def view(indices: Sequence[int]) -> Tensor:
            seen[kind].append(list(indices))
            return shown[list(indices)]

        return view

    teacher = settled(EFFICIENT)
    made = replace_parts(teacher, SHORT, shown)
    config = Surgery(epochs=2, batch_size=8)
    distil(made.network, teacher, "classifier", Views(20, take("plain"), take("augmented")), config)
    assert [len(batch) for batch in seen["augmented"]] == [8, 8]
    assert seen["augmented"][0] != seen["augmented"][1]
    # judged on the same ones, the first, which are of as many classes as go into eight
    assert seen["plain"] == [list(range(8))] * 3


def test_the_network_is_left_at_its_best_epoch_and_untrainable() -> None:
    network, history = _trained(SHORT)
    again = distil(network, settled(EFFICIENT), "classifier", _views(), Surgery(epochs=0, batch_size=8))
    assert again[0].loss == pytest.approx(best_epoch(history).loss, rel=1e-4)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_training_that_only_harms_leaves_the_start() -> None:
    untrained, _ = _trained(Surgery(epochs=0))
    network, history = _trained(Surgery(epochs=1, batch_size=8, learning_rate=1.0))
    assert best_epoch(history).epoch == 0
    for name, tensor in untrained.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_batch_norm_statistics_stay_as_matched() -> None:
    before, _ = _trained(Surgery(epochs=0))
    after, _ = _trained(SHORT)
    for name, tensor in before.state_dict().items():
        if "running_" in name:
            assert torch.equal(tensor, after.state_dict()[name]), name


def test_two_runs_with_one_seed_are_equal() -> None:
    one, other = _trained(SHORT)[0].state_dict(), _trained(SHORT)[0].state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_is_the_formula_on_numbers_worked_out_by_hand() -> None:
    def outputs(features: list[float], stage: list[float]) -> dict[str, Tensor]:
        return {
            "logits": torch.zeros(1, 2),
            "features": torch.tensor([features]),
            "stage": torch.tensor([stage]),
        }

    found, wanted = outputs([1.0, 3.0], [2.0, 2.0]), outputs([1.0, 1.0], [1.0, 1.0])
    assert float(loss_of(found, wanted, 2.0)) == pytest.approx(4 / 2 + 1.0)
    assert float(loss_of(wanted, wanted, 2.0)) == 0.0


def test_stages_are_the_blocks_of_a_network() -> None:
    assert stages(settled(MOBILE), "classifier") == [f"blocks.{index}" for index in range(6)]
    assert stages(settled(TORCHVISION), "classifier.3")[:2] == ["features.0", "features.1"]


def test_a_network_with_nothing_to_replace_is_refused() -> None:
    plain = replace_parts(settled(EFFICIENT), Surgery(), images(4)).network
    with pytest.raises(UsageError, match="it has 0 and 0 that can be") as caught:
        replace_parts(plain, Surgery(), images(4))
    assert caught.value.exit_code == 2


def test_so_are_settings_that_keep_everything() -> None:
    with pytest.raises(UsageError, match="activations keep, gates keep"):
        replace_parts(settled(EFFICIENT), Surgery(activations="keep", gates="keep"), images(4))


def test_only_what_was_there_is_named() -> None:
    without = replace_parts(settled(EFFICIENT), Surgery(activations="keep"), images(4))
    assert without.surgery == ("no-gates",)
    assert without.replaced.gates == len(without.folds) == 2
    assert replace_parts(without.network, Surgery(), images(4)).surgery == ("relu",)
