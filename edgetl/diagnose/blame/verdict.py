"""One sentence: the layer that costs accuracy, if that is proven, and the latency of computing it in float."""

from __future__ import annotations

from edgetl.diagnose.blame.result import Blame, BlamedLayer
from edgetl.report import words
from edgetl.tasks.base import TaskName

_LOST: dict[TaskName, str] = {"classification": "accuracy", "detection": "AP"}


def sentence(found: Blame) -> str:
    """Reports only proven gains: a gain whose interval includes zero is not proven.

    Layers are checked in the ranking's order, and the first with a proven gain is named.
    """
    first = found.layers[0]
    if found.drop_points.low <= 0:
        return _no_drop(found, first)
    for layer in found.layers:
        if layer.accuracy is not None and layer.accuracy.regained_points.low > 0:
            regained = _points(layer.accuracy.regained_points.value)
            return f"{layer.name} alone costs {regained} of {_points(found.drop_points.value)} points{_latency(layer)}"
    return (
        f"INT8 loses {_points(found.drop_points.value)} points, and {_none_proven(found)}; computing {first.name}, the "
        f"first in the ranking, in float takes the {error_name(found.task)} from {percent(found.error)} to "
        f"{percent(found.error - first.regained)} {error_unit(found.task)}{_latency(first)}"
    )


def _none_proven(found: Blame) -> str:
    tried = sum(layer.accuracy is not None for layer in found.layers)
    if not tried:
        return "the share of each layer was not measured"
    if tried == 1:
        return f"the one layer tried shows no gain that these {found.noun}s can prove"
    return f"none of the {tried} layers tried shows a gain that these {found.noun}s can prove"


def _no_drop(found: Blame, first: BlamedLayer) -> str:
    drop = found.drop_points
    return (
        f"INT8 loses no {_LOST[found.task]} that {found.val} {found.noun}s can show "
        f"({words.points(drop.value)} points, {words.points_range(drop.low, drop.high)}); the most "
        f"{error_name(found.task)} comes from {first.name}: {percent(first.regained)} of {percent(found.error)} "
        f"{error_unit(found.task)}{_latency(first)}"
    )


def error_name(task: TaskName) -> str:
    """What the error of the network's outputs is called."""
    return "logits error" if task == "classification" else "output error"


def error_unit(task: TaskName) -> str:
    """The scale of the error, after the number."""
    return "% of their range" if task == "classification" else "%"


def percent(fraction: float) -> str:
    """A share in percent: 0.0189 -> `1.89`."""
    return words.points(round(100 * fraction, 2))


def change(value: float) -> str:
    """A change in percent with its sign: `+4`, `−1`."""
    return f"{value + 0.0:+.0f}".replace("-", "−")


def _points(value: float) -> str:
    return f"{value:.1f}"


def _latency(layer: BlamedLayer) -> str:
    if layer.latency is None:
        return ""
    cost = layer.latency.cost_percent
    return f"; computing it in float costs {change(cost.value)} % latency ({change(cost.low)} to {change(cost.high)})"
