"""What a sweep would do: its trials, and how many different stages they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from edgetl.files.digest import value_digest
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.report import words
from edgetl.sweep.plan import ROUND
from edgetl.sweep.run import AFTER_ADAPT, Request
from edgetl.sweep.space import Settings, with_settings
from edgetl.sweep.table import plain

_AFTER_QUANTIZE = ("targets", "surgery", "choose", "repair")


def planned(request: Request) -> dict[str, Any]:
    """The trials that are known before any result, and how many different stages they need, as JSON."""
    adaptive = request.sampler in ("tpe", "nsga2")
    count = min(request.trials, ROUND) if adaptive else request.trials
    settings = request.plan().ask(0, count)
    return {
        "sampler": request.sampler,
        "trials": [dict(each) for each in settings],
        "later": min(request.trials, request.space.size) - len(settings) if adaptive else 0,
        "stages": {
            "adapt": len({_without(each, AFTER_ADAPT) for each in settings}),
            "quantize": len({_quantized(request, each) for each in settings}),
            "bench": len({_without(each, ("choose",)) for each in settings}),
        },
    }


def show_plan(plan: dict[str, Any], console: Console | None = None) -> None:
    """Print one line per trial, then the sums."""
    out = console or Console(highlight=False)
    for number, settings in enumerate(plan["trials"]):
        text = ", ".join(f"{key}={plain(value)}" for key, value in settings.items())
        out.print(Text(f"trial {number}: {text}"), soft_wrap=True)
    out.print(Text(_sums(plan)), soft_wrap=True)


def _sums(plan: dict[str, Any]) -> str:
    stages = plan["stages"]
    later = f", and {plan['later']} that depend on their results" if plan["later"] else ""
    sums: Sequence[str] = (
        words.count(stages["adapt"], "adaptation"),
        words.count(stages["quantize"], "quantized network"),
        words.count(stages["bench"], "measurement"),
    )
    return f"{words.count(len(plan['trials']), 'trial')} ({plan['sampler']}){later}; they share {', '.join(sums)}"


def _without(settings: Settings, sections: Sequence[str]) -> str:
    return value_digest({key: value for key, value in settings.items() if key.partition(".")[0] not in sections})


def _quantized(request: Request, settings: Settings) -> tuple[str, str]:
    raw = with_settings(request.raw, settings)
    names = [raw["targets"]] if isinstance(raw["targets"], str) else raw["targets"]
    front = raw.get("front", "image")
    schemes = [scheme_id(load_target(name, request.targets_dirs, front).scheme) for name in names]
    return _without(settings, _AFTER_QUANTIZE), ",".join(schemes)
