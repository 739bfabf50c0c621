"""Measurements of finished bundles as one terminal table."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgetl.bench.measurement import BundleMeasurement, LabelRecall, Measurement
from edgetl.bench.timed import P99_RUNS
from edgetl.files.text import decimal
from edgetl.report import words
from edgetl.types import Estimate, Interval

_NAME_WIDTH = 20
_NAMED_CLASSES = 5
_STYLES = {"pass": "green", "fail": "bold red", "not measured": "yellow"}


def show_measured(measurement: Measurement, console: Console | None = None) -> None:
    """Print the table, the machine, recall per class and gates; to stdout by default."""
    out = console or Console(highlight=False)
    out.print(table(measurement))
    for line in (*_whole_detections(measurement), _conditions(measurement), *_notes(measurement)):
        out.print(Text(line, style="dim"), highlight=False)
    for line in (*_heads(measurement), *_recalls(measurement), *_precisions(measurement)):
        out.print(Text(line), highlight=False)
    names = measurement.names()
    for each in measurement.gates:
        for check in each.checks:
            gate = Text.assemble((names[each.place], "bold"), ": ", (check.verdict, _STYLES[check.verdict]))
            out.print(gate.append(f"; {check.reason}"), highlight=False)
    for compared in measurement.baseline:
        verdict = Text.assemble("baseline: ", (compared.verdict, _STYLES[compared.verdict]))
        out.print(verdict.append(f"; {compared.reason}"), highlight=False)


def table(measurement: Measurement) -> Table:
    """One row per bundle, each cell a value over its 95 % interval. Fits 80 columns."""
    cold = any(each.cold_start_ms is not None for each in measurement.bundles)
    data = any(each.first_score is not None for each in measurement.bundles)
    grid = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, collapse_padding=True)
    grid.add_column("bundle\nruntime", no_wrap=True)
    grid.add_column("build\nsize", no_wrap=True)
    headings = ["p50\nms", "p99\nms", "speed\nto first"]
    headings += ["cold start\nmemory"] if cold else []
    headings += [f"{measurement.bundles[0].metric}\n%"] if data else []
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    for place, (name, bundle) in enumerate(zip(measurement.names(), measurement.bundles, strict=True)):
        cells = [
            _stack(words.in_lines(name, _NAME_WIDTH), f"{bundle.backend} {bundle.backend_version}"),
            _stack(bundle.precision, words.size(bundle.size_bytes)),
            _milliseconds(bundle.p50_ms),
            _milliseconds(bundle.p99_ms),
            _ratio(bundle.ratio, first=place == 0),
        ]
        if cold:
            cells.append(_stack(f"{words.milliseconds(bundle.cold_start_ms)} ms", words.size(bundle.peak_rss_bytes)))
        if data:
            cells.append(_share(bundle.first_score))
        grid.add_row(*cells)
    return grid


def _milliseconds(found: Interval | Estimate | None) -> Text:
    if found is None:
        return Text(words.DASH)
    if found.low is None or found.high is None:
        return _stack(words.milliseconds(found.value), "indication")
    return _stack(words.milliseconds(found.value), words.milliseconds_range(found.low, found.high))


def _ratio(ratio: Interval | None, *, first: bool) -> Text:
    if ratio is None:
        return Text("1" if first else words.DASH)
    return _stack(words.times(ratio.value), words.times_range(ratio.low, ratio.high))


def _share(share: Interval | None) -> Text:
    if share is None:
        return Text(words.DASH)
    return _stack(words.percent(share.value), words.percent_range(share.low, share.high))


def _stack(first: str, second: str) -> Text:
    return Text.assemble(first, *([("\n" + second, "dim")] if second else []))


def _conditions(measurement: Measurement) -> str:
    machine, first = measurement.machine, measurement.bundles[0]
    parts = [f"{machine.processors}, {words.threads(first.threads)}, {first.runs} runs each, in the same rounds"]
    if machine.load_average is not None and machine.usable_cores is not None:
        parts.append(f"load average {machine.load_average:.3g} on {_cores(machine.usable_cores)}")
    return "; ".join(parts)


def _cores(cores: float) -> str:
    return f"{cores:g} usable core{'' if cores == 1 else 's'}"


def _whole_detections(measurement: Measurement) -> Iterator[str]:
    for name, bundle in zip(measurement.names(), measurement.bundles, strict=True):
        whole = bundle.detect_p50_ms
        if whole is not None:
            span = words.milliseconds_range(whole.low, whole.high)
            p50 = words.milliseconds(whole.value)
            yield f"{name}: from the decoded image to its objects, p50 {p50} ms ({span})"


def _notes(measurement: Measurement) -> list[str]:
    notes = []
    bundles = measurement.bundles
    if any(each.p99_ms is not None and each.p99_ms.low is None for each in bundles):
        needed = max(each.runs_for_p99 or P99_RUNS for each in bundles)
        notes.append(f"p99 of {bundles[0].runs} runs: an indication; an interval needs about {needed} (--runs)")
    for placement in dict.fromkeys(each.placement for each in bundles if each.placement):
        those = [str(number) for number, each in enumerate(bundles, 1) if each.placement == placement]
        which = f"{', '.join(those)}: " if len(those) < len(bundles) else ""
        notes.append(f"{which}{words.layers(placement)}")
    for number, each in enumerate(bundles, 1):
        name = f"{number}. " if len(bundles) > 1 else ""
        notes += [f"{name}{line}" for line in (*_warmed(each), *_paced(each))]
        if each.p999_ms is not None:
            notes.append(f"{name}p99.9: {_written(each.p999_ms)}")
        if each.repeat_p50_ms:
            low, high = min(each.repeat_p50_ms), max(each.repeat_p50_ms)
            spread = (high - low) / low
            sentence = f"{words.milliseconds(low)} to {words.milliseconds(high)} ms, {spread:.1%} apart"
            notes.append(f"{name}p50 of {len(each.repeat_p50_ms)} repeats: {sentence}")
        if each.drop_points is not None:
            drop = each.drop_points
            sentence = f"{decimal(drop.value, 2)} points ({decimal(drop.low, 2)} to {decimal(drop.high, 2)})"
            notes.append(f"{name}{each.metric} of the first minus this one's: {sentence}")
    return notes


def _warmed(bundle: BundleMeasurement) -> Iterator[str]:
    warm = bundle.warm_up
    if warm is not None and warm.steady_from is not None:
        yield f"warm-up: {warm.runs} runs discarded, steady from run {warm.steady_from + 1}"
    elif warm is not None:
        yield f"warm-up: {warm.runs} runs discarded, never steady"


def _paced(bundle: BundleMeasurement) -> Iterator[str]:
    paced = bundle.paced
    if paced is None:
        return
    yield (
        f"{paced.rate_hz:g} arrivals a second ({paced.arrivals}): from arrival p50 {_written(paced.p50_ms)}, "
        f"p99 {_written(paced.p99_ms)}"
    )
    yield f"service time p50 {_written(paced.service_p50_ms)}; busy {paced.utilization:.0%} of the time"


def _written(found: Interval | Estimate | None) -> str:
    if found is None:
        return words.DASH
    value = f"{words.milliseconds(found.value)} ms"
    if found.low is None or found.high is None:
        return f"{value} (indication)"
    return f"{value} ({words.milliseconds_range(found.low, found.high)})"


def _heads(measurement: Measurement) -> list[str]:
    """The heads of each bundle that has several, one line each."""
    lines = []
    for number, bundle in enumerate(measurement.bundles, 1):
        name = f"{number}. " if len(measurement.bundles) > 1 else ""
        for each in bundle.heads:
            lost = "" if each.drop_points is None else f", {decimal(each.drop_points.value, 2)} points below the first"
            lines.append(f"{name}top-1 %: {_named(each.head, each.top1)} of {each.images} files{lost}")
    return lines


def _recalls(measurement: Measurement) -> list[str]:
    """The lowest recalls of each bundle, one line each."""
    lines = []
    for number, bundle in enumerate(measurement.bundles, 1):
        found = sorted((each for each in bundle.recalls if each.recall), key=_value)
        if not found:
            continue
        name = f"{number}. " if len(measurement.bundles) > 1 else ""
        sentence = ", ".join(_one(each) for each in found[:_NAMED_CLASSES])
        more = len(found) - _NAMED_CLASSES
        lines.append(f"{name}recall %: {sentence}{f'; {more} more classes in --json' if more > 0 else ''}")
        if absent := [each.label for each in bundle.recalls if not each.images]:
            others = f" and {len(absent) - _NAMED_CLASSES} more" if len(absent) > _NAMED_CLASSES else ""
            lines.append(f"{name}no files of: {', '.join(absent[:_NAMED_CLASSES])}{others}")
    return lines


def _precisions(measurement: Measurement) -> list[str]:
    """The lowest APs of each detector, one line each."""
    lines = []
    for number, bundle in enumerate(measurement.bundles, 1):
        found = sorted(((each.label, each.ap) for each in bundle.precisions if each.ap), key=lambda pair: pair[1].value)
        if not found:
            continue
        name = f"{number}. " if len(measurement.bundles) > 1 else ""
        sentence = ", ".join(_named(label, ap) for label, ap in found[:_NAMED_CLASSES])
        more = len(found) - _NAMED_CLASSES
        lines.append(f"{name}AP %: {sentence}{f'; {more} more classes in --json' if more > 0 else ''}")
    return lines


def _value(recall: LabelRecall) -> float:
    return recall.recall.value if recall.recall else 1.0


def _one(each: LabelRecall) -> str:
    assert each.recall is not None
    return _named(each.label, each.recall)


def _named(label: str, share: Interval) -> str:
    return f"{label} {words.percent(share.value)} ({words.percent_range(share.low, share.high)})"
