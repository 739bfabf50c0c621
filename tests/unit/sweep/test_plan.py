"""Which trials a sweep consists of: the same ones whatever the order in which they end."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from edgetl.sweep.plan import ROUND, Plan, SamplerName, choose_sampler, params_of, settings_of
from edgetl.sweep.row import Row, failed
from edgetl.sweep.space import Axis, Range, Settings, Space

GRID = Space(
    (Axis("choose", ("int8", "float32")), Axis("adapt.epochs", (1, 2, 3)), Axis("adapt.freeze", ("auto", ["a"])))
)
RANGES = Space(
    (Axis("adapt.epochs", Range(low=1, high=200)), Axis("adapt.weight_decay", Range(low=1e-4, high=0.5, log=True)))
)


def measure(number: int, settings: Settings) -> Row:
    """Longer training is better and, for this test, slower."""
    epochs = settings["adapt.epochs"]
    return Row(number, dict(settings), "measured", score=epochs / 200, p50_ms=1 + epochs / 10, size_bytes=1000)


def rounds(
    space: Space, sampler: SamplerName, count: int, noise: float = 1.0, failing: Sequence[int] = ()
) -> list[Settings]:
    plan, found = Plan(space, sampler, 0, 0.05), list[Settings]()
    while len(found) < count:
        asked = plan.ask(len(found), ROUND)
        rows = [measure(len(found) + place, settings) for place, settings in enumerate(asked)]
        rows = [failed(row.number, row.settings, "no") if row.number in failing else row for row in rows]
        plan.learn([Row(**{**vars(row), "p50_ms": (row.p50_ms or 0) * noise or None}) for row in rows])
        found += asked
    return found


def test_the_grid_is_run_whole_if_it_fits() -> None:
    assert (choose_sampler(GRID, 12), choose_sampler(GRID, 11), choose_sampler(RANGES, 10_000)) == (
        "grid",
        "tpe",
        "tpe",
    )
    plan = Plan(GRID, "grid", 0, 0.05)
    asked = plan.ask(0, 8) + plan.ask(8, 8)
    assert asked == list(GRID.combinations())


@pytest.mark.parametrize("sampler", ["random", "nsga2", "tpe"])
def test_a_repeated_plan_asks_for_the_same_trials(sampler: SamplerName) -> None:
    assert rounds(RANGES, sampler, 32) == rounds(RANGES, sampler, 32)


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_what_is_asked_depends_on_finished_rounds(sampler: SamplerName) -> None:
    plain, other = rounds(RANGES, sampler, 24), rounds(RANGES, sampler, 24, failing=[1, 2, 3])
    assert plain[:ROUND] == other[:ROUND]
    assert plain[2 * ROUND :] != other[2 * ROUND :]


def test_a_shorter_last_round_is_the_beginning_of_the_whole_one() -> None:
    plan = Plan(RANGES, "tpe", 0, 0.05)
    assert plan.ask(0, 5) == rounds(RANGES, "tpe", ROUND)[:5]


def test_noise_below_the_resolution_seldom_changes_the_trials() -> None:
    assert rounds(RANGES, "tpe", 24) == rounds(RANGES, "tpe", 24, noise=1.001)


@pytest.mark.parametrize("sampler", ["random", "nsga2", "tpe"])
def test_no_trial_is_asked_for_twice_and_a_small_space_is_used_up(sampler: SamplerName) -> None:
    plan = Plan(GRID, sampler, 0, 0.05)
    asked = plan.ask(0, 8)
    plan.learn([measure(number, settings) for number, settings in enumerate(asked)])
    asked += plan.ask(8, 8)
    assert sorted(map(json.dumps, asked)) == sorted(map(json.dumps, GRID.combinations()))


def test_another_seed_gives_other_trials() -> None:
    assert Plan(RANGES, "random", 0, 0.05).ask(0, 8) != Plan(RANGES, "random", 1, 0.05).ask(0, 8)


def test_settings_survive_the_way_to_optuna_and_back() -> None:
    for settings in GRID.combinations():
        assert settings_of(GRID, params_of(GRID, settings)) == settings
