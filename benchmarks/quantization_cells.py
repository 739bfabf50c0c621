"""The cells of `quantization.py`: one build's accuracy, and all builds of one target timed in the same rounds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from quantization_cases import Case
from repeated_ratio import Ratio

from edgetl.types import Interval


@dataclass(frozen=True)
class Group:
    """One float network: all its builds are made in one folder."""

    network: str
    dataset: str
    shots: int
    draw: int


@dataclass(frozen=True)
class Key:
    """Identifies an accuracy. `version` names the code and settings of the method."""

    network: str
    dataset: str
    shots: int
    draw: int
    case: str
    target: str
    method: str
    version: str

    @property
    def group(self) -> Group:
        return Group(self.network, self.dataset, self.shots, self.draw)


@dataclass(frozen=True)
class Alike:
    """A build's predictions on this CPU compared with those under emulation, on the emulated images.

    same                one class in both
    largest_difference  of a logit, in standard deviations of the emulated logits
    """

    images: int
    same: int
    largest_difference: float


@dataclass(frozen=True)
class Cell:
    """One build on the validation images.

    pair            digest of the float network and the images: builds are compared where it is equal
    right           which images it answered right, as `packed`; reference  the float torch network's
    top1            fraction; drop_points  below the float torch network, paired by image
    agreement       share of images on which both answer the same
    placement       what the convolutions and matrix products ran in; empty where no runtime was asked
    making_seconds  calibration, training, repair; None for what needs none
    load            of the machine when the cell was begun
    note            what is special: the precision that shipped, a repair, what was emulated
    made_with       `result_file.made_here`
    alike           of a build for another CPU that answered on this one; None where nothing was emulated
    """

    key: Key
    images: int
    pair: str
    right: str
    reference: str
    top1: Interval
    drop_points: Interval
    agreement: float
    placement: str
    size_bytes: int
    making_seconds: float | None
    load: float | None
    note: str = ""
    made_with: str = ""
    alike: Alike | None = None


@dataclass(frozen=True)
class TimesKey:
    """Identifies a latency: the first target of the standard case, and the number of threads."""

    network: str
    dataset: str
    shots: int
    draw: int
    target: str
    threads: int
    version: str

    @property
    def group(self) -> Group:
        return Group(self.network, self.dataset, self.shots, self.draw)


@dataclass(frozen=True)
class BuildTimes:
    """One build in one latency cell.

    over_float    its time over that of the float32 build: below 1 it is faster; None for that itself
    shipped_over  the shipped build's time over this one's: below 1 what ships is faster; None for that itself
    same_as       the method with the very same file, which was timed once for both; empty where there is none
    """

    p50_ms: Interval | None
    p90_ms: Interval | None
    p99_ms: Interval | None
    over_float: Ratio | None
    shipped_over: Ratio | None
    size_bytes: int
    same_as: str = ""


@dataclass(frozen=True)
class Times:
    """All builds of one target in the same rounds. `loads`: of the machine before each repeat.

    asked  the methods that were wanted; what shares no file with them, or does not run here, is not in `builds`
    """

    key: TimesKey
    builds: Mapping[str, BuildTimes]
    runs: int
    repeats: int
    loads: tuple[float | None, ...]
    asked: tuple[str, ...] = ()
    made_with: str = ""

    def covers(self, methods: Collection[str], runs: int, repeats: int) -> bool:
        """Whether measuring these methods with this many rounds would add nothing."""
        return set(methods) <= {*self.asked, *self.builds} and runs <= self.runs and repeats <= self.repeats


@dataclass(frozen=True)
class Versions:
    """`ours` of edgetl's builds, `rivals` of the alternatives."""

    ours: str
    rivals: str

    def of(self, method: str) -> str:
        return self.rivals if is_rival(method) else self.ours

    @property
    def both(self) -> str:
        return f"{self.ours}+{self.rivals}"

    def fits(self, both: str) -> bool:
        """Whether a latency belongs to these versions, or to edgetl's alone if no alternative is finished."""
        return both == self.both or (not self.rivals and both.startswith(f"{self.ours}+"))


def is_rival(method: str) -> bool:
    """Whether a method is an alternative to edgetl."""
    return method.startswith(("quantize_static", "nncf"))


def packed(right: NDArray[np.bool_]) -> str:
    """(N,) bool as hex digits, first image in the highest bit."""
    return np.packbits(right).tobytes().hex()


def unpacked(right: str, images: int) -> NDArray[np.bool_]:
    """The `images` bools that `packed` wrote."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(right), np.uint8))[:images].astype(np.bool_)


def groups(networks: Sequence[str], datasets: Sequence[str], shots: int, draws: Iterable[int]) -> list[Group]:
    """The first draw of everything before any second draw."""
    return [Group(network, dataset, shots, draw) for draw in draws for network in networks for dataset in datasets]


def plan(
    group: Group, cases: Sequence[Case], targets: Collection[str], methods: Collection[str] | None, versions: Versions
) -> list[Key]:
    """The accuracies of one group, in the order they are made.

    targets  of the standard case; the hard cases have their own
    methods  None: all
    """
    return [
        Key(group.network, group.dataset, group.shots, group.draw, case.name, target, method, versions.of(method))
        for case in cases
        for target in case.targets
        if case.hard or target in targets
        for method in case.methods[target]
        if methods is None or method in methods
    ]


def plan_times(group: Group, targets: Sequence[str], threads: Sequence[int], versions: Versions) -> list[TimesKey]:
    """The latencies of one group."""
    return [
        TimesKey(group.network, group.dataset, group.shots, group.draw, target, count, versions.both)
        for target in targets
        for count in threads
    ]
