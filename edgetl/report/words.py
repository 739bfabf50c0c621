"""Numbers formatted for people, the same on the terminal and in the page. None becomes a dash."""

from __future__ import annotations

import re

from edgetl.files.text import decimal

DASH = "–"


def percent(value: float | None) -> str:
    """A fraction with one decimal: 0.973 -> `97.3`."""
    return DASH if value is None else f"{100 * value:.1f}"


def percent_range(low: float | None, high: float | None) -> str:
    """A fraction's interval in percent: `94.9–98.6`."""
    return "" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}"


def scored(value: float | None, metric: str) -> str:
    """A score with the name of its metric: `97.3 % top-1`, `AP 47.1 %`."""
    return f"{percent(value)} % {metric}" if metric == "top-1" else f"{metric} {percent(value)} %"


def broken(name: str, width: int) -> str:
    """A long name of a layer or network in lines that break after a separator, not inside a word."""
    lines = [""]
    for piece in re.findall(r"[^_./:-]*[_./:-]?", name):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def points(value: float | None) -> str:
    """A difference in points: `0.33`, `−1.00`."""
    return DASH if value is None else decimal(value, 2)


def points_range(low: float | None, high: float | None) -> str:
    """An interval of a difference: `−0.7…1.4`."""
    return "" if low is None or high is None else f"{decimal(low, 1)}…{decimal(high, 1)}"


def milliseconds(value: float | None) -> str:
    """Three significant digits: `0.412`, `3.07`, `128`."""
    if value is None:
        return DASH
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3
    return f"{value:.{decimals}f}"


def milliseconds_range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{milliseconds(low)}–{milliseconds(high)}"


def times(value: float | None) -> str:
    """A ratio: `2.41×`, `12.3×`."""
    return DASH if value is None else f"{_ratio(value)}×"


def times_range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_ratio(low)}–{_ratio(high)}"


def size(value: int | None) -> str:
    """Bytes in decimal units: `2.6 MB`."""
    if value is None:
        return DASH
    number = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" or number >= 99.95 else f"{number:.1f} {unit}"


def capital(text: str) -> str:
    """The text with its first letter as a capital: `Top-1`."""
    return text[:1].upper() + text[1:]


def seconds(value: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def count(value: int, noun: str) -> str:
    """`1 target`, `4 targets`."""
    return f"{value} {noun}{'' if value == 1 else 's'}"


def threads(value: int) -> str:
    """`1 thread`, `4 threads`."""
    return count(value, "thread")


def emulated(images: int | None, emulated_images: int | None, noun: str = "image") -> str:
    """The emulated part of an accuracy: `emulated, 64 images`, `64 of 300 images emulated`."""
    if emulated_images is None:
        return f"emulated, {images or 0} {noun}s"
    return f"{emulated_images} of {images} {noun}s emulated"


def in_lines(name: str, most: int) -> str:
    """A long name on several lines of at most `most` characters, broken after `-`, `_`, `/` and `.` but never inside a
    word; a longer word stays whole."""
    lines = [""]
    for part in re.findall(r"[^-_/. ]+[-_/. ]?|[-_/. ]", name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > most:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def layers(placement: str | None) -> str:
    """The placement that a runtime reports, with its unit: `int8 52, float32 1` -> `52 layers int8, 1 float32`."""
    parts = [part.rpartition(" ") for part in (placement or "").split(", ") if " " in part]
    layers = [f"{count} {name}" for name, _, count in parts]
    if layers:
        count, _, name = layers[0].partition(" ")
        layers[0] = f"{count} layer{'' if count == '1' else 's'} {name}"
    return ", ".join(layers) or (placement or "")


def change(before: float | None, after: float | None, unit: str) -> str:
    """A reading before and after: `41 → 62 °C`; empty if it could not be read."""
    readings = [f"{value:.0f}" for value in (before, after) if value is not None]
    return f"{' → '.join(readings)} {unit}" if readings else ""


def _ratio(value: float) -> str:
    return f"{value:.{1 if value >= 9.995 else 2}f}"
