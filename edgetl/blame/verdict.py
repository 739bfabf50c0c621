"""One sentence about the first layer of the ranking: what it costs, and what floating it costs."""

from __future__ import annotations

from edgetl.blame.result import Blame, BlamedLayer
from edgetl.report import words


def sentence(found: Blame) -> str:
    """Says of what is not proven that it is not: a gain whose interval holds zero is none."""
    first = found.layers[0]
    if found.drop_points.low <= 0:
        return _no_drop(found, first)
    if first.accuracy is None or first.accuracy.regained_points.low <= 0:
        return (
            f"INT8 loses {_points(found.drop_points.value)} points, and no single layer is to blame: floating "
            f"{first.name}, the first of them, takes the logits error from {percent(found.logits_error)} to "
            f"{percent(found.logits_error - first.regained)} % of their range{_latency(first)}"
        )
    regained = _points(first.accuracy.regained_points.value)
    return f"{first.name} alone costs {regained} of {_points(found.drop_points.value)} points{_latency(first)}"


def _no_drop(found: Blame, first: BlamedLayer) -> str:
    drop = found.drop_points
    return (
        f"INT8 loses no accuracy that {found.val} images can show "
        f"({words.points(drop.value)} points, {words.points_range(drop.low, drop.high)}); the most logits error comes "
        f"from {first.name}: {percent(first.regained)} of {percent(found.logits_error)} % of their range"
        f"{_latency(first)}"
    )


def percent(fraction: float) -> str:
    """A fraction of the logits' range in percent: 0.0189 -> `1.89`."""
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
    return f"; floating it costs {change(cost.value)} % latency ({change(cost.low)} to {change(cost.high)})"
