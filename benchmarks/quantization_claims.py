"""The results of `quantization.py`'s cells: drops, leads over the best alternative, and time at equal accuracy.

Networks and sets are fixed and draws are the sample: intervals of accuracies are Student's over draws, and a mean over
networks and sets is one number per draw first. Ratios of times are geometric means: over sets, then over networks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from quantization_cases import COMPETING, FAMILIES, SHIPPED
from quantization_cells import Cell, Times, unpacked
from repeated_ratio import geometric_mean
from transfer_text import Mean, mean, over_sets

from edgetl.types import Interval, stats

Place = tuple[str, str]
"""Network and set."""


@dataclass(frozen=True)
class Board:
    """The accuracies of one case and target at one number of shots, one version per method."""

    case: str
    target: str
    networks: tuple[str, ...]
    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    cells: Mapping[tuple[Place, str], Mapping[int, Cell]]  # (place, method) -> draw -> cell

    @property
    def places(self) -> list[Place]:
        """Networks and sets with at least one finished cell."""
        return [
            (network, dataset)
            for network in self.networks
            for dataset in self.datasets
            if any((place, method) in self.cells for place in [(network, dataset)] for method in self.methods)
        ]

    def of(self, place: Place, method: str) -> Mapping[int, Cell]:
        return self.cells.get((place, method), {})

    def top1(self, place: Place, method: str) -> dict[int, float]:
        """Draw -> percent."""
        return {draw: 100 * cell.top1.value for draw, cell in self.of(place, method).items()}

    def float_top1(self, place: Place) -> dict[int, float]:
        """Draw -> percent of the float torch network, from any method that saw the most images."""
        found: dict[int, Cell] = {}
        for method in self.methods:
            for draw, cell in self.of(place, method).items():
                if draw not in found or cell.images > found[draw].images:
                    found[draw] = cell
        return {draw: 100 * float(unpacked(each.reference, each.images).mean()) for draw, each in found.items()}

    def drop(self, place: Place, method: str) -> dict[int, float]:
        """Draw -> points below the float torch network."""
        return {draw: cell.drop_points.value for draw, cell in self.of(place, method).items()}

    def best(self, place: Place, draw: int, among: Iterable[str] = COMPETING) -> Cell | None:
        """The most accurate alternative; the first among equals."""
        found = [self.of(place, name)[draw] for name in among if draw in self.of(place, name)]
        return max(found, key=lambda cell: cell.top1.value, default=None)

    def lead(self, place: Place) -> dict[int, Interval]:
        """Draw -> points that the shipped build is above the best alternative, paired by image."""
        found: dict[int, Interval] = {}
        for draw, shipped in self.of(place, SHIPPED).items():
            rival = self.best(place, draw)
            if rival and comparable(shipped, rival):
                found[draw] = difference(shipped, rival)
        return found

    def family_drop(self, place: Place, family: str) -> dict[int, float]:
        """`drop` of the most accurate alternative of a column, draw by draw."""
        members = [name for name in self.methods if FAMILIES.get(name, name) == family]
        draws = sorted({draw for name in members for draw in self.of(place, name)})
        best = {draw: self.best(place, draw, members) for draw in draws}
        return {draw: cell.drop_points.value for draw, cell in best.items() if cell}

    @property
    def columns(self) -> tuple[str, ...]:
        """Methods, with the alternatives of one tool as one."""
        return tuple(dict.fromkeys(FAMILIES.get(name, name) for name in self.methods))


@dataclass(frozen=True)
class Worst:
    place: Place
    value: Mean


@dataclass(frozen=True)
class SpeedClaim:
    """A ratio of times over networks.

    ratio    geometric mean; None where there is nothing to compare
    networks the geometric mean over sets of each
    without  network and set pairs where alternatives were timed and none is as accurate as the shipped build
    untimed  those where none was timed
    """

    ratio: Interval | None
    networks: Mapping[str, Interval]
    without: tuple[Place, ...] = ()
    untimed: tuple[Place, ...] = ()


def boards(cells: Sequence[Cell], order: Sequence[str]) -> list[Board]:
    """One board per case and target, of cells with one version per method.

    order  methods in the order of the columns
    """
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.key.case, cell.key.target), []).append(cell)
    return [_board(case, target, each, order) for (case, target), each in found.items()]


def comparable(one: Cell, other: Cell) -> bool:
    """Whether two builds come from the same float network and ran on the same images."""
    return one.pair == other.pair


def difference(one: Cell, other: Cell) -> Interval:
    """Points that `one` is above `other`, paired by image."""
    return stats.paired_difference(unpacked(one.right, one.images), unpacked(other.right, other.images))


def is_as_accurate(rival: Cell, shipped: Cell) -> bool:
    """Whether the alternative is not worse than the shipped build beyond the interval: zero, or less, is inside the
    95 % interval of shipped minus alternative."""
    return comparable(shipped, rival) and difference(shipped, rival).low <= 0


def mean_drop(board: Board, method: str) -> Mean | None:
    """Over the networks and sets that have the method."""
    return over_sets([scores for place in board.places if (scores := board.drop(place, method))])


def drop_without(board: Board, notes: Collection[str]) -> Mean | None:
    """`mean_drop` of the shipped builds, without the cells that shipped one of these precisions."""
    kept = [
        {draw: cell.drop_points.value for draw, cell in board.of(place, SHIPPED).items() if cell.note not in notes}
        for place in board.places
    ]
    return over_sets([scores for scores in kept if scores])


def mean_lead(board: Board) -> Mean | None:
    """Over the networks and sets that have both the shipped build and an alternative."""
    return over_sets([_values(lead) for place in board.places if (lead := board.lead(place))])


def worst_drop(board: Board, method: str) -> Worst | None:
    """The network and set that lose most in the mean over draws."""
    found = [(place, mean([*board.drop(place, method).values()])) for place in board.places]
    return max((Worst(place, each) for place, each in found if each), key=lambda each: each.value.value, default=None)


def worst_lead(board: Board) -> Worst | None:
    """The network and set where the shipped build is furthest behind the best alternative."""
    found = [(place, mean([*_values(board.lead(place)).values()])) for place in board.places]
    return min((Worst(place, each) for place, each in found if each), key=lambda each: each.value.value, default=None)


def over_float(times: Sequence[Times], method: str = SHIPPED) -> SpeedClaim:
    """Time of `method` over that of the float32 build; below 1 it is faster. `times`: of one target and threads."""
    found = []
    for cell in times:
        build = cell.builds.get(method)
        if build and build.over_float:
            found.append((cell, build.over_float.combined))
    return _over_networks(found)


def at_equal_accuracy(board: Board, times: Sequence[Times]) -> SpeedClaim:
    """Time of the shipped build over that of the fastest alternative that is as accurate; below 1 edgetl is faster.

    board  accuracies of the target that the times are of
    """
    found: list[tuple[Times, Interval]] = []
    without: list[Place] = []
    untimed: list[Place] = []
    for cell in times:
        place, draw = (cell.key.network, cell.key.dataset), cell.key.draw
        shipped = board.of(place, SHIPPED).get(draw)
        if shipped is None:
            continue
        judged = [
            (build.shipped_over.combined, is_as_accurate(rival, shipped))
            for name, build in cell.builds.items()
            if name in COMPETING
            and build.shipped_over
            and (rival := board.of(place, name).get(draw))
            and comparable(shipped, rival)
        ]
        ratios = [ratio for ratio, equal in judged if equal]
        if ratios:
            found.append((cell, max(ratios, key=lambda each: each.value)))
        else:
            (without if judged else untimed).append(place)
    claim = _over_networks(found)
    return SpeedClaim(claim.ratio, claim.networks, tuple(dict.fromkeys(without)), tuple(dict.fromkeys(untimed)))


def unpaired(board: Board) -> int:
    """Alternatives made from another float network than the shipped build, or run on other images."""
    return sum(
        not comparable(board.of(place, SHIPPED)[draw], cell)
        for place in board.places
        for name in COMPETING
        for draw, cell in board.of(place, name).items()
        if draw in board.of(place, SHIPPED)
    )


def _over_networks(found: Sequence[tuple[Times, Interval]]) -> SpeedClaim:
    per_network: dict[str, list[Interval]] = {}
    for cell, value in found:
        per_network.setdefault(cell.key.network, []).append(value)
    networks = {name: geometric_mean(values) for name, values in per_network.items()}
    return SpeedClaim(geometric_mean([*networks.values()]) if networks else None, networks)


def _values(found: Mapping[int, Interval]) -> dict[int, float]:
    return {draw: each.value for draw, each in found.items()}


def _board(case: str, target: str, cells: Sequence[Cell], order: Sequence[str]) -> Board:
    found: dict[tuple[Place, str], dict[int, Cell]] = {}
    for cell in cells:
        key = cell.key
        found.setdefault(((key.network, key.dataset), key.method), {})[key.draw] = cell
    named = [cell.key.method for cell in cells]
    return Board(
        case=case,
        target=target,
        networks=tuple(dict.fromkeys(cell.key.network for cell in cells)),
        datasets=tuple(dict.fromkeys(cell.key.dataset for cell in cells)),
        methods=tuple(dict.fromkeys([*(name for name in order if name in named), *named])),
        cells=found,
    )
