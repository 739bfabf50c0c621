"""How well classes are spotted in a long recording: false accepts per hour and misses, with exact intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.stream import OFF, Detection, Hops
from edgetl.types import Interval, stats

FOREIGN_SHARE = 0.01
"""Of clips of other classes that may reach a chosen threshold."""
_LEAST = 0.5  # a threshold below it would let a class through that another one beats


@dataclass(frozen=True)
class Event:
    """A class that is heard from `begin` to `end`, in samples of the network's rate."""

    begin: int
    end: int
    label: int


@dataclass(frozen=True)
class Spotted:
    """Of one class, or of all.

    missed           share of the events that no detection found; None without events
    false_per_hour   detections outside of every event of their class, per hour of the recording
    repeated         further detections of an event that was found
    """

    events: int
    found: int
    false: int
    repeated: int
    missed: Interval | None
    false_per_hour: Interval


@dataclass(frozen=True)
class Scores:
    """of_class  by label;  false  the detections that no event explains, in order"""

    whole: Spotted
    of_class: tuple[Spotted, ...]
    false: tuple[Detection, ...]


def choose_thresholds(shares: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """For each class the smallest threshold, from one half on, that at most `FOREIGN_SHARE` of foreign clips reach.

    shares  (N, C) probabilities of labeled clips
    """
    found = np.full(shares.shape[1], _LEAST, np.float32)
    for label in range(shares.shape[1]):
        foreign = np.sort(shares[labels != label, label])[::-1]
        allowed = int(FOREIGN_SHARE * len(foreign))
        if allowed < len(foreign):
            # just above the first one that must not pass
            found[label] = max(_LEAST, float(np.nextafter(np.float32(foreign[allowed]), np.float32(OFF))))
    return found


def score(
    detections: Sequence[Detection], events: Sequence[Event], hops: Hops, smoothing: int, hours: float, classes: int
) -> Scores:
    """Each event takes the first detection of its class that heard a part of it; later ones are repeats.

    smoothing  number of windows whose mean decides; a detection heard all of them
    """
    open_events, taken = list(events), [0] * classes
    false, repeated = [], [0] * classes
    found: list[Event] = []
    for detection in detections:
        heard_from = detection.end - hops.window - (smoothing - 1) * hops.hop
        meant = [
            event
            for event in events
            if event.label == detection.label and event.begin < detection.end and event.end >= heard_from
        ]
        first = next((event for event in meant if event in open_events), None)
        if first is not None:
            open_events.remove(first)
            found.append(first)
            taken[first.label] += 1
        elif meant:
            repeated[detection.label] += 1
        else:
            false.append(detection)
    of_class = tuple(
        _spotted(
            sum(event.label == label for event in events),
            taken[label],
            sum(each.label == label for each in false),
            repeated[label],
            hours,
        )
        for label in range(classes)
    )
    return Scores(_spotted(len(events), len(found), len(false), sum(repeated), hours), of_class, tuple(false))


def _spotted(events: int, found: int, false: int, repeated: int, hours: float) -> Spotted:
    missed = stats.wilson(events - found, events) if events else None
    return Spotted(events, found, false, repeated, missed, stats.poisson_rate(false, hours))
