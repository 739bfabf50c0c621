"""Which trials a sweep consists of, so that only the space, the sampler and finished rounds determine them.

A round is a fixed number of trials. Within it nothing is known of its own results, and every number has a seed of its
own. So workers may end in any order, and a sweep that was killed asks for the same trials again.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from edgetl.files.digest import value_digest
from edgetl.sweep.row import Row
from edgetl.sweep.space import Axis, Range, Settings, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

SamplerName = Literal["grid", "random", "nsga2", "tpe"]
ROUND = 8
"""Trials per round; the population of NSGA-II."""

_ATTEMPTS = 50
_WORST = (0.0, 1e9, 1e15)
DIRECTIONS = ("maximize", "minimize", "minimize")


def choose_sampler(space: Space, trials: int) -> SamplerName:
    """All combinations if they are not more than `trials`, else TPE."""
    return "grid" if space.size <= trials else "tpe"


class Plan:
    """Settings of trials in rounds: `ask` for one, `learn` its results, `ask` for the next.

    resolution  latencies that differ by less are one value for the sampler, so that noise seldom changes its choices
    """

    def __init__(self, space: Space, sampler: SamplerName, seed: int, resolution: float) -> None:
        self.space, self.sampler, self.seed, self.resolution = space, sampler, seed, resolution
        self._seen: set[str] = set()
        self._combinations: Iterator[Settings] | None = space.combinations() if sampler == "grid" else None
        self._study: Any = None
        self._asked: list[Trial] = []

    def ask(self, first: int, count: int) -> list[Settings]:
        """Settings of the trials from number `first` on; fewer if the space has no others."""
        self._asked = []
        found: list[Settings] = []
        for number in range(first, first + count):
            settings = self._next(number)
            if settings is None:
                break
            found.append(settings)
        return found

    def learn(self, rows: Sequence[Row]) -> None:
        """The results of the trials asked for last, in their order. A failed one counts as worst in everything."""
        for trial, row in zip(self._asked, rows, strict=True) if self._asked else ():
            self._study.tell(trial, self._for_sampler(row))

    def _for_sampler(self, row: Row) -> tuple[float, float, float]:
        if row.state != "measured":
            return _WORST
        score, latency, size = row.values
        step = math.log1p(max(self.resolution, 1e-3))
        return score, math.exp(step * round(math.log(latency) / step)), size

    def _next(self, number: int) -> Settings | None:
        if self._combinations is not None:
            return next(self._combinations, None)
        for attempt in range(2 * _ATTEMPTS):
            trial, settings = self._sample(number, attempt)
            if self._is_new(settings):
                self._asked.append(trial)
                return settings
            self._study.tell(trial, state=_failed())
        left = self.space.combinations() if self.space.is_finite else iter(())
        unused = next((each for each in left if self._is_new(each)), None)
        if unused is not None:
            self._asked.append(self._ask(params_of(self.space, unused)))
        return unused

    def _is_new(self, settings: Settings) -> bool:
        text = json.dumps(settings, sort_keys=True)
        new = text not in self._seen
        self._seen.add(text)
        return new

    def _sample(self, number: int, attempt: int) -> tuple[Trial, Settings]:
        seed = int(value_digest([self.seed, number, attempt])[:8], 16)
        study = self._open_study()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of experimental arguments
            # a sampler that finds nothing new is helped out by chance
            study.sampler = _sampler(self.sampler if attempt < _ATTEMPTS else "random", seed)
        trial = self._ask()
        return trial, settings_of(self.space, trial.params)

    def _ask(self, fixed: dict[str, Any] | None = None) -> Trial:
        study = self._open_study()
        if fixed is not None:
            study.enqueue_trial(fixed)
        found: Trial = study.ask(distributions(self.space))
        return found

    def _open_study(self) -> Any:
        if self._study is None:
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            self._study = optuna.create_study(directions=DIRECTIONS)
        return self._study


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space as Optuna takes it; choices are their JSON texts, because they may be lists or sections."""
    return {axis.key: _distribution(axis) for axis in space.axes}


def params_of(space: Space, settings: Settings) -> dict[str, Any]:
    """Settings as Optuna has them."""
    return {
        axis.key: settings[axis.key] if isinstance(axis.values, Range) else _label(settings[axis.key])
        for axis in space.axes
    }


def settings_of(space: Space, params: dict[str, Any]) -> dict[str, Any]:
    """The way back from `params_of`."""
    return {
        axis.key: params[axis.key] if isinstance(axis.values, Range) else json.loads(params[axis.key])
        for axis in space.axes
    }


def _label(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    values = axis.values
    if not isinstance(values, Range):
        return CategoricalDistribution([_label(value) for value in values])
    if values.whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(float(values.low), float(values.high), log=values.log)


def _sampler(name: SamplerName, seed: int) -> BaseSampler:
    from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

    if name == "nsga2":
        return NSGAIISampler(seed=seed, population_size=ROUND)
    if name == "tpe":
        return TPESampler(seed=seed, n_startup_trials=ROUND, constant_liar=True)
    return RandomSampler(seed=seed)


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
