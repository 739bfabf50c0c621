"""edgetl listen"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, FiniteRange, emit, json_option, progress_for, quiet_option, threads_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgetl.tasks.classification.spotting import Scores, Spotted
    from edgetl.tasks.classification.stream import Detection
    from edgetl.types import Interval

_THRESHOLD = 0.8
_NAMED = 10
_TRIED = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # with which the chosen thresholds are compared


@click.command("listen", cls=Command)
@click.argument("bundle", type=FILE)
@click.argument("recording", type=FILE)
@click.option(
    "--events",
    type=FILE,
    metavar="CSV",
    help="What is heard when, columns begin_s, end_s, label: reports misses and false accepts per hour.",
)
@click.option(
    "--clips",
    type=FILE,
    metavar="DIR",
    help="Labeled clips that training has not seen. Each threshold is chosen so that at most 1 % of the clips of other "
    "classes reach it.",
)
@click.option("--threshold", type=FiniteRange(0, 1), help=f"Of every class, without --clips.  [default: {_THRESHOLD}]")
@click.option("--off", "off", multiple=True, metavar="LABEL", help="Never report this class; repeatable.")
@click.option(
    "--hop", "hop_s", type=FiniteRange(0.001, 1 << 20), metavar="SECONDS", help="[default: a quarter of a window]"
)
@click.option("--smoothing", type=click.IntRange(1, 1000), default=4, show_default=True, help="Windows in a mean.")
@click.option(
    "--refractory", "refractory_s", type=FiniteRange(0, 1 << 20), metavar="SECONDS", help="[default: a window]"
)
@threads_option
@quiet_option
@json_option
def command(
    bundle: Path,
    recording: Path,
    events: Path | None,
    clips: Path | None,
    threshold: float | None,
    off: tuple[str, ...],
    hop_s: float | None,
    smoothing: int,
    refractory_s: float | None,
    threads: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Spot BUNDLE's classes in a long RECORDING of sound or sensors as the device does.

    Without --events it prints the detections. With them it counts: an event without a detection is a miss, a detection
    outside of every event of its class a false accept. Record what the device will hear, for an hour or more.
    A series (CSV, NPY) has no rate: --hop and --refractory count its time steps.

    \b
      edgetl listen bundles/words-x86-cpu meeting.wav --threshold 0.9
      edgetl listen bundles/words-x86-cpu meeting.wav --events events.csv
    """
    import numpy as np

    from edgetl.bench.listening import Listening, input_of, listen, rate_of, read_events, window_of
    from edgetl.bundle.read import read_bundle
    from edgetl.files.text import nearest
    from edgetl.tasks.classification.spotting import score
    from edgetl.tasks.classification.stream import OFF, detections

    if clips is not None and threshold is not None:
        raise click.UsageError("--clips and --threshold exclude each other; choose one")
    opened = read_bundle(bundle)
    if opened.manifest.heads:
        raise click.UsageError(f"edgetl listen is for one head; {bundle} has {len(opened.manifest.heads)}")
    labels, p = opened.manifest.labels, input_of(opened)
    rate_hz, series = rate_of(p), p.front == "series"
    if series and events is not None:
        raise click.UsageError("--events is for sound: false accepts per hour need a rate, and a series has none")
    for label in off:
        if label not in labels:
            raise click.UsageError(f"--off {label}: the bundle has no such label; {nearest(label, labels)}")
    how = Listening(hop_s, smoothing, refractory_s)
    heard = listen(opened, recording, how, clips, progress_for(quiet), threads=threads)
    same = np.full(len(labels), _THRESHOLD if threshold is None else threshold, np.float32)
    limits = same if heard.thresholds is None else heard.thresholds
    limits[[labels.index(label) for label in off]] = OFF
    hops = how.hops(p)
    found = detections(heard.means, limits, how.refractory(p), hops)
    scores, others = None, {}
    if events is not None:
        wanted = read_events(events, labels, rate_hz, heard.seconds)

        def scored(made: Sequence[Detection]) -> Scores:
            return score(made, wanted, hops, smoothing, heard.seconds / 3600, len(labels))

        scores = scored(found)
        for one in _TRIED:
            same = np.where(limits > 1, limits, np.float32(one))
            others[one] = scored(detections(heard.means, same, how.refractory(p), hops)).whole
    if as_json:
        emit(_document(labels, limits, found, scores, rate_hz, heard.seconds, series) | _tried(others))
    elif scores is None:
        _lines(labels, found, window_of(p), rate_hz, series)
    else:
        _table(labels, limits, scores, heard.seconds, rate_hz)
        for one, whole in others.items():
            click.echo(f"{'one for all':<20} {one:>9.3f} {_cells(whole)}")
    return 0


def _tried(others: Mapping[float, Spotted]) -> dict[str, Any]:
    return {"one_for_all": [{"threshold": one, **asdict(whole)} for one, whole in others.items()]} if others else {}


def _lines(labels: Sequence[str], found: Sequence[Detection], window: int, rate_hz: int, series: bool) -> None:
    from edgetl.files.text import escaped

    for each in found:
        begin, end = max(0, each.end - window), each.end
        place = f"time steps {begin} to {end}" if series else f"{begin / rate_hz:.3f} to {end / rate_hz:.3f} s"
        click.echo(f"{place}: {escaped(labels[each.label])} {100 * each.probability:.1f} %")


def _table(labels: Sequence[str], limits: NDArray[np.float32], scores: Scores, seconds: float, rate_hz: int) -> None:
    from edgetl.files.text import escaped

    click.echo(f"{seconds / 60:.1f} min; 95 % intervals: misses by Wilson, false accepts by Garwood")
    click.echo(f"{'class':<20} {'threshold':>9} {'events':>7} {'missed, %':>22} {'false accepts per hour':>28}")
    for label, limit, each in zip(labels, limits, scores.of_class, strict=True):
        shown = "off" if limit > 1 else f"{limit:.3f}"
        click.echo(f"{escaped(label):<20} {shown:>9} {_cells(each)}")
    click.echo(f"{'all':<20} {'':>9} {_cells(scores.whole)}")
    if scores.false:
        named = [f"{each.end / rate_hz:.2f} s {escaped(labels[each.label])}" for each in scores.false[:_NAMED]]
        more = len(scores.false) - len(named)
        click.echo(f"false accepts: {', '.join(named)}{f' and {more} more' if more else ''}")


def _cells(found: Spotted) -> str:
    missed = _interval(found.missed, 100) if found.missed else "-"
    return f"{found.events:>7} {missed:>22} {_interval(found.false_per_hour, 1):>28}"


def _interval(found: Interval, scale: float) -> str:
    return f"{scale * found.value:.1f} ({scale * found.low:.1f}–{scale * found.high:.1f})"


def _document(
    labels: Sequence[str],
    limits: NDArray[np.float32],
    found: Sequence[Detection],
    scores: Scores | None,
    rate_hz: int,
    seconds: float,
    series: bool,
) -> dict[str, Any]:
    def shown(each: Detection) -> dict[str, Any]:
        end = {"end": each.end} if series else {"end_s": each.end / rate_hz}
        return {**end, "label": labels[each.label], "probability": each.probability}

    document: dict[str, Any] = {
        "time_steps" if series else "seconds": int(seconds) if series else seconds,
        "thresholds": {
            label: None if limit > 1 else round(float(limit), 6) for label, limit in zip(labels, limits, strict=True)
        },
        "detections": [shown(each) for each in found],
    }
    if scores is not None:
        document["all"] = asdict(scores.whole)
        document["classes"] = {label: asdict(each) for label, each in zip(labels, scores.of_class, strict=True)}
        document["false_accepts"] = [shown(each) for each in scores.false]
    return document
