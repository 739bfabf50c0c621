"""A bundle of sound or series follows a long recording, as the program on the device does. Needs no torch.

A series has no rate, so its lengths are time steps wherever those of sound are seconds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.bench.bundle_accuracy import labeled
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import Bundle
from edgetl.errors import DataError, UsageError
from edgetl.files.text import escaped, nearest
from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.load import at_network_rate
from edgetl.fronts.batches import load_example
from edgetl.fronts.series.load import read_window, with_channels
from edgetl.tasks.classification.spotting import Event, choose_thresholds
from edgetl.tasks.classification.stream import Hops, smoothed
from edgetl.types import OUTPUT_NAME, AudioPreprocessing, Engine, Progress, SeriesPreprocessing, fed

_MOST_BYTES = 20_000_000
_COLUMNS = ("begin_s", "end_s", "label")


Followed = AudioPreprocessing | SeriesPreprocessing
"""The input of a bundle that can follow a recording."""


def rate_of(p: Followed) -> int:
    """Samples per second; 1 of series."""
    return p.rate_hz if isinstance(p, AudioPreprocessing) else 1


def window_of(p: Followed) -> int:
    """Samples, or time steps."""
    return p.samples if isinstance(p, AudioPreprocessing) else p.steps


@dataclass(frozen=True)
class Listening:
    """How windows follow each other; the defaults are those of the C++ runtime. hop_s  None: a quarter of a window"""

    hop_s: float | None = None
    smoothing: int = 4
    refractory_s: float | None = None

    def hops(self, p: Followed) -> Hops:
        hop = window_of(p) // 4 if self.hop_s is None else round(self.hop_s * rate_of(p))
        return Hops(window_of(p), max(1, hop))

    def refractory(self, p: Followed) -> int:
        return window_of(p) if self.refractory_s is None else round(self.refractory_s * rate_of(p))


@dataclass(frozen=True)
class Heard:
    """means  (windows, classes), smoothed probabilities;  seconds  of the recording, or its time steps;  thresholds
    chosen on clips, if there were any"""

    means: NDArray[np.float32]
    seconds: float
    thresholds: NDArray[np.float32] | None


def input_of(bundle: Bundle) -> Followed:
    """Raises UsageError for a bundle that cannot follow a recording."""
    p = bundle.manifest.preprocessing
    if not isinstance(p, Followed):
        raise UsageError(f"{bundle.folder}: expected a bundle for sound or series; it is for {p.front}")
    return p


def listen(
    bundle: Bundle, recording: Path, how: Listening, clips: Path | None, progress: Progress, *, threads: int
) -> Heard:
    """Run the network on every window of `recording`.

    clips   labeled clips on which thresholds are chosen
    raises  UsageError, BundleError, BackendError; DataError if the recording is shorter than a window.
    """
    p = input_of(bundle)
    samples = _samples(recording, p)
    starts = how.hops(p).starts(len(samples))
    if not starts:
        sound = isinstance(p, AudioPreprocessing)
        wanted, found = (
            f"{length / rate_of(p):.2f} s" if sound else f"{length} time steps"
            for length in (window_of(p), len(samples))
        )
        raise DataError(f"{recording}: expected at least one window of {wanted}; found {found}")
    logits = np.empty((len(starts), len(bundle.manifest.labels)), np.float32)
    with open_bundle(bundle, threads=threads) as engine:
        with progress.task("windows", total=len(starts)) as advance:
            for row, start in zip(logits, starts, strict=True):
                row[:] = _logits(engine, samples[start : start + window_of(p)])
                advance(1)
        thresholds = None if clips is None else _chosen(bundle, engine, clips, progress)
    return Heard(smoothed(logits, how.smoothing), len(samples) / rate_of(p), thresholds)


def _samples(recording: Path, p: Followed) -> NDArray[np.generic]:
    if isinstance(p, AudioPreprocessing):
        return at_network_rate(decode(recording), str(recording), p)
    return with_channels(read_window(recording), str(recording), p)


def _chosen(bundle: Bundle, engine: Engine, clips: Path, progress: Progress) -> NDArray[np.float32]:
    samples = labeled(clips, {"": bundle}, progress)
    rows = [_logits(engine, load_example(Path(each.path), bundle.manifest.preprocessing)) for each in samples]
    shares = smoothed(np.stack(rows), 1).astype(np.float64)
    return choose_thresholds(shares, np.array([each.label for each in samples]))


def _logits(engine: Engine, window: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(engine.infer(fed(np.ascontiguousarray(window)[None]))[OUTPUT_NAME][0], np.float32)


def read_events(path: Path, labels: Sequence[str], rate_hz: int, seconds: float) -> list[Event]:
    """A CSV file with the columns begin_s, end_s, label: what is heard, and from when to when. Raises DataError."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: expected a list of events of at most {_MOST_BYTES} bytes")
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV file in UTF-8: {error}") from error
    missing = [name for name in _COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise DataError(f"{path}: expected the columns {', '.join(_COLUMNS)} and a row; missing: {', '.join(missing)}")
    return [_event(row, f"{path}, line {number}", labels, rate_hz, seconds) for number, row in enumerate(rows, 2)]


def _event(row: dict[str, str], where: str, labels: Sequence[str], rate_hz: int, seconds: float) -> Event:
    label = (row["label"] or "").strip()
    if label not in labels:
        raise DataError(f"{where}: the bundle has no label `{escaped(label)}`; {nearest(label, labels)}")
    try:
        begin, end = float(row["begin_s"]), float(row["end_s"])
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: expected seconds in begin_s and end_s") from error
    if not 0 <= begin <= end <= seconds:
        raise DataError(f"{where}: expected 0 <= begin_s <= end_s <= {seconds:.2f}; found {begin:g} and {end:g}")
    return Event(round(begin * rate_hz), round(end * rate_hz), labels.index(label))
