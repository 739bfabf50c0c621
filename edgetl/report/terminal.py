"""The report as one terminal table. Words carry the verdict; color only repeats them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgetl.adapt.record import Guard
from edgetl.bench.timed import P99_RUNS
from edgetl.files.text import one_line
from edgetl.fronts.base import load_front
from edgetl.report import words
from edgetl.report.model import Bundle, Device, Report
from edgetl.report.summary import summarize
from edgetl.types import Verdict

_STYLES: dict[Verdict, str] = {"pass": "green", "fail": "bold red", "not measured": "yellow"}


_LONGEST_WORD = len("measured")


def show_report(report: Report, console: Console | None = None) -> None:
    """Print the summary, the table, and the reasons for targets and guards that need one; to stdout by default.
    report.html has the reasons for all.

    Color is off if the output is not a terminal or NO_COLOR is set.
    """
    out = console or Console(highlight=False)
    summary = summarize(report.bundles, report.metric)
    out.print(_reference_line(report), highlight=False)
    out.print(Text(summary.headline), highlight=False)
    for caution in report.cautions:
        out.print(Text.assemble((caution.kind, _STYLES["not measured"]), f": {caution.sentence}"), highlight=False)
    for guard in report.adapt.guards if report.adapt else ():
        if guard.verdict not in ("pass", "not measured"):
            out.print(_guard_line(guard), highlight=False)
    out.print(table(summary.bundles, report.metric))
    for said in _heads(summary.bundles):
        out.print(said, highlight=False)
    if (line := _indication_line(report)) is not None:
        out.print(line, highlight=False)
    if (line := _lowest_recall(summary.bundles, load_front(report.front).noun)) is not None:
        out.print(line, highlight=False)
    if (line := _hardest_class(summary.bundles)) is not None:
        out.print(line, highlight=False)
    for bundle in summary.bundles:
        if sentence := _working_point(bundle):
            out.print(Text(sentence), highlight=False)
    for bundle in summary.bundles:
        if _needs_a_word(bundle):
            out.print(_explanation(bundle), soft_wrap=False, highlight=False)
    for absent in _absent(report):
        out.print(absent, no_wrap=True, overflow="ellipsis", highlight=False)
    if summary.take:
        out.print(Text(summary.take), highlight=False)
    if report.devices:
        out.print(device_table(report))


def table(bundles: Sequence[Bundle], metric: str = "top-1") -> Table:
    """One row per target, in the order given; each cell holds a value over its 95 % interval. Fits 80 columns."""
    grid = Table(box=SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False)
    grid.add_column("target\nbackend", no_wrap=True)
    grid.add_column("runs in\nsize", no_wrap=True)
    for heading in (f"{metric}\n%", "drop\npoints", "p50\np99 ms", "speed-up\nto float"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("verdict", min_width=_LONGEST_WORD)
    for bundle in bundles:
        grid.add_row(*_cells(bundle))
    return grid


def titled_table(title: str) -> Table:
    """An empty table without edges."""
    return Table(
        title=title,
        title_style="bold",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        collapse_padding=True,
    )


def device_table(report: Report) -> Table:
    """One row per measurement on a device. Fits 80 columns."""
    grid = titled_table("Measured on devices")
    grid.add_column("machine\nmeasured", overflow="fold")
    grid.add_column("target, build\nbackend", overflow="fold")
    for heading in ("p50\nms", "p99\nms", "cold start\npeak memory"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for device in report.devices:
        grid.add_row(*_device_cells(device))
    return grid


def _device_cells(device: Device) -> tuple[Text, ...]:
    other = "" if device.match == "this bundle" else f"\n{device.match}"
    temperature = words.change(device.temperature_c_before, device.temperature_c_after, "°C")
    return (
        _stack(
            device.machine.processors,
            "\n".join(part for part in (device.created[:10], temperature) if part),
        ),
        _stack(
            f"{device.target} {device.precision}{other}",
            f"{device.backend} {device.backend_version}\n{words.threads(device.threads)}",
        ),
        _stack(words.milliseconds(device.p50_ms), words.milliseconds_range(device.p50_ms_low, device.p50_ms_high)),
        _stack(words.milliseconds(device.p99_ms), words.milliseconds_range(device.p99_ms_low, device.p99_ms_high)),
        _stack(f"{words.milliseconds(device.cold_start_ms)} ms", words.size(device.peak_rss_bytes)),
    )


def _cells(bundle: Bundle) -> tuple[Text, ...]:
    p99 = words.milliseconds(bundle.p99_ms) if bundle.p50_ms is not None else ""
    return (
        _stack(bundle.target, bundle.backend),
        _stack(_runs_in(bundle), words.size(bundle.size_bytes)),
        _stack(words.percent(bundle.score), words.percent_range(bundle.score_low, bundle.score_high)),
        _stack(words.points(bundle.drop_points), words.points_range(bundle.drop_points_low, bundle.drop_points_high)),
        _stack(words.milliseconds(bundle.p50_ms), p99),
        _stack(words.times(bundle.speedup), words.times_range(bundle.speedup_low, bundle.speedup_high)),
        Text.assemble((bundle.verdict, _STYLES[bundle.verdict]), *_marks(bundle)),
    )


def _marks(bundle: Bundle) -> tuple[str, ...]:
    if bundle.emulated:
        return ("\nemulated",)
    if bundle.other_cpu:
        return ("\nother CPU",)
    return ("\nbusy",) if bundle.cautions else ()


def _runs_in(bundle: Bundle) -> str:
    """The precision, with a star if some operators run in another one; the line below the table says how many."""
    return f"{bundle.precision or 'nothing'}{'*' if bundle.not_integer else ''}"


def _stack(first: str, second: str) -> Text:
    return Text.assemble(first, *([("\n" + second, "dim")] if second else []))


def _reference_line(report: Report) -> Text:
    reference = report.reference
    if reference.heads:
        each = ", ".join(
            f"{h.head} {words.percent(h.score)} % ({words.percent_range(h.score_low, h.score_high)})"
            for h in reference.heads
        )
        return Text(
            f"{report.name}: float network top-1: {each}, on {reference.images} {load_front(report.front).noun}s"
        )
    return Text(
        f"{report.name}: float network {words.scored(reference.score, report.metric)} "
        f"({words.percent_range(reference.score_low, reference.score_high)}) on "
        + (f"{reference.detection.objects} objects in " if reference.detection else "")
        + f"{reference.images} {load_front(report.front).noun}s"
    )


def _guard_line(guard: Guard) -> Text:
    style = _STYLES["fail" if guard.verdict == "failed" else "not measured"]
    said = {"warn": "warning", "rolled back": "note"}.get(guard.verdict, guard.verdict)
    return Text.assemble((said, style), f": {guard.sentence}")


def _indication_line(report: Report) -> Text | None:
    """A note that p99 has no interval; None if every p99 has one."""
    unsure = [each for each in report.bundles if each.p99_ms is not None and each.p99_ms_low is None]
    if not unsure:
        return None
    counts = " and ".join(str(count) for count in sorted({each.runs for each in unsure if each.runs is not None}))
    return Text(f"p99 of {counts or 'few'} runs: an indication; an interval needs {P99_RUNS} steady ones", style="dim")


def _heads(bundles: Sequence[Bundle]) -> Iterator[Text]:
    """One line per head of every bundle; none without several heads."""
    for bundle in bundles:
        for head in bundle.heads:
            score = f"{words.percent(head.score)} % ({words.percent_range(head.score_low, head.score_high)})"
            drop = f"{words.points(head.drop_points)} points"
            span = words.points_range(head.drop_points_low, head.drop_points_high)
            yield Text(f"{bundle.target}: {head.head} {score}, drop {drop} ({span}), {head.images} labels")


def _hardest_class(bundles: Sequence[Bundle]) -> Text | None:
    """The class with the lowest AP of all builds that ship; None for classifiers and for detectors of one class."""
    found = [
        (each.ap, each, bundle)
        for bundle in bundles
        for each in (bundle.detection.classes if bundle.detection else ())
        if each.ap is not None
    ]
    if len({each.label for _, each, _ in found}) < 2:
        return None
    value, each, bundle = min(found, key=lambda row: row[0])
    interval = words.percent_range(each.ap_low, each.ap_high)
    lost = "" if each.drop_points is None else f", drop {words.points(each.drop_points)} points"
    return Text(
        f"lowest AP: {each.label} {words.percent(value)} % ({interval}) of {words.count(each.objects, 'object')} "
        f"on {bundle.target}{lost}"
    )


def _working_point(bundle: Bundle) -> str:
    """What the device reports; empty for a classifier."""
    found = bundle.detection
    if found is None:
        return ""
    return (
        f"{bundle.target}: reports objects from a score of {found.threshold:.3g}: "
        f"recall {words.percent(found.recall)} %, precision {words.percent(found.precision)} %"
    )


def _lowest_recall(bundles: Sequence[Bundle], noun: str) -> Text | None:
    """The class with the lowest recall of all builds that ship; None if accuracy was not measured."""
    found = [(each.recall, each, bundle) for bundle in bundles for each in bundle.recalls if each.recall is not None]
    if not found:
        return None
    value, recall, bundle = min(found, key=lambda each: each[0])
    interval = words.percent_range(recall.recall_low, recall.recall_high)
    return Text(
        f"lowest recall: {recall.label} {words.percent(value)} % ({interval}) of {words.count(recall.images, noun)} "
        f"on {bundle.target}, float network {words.percent(recall.float_recall)} %"
    )


def _needs_a_word(bundle: Bundle) -> bool:
    """Whether anything needs a line: a gate, the build that ships, operators that stayed float, the machine.

    Targets that were not measured share one line per reason.
    """
    if bundle.verdict == "not measured" and not (bundle.measured or bundle.emulated):
        return False
    marked = bool(bundle.not_integer or bundle.other_cpu or bundle.cautions)
    return bundle.verdict != "pass" or bundle.precision != "int8" or marked


def _absent(report: Report) -> list[Text]:
    """One line per reason why targets were not measured; report.html has the full text."""
    quiet = [each for each in report.bundles if each.verdict == "not measured" and not each.emulated]
    found = summarize(quiet).unmeasured
    return [
        Text.assemble((", ".join(each.targets), "bold"), f": not measured here: {one_line(each.reason)}")
        for each in found
    ]


def _explanation(bundle: Bundle) -> Text:
    line = Text.assemble((bundle.target, "bold"), ": ")
    if not bundle.reason.startswith(bundle.verdict):
        line.append(bundle.verdict, _STYLES[bundle.verdict]).append("; ")
    replaced = bundle.surgery.sentence if bundle.surgery and bundle.precision == "simplified" else ""
    said = bundle.other_cpu in bundle.reason  # already said by a gate on latency
    other = "" if said else f"latency of another CPU: {bundle.other_cpu}"
    # a gate on latency already has the figures of its own build
    cautions = [each for each in bundle.cautions if each.partition(":")[0] not in bundle.reason]
    return line.append("; ".join(part for part in (bundle.reason, bundle.why, replaced, other, *cautions) if part))
