"""What the quantization benchmark says is what its cells say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from quantization_cases import FLOAT, QAT, SHIPPED
from quantization_cells import Alike, BuildTimes, Cell, Key, Times, TimesKey, packed, unpacked
from quantization_claims import (
    Board,
    at_equal_accuracy,
    boards,
    is_as_accurate,
    mean_drop,
    mean_lead,
    over_float,
    unpaired,
    worst_drop,
    worst_lead,
)
from quantization_text import sections
from repeated_ratio import Ratio

from edgetl.types import Interval, stats

IMAGES = 100
STATIC, OTHER_STATIC = "quantize_static minmax", "quantize_static entropy"


def cell(
    method: str,
    right: int,
    *,
    network: str = "net",
    dataset: str = "steel",
    draw: int = 0,
    reference: int = 90,
    pair: str = "p",
    target: str = "x86-cpu",
    case: str = "standard",
    note: str = "",
) -> Cell:
    """The first `right` of 100 images are answered right, by the float network the first `reference`."""
    ours, theirs = (np.arange(IMAGES) < count for count in (right, reference))
    return Cell(
        key=Key(network, dataset, 10, draw, case, target, method, "1"),
        images=IMAGES,
        pair=pair,
        right=packed(ours),
        reference=packed(theirs),
        top1=stats.wilson(right, IMAGES),
        drop_points=stats.paired_difference(theirs, ours),
        agreement=1.0,
        placement="int8 3",
        size_bytes=1_000_000,
        making_seconds=2.0,
        load=0.0,
        note=note or ("int8" if method == SHIPPED else ""),
    )


def one_board(*cells: Cell) -> Board:
    (board,) = boards(cells, ())
    return board


def exactly(value: float) -> Ratio:
    return Ratio(Interval(value, value, value), (Interval(value, value, value),))


def times(
    shipped_over: Mapping[str, float], *, network: str = "net", dataset: str = "steel", over_float: float = 0.5
) -> Times:
    """Method -> time of the shipped build over its time."""
    half = Interval(1.0, 0.9, 1.1)
    builds = {
        name: BuildTimes(half, half, None, None, exactly(ratio), 1_000_000) for name, ratio in shipped_over.items()
    }
    builds[SHIPPED] = BuildTimes(half, half, None, exactly(over_float), None, 1_000_000)
    builds[FLOAT] = BuildTimes(half, half, None, None, exactly(over_float), 4_000_000)
    return Times(TimesKey(network, dataset, 10, 0, "x86-cpu", 1, "1+1"), builds, 300, 1, (0.1,))


class TestImages:
    @given(st.lists(st.booleans(), min_size=1, max_size=700))
    def test_what_was_right_survives_the_file(self, right: list[bool]) -> None:
        assert unpacked(packed(np.array(right)), len(right)).tolist() == right


class TestAccuracy:
    def test_a_mean_drop_is_one_number_per_draw_first(self) -> None:
        board = one_board(
            *(cell(SHIPPED, 90 - draw, dataset="steel", draw=draw) for draw in (0, 1)),
            *(cell(SHIPPED, 86 + draw, dataset="trash", draw=draw) for draw in (0, 1)),
        )
        found = mean_drop(board, SHIPPED)
        assert found is not None
        # draw 0: 0 and 4 points; draw 1: 1 and 3 points: both 2, so nothing is uncertain
        assert (found.value, found.half) == pytest.approx((2.0, 0.0))
        assert found.draws == 2

    def test_the_worst_place_is_the_one_that_loses_most(self) -> None:
        board = one_board(
            cell(SHIPPED, 89), cell(SHIPPED, 84, dataset="trash"), cell(SHIPPED, 95, network="other", dataset="trash")
        )
        worst = worst_drop(board, SHIPPED)
        assert worst is not None
        assert worst.place == ("net", "trash")
        assert worst.value.value == pytest.approx(6.0)

    def test_what_a_simplified_network_gained_does_not_hide_what_the_others_lost(self) -> None:
        cells = [cell(SHIPPED, 88), cell(SHIPPED, 97, network="other", note="simplified")]
        found = "\n".join(sections(cells, []))
        assert "drop from float to shipped -2.50 points" in found
        assert "without simplified networks, which were trained further, that drop is +2.00 points" in found
        assert "without simplified" not in "\n".join(sections(cells[:1], []))

    def test_the_best_alternative_is_chosen_in_each_draw(self) -> None:
        board = one_board(
            *(cell(SHIPPED, 88, draw=draw) for draw in (0, 1)),
            *(cell(STATIC, right, draw=draw) for draw, right in ((0, 86), (1, 80))),
            *(cell(OTHER_STATIC, right, draw=draw) for draw, right in ((0, 70), (1, 87))),
        )
        assert {draw: lead.value for draw, lead in board.lead(("net", "steel")).items()} == pytest.approx({0: 2, 1: 1})
        assert board.family_drop(("net", "steel"), "quantize_static") == pytest.approx({0: 4, 1: 3})
        found, behind = mean_lead(board), worst_lead(board)
        assert found is not None
        assert behind is not None
        assert found.value == behind.value.value == pytest.approx(1.5)

    def test_edgetls_own_builds_are_no_alternatives(self) -> None:
        board = one_board(cell(SHIPPED, 88), cell(QAT, 95), cell(STATIC, 80))
        assert board.lead(("net", "steel"))[0].value == pytest.approx(8.0)

    def test_builds_of_another_float_network_are_not_compared(self) -> None:
        board = one_board(cell(SHIPPED, 88), cell(STATIC, 80, pair="another"))
        assert board.lead(("net", "steel")) == {}
        assert mean_lead(board) is None
        assert unpaired(board) == 1

    def test_cases_and_targets_stay_apart(self) -> None:
        found = boards([cell(SHIPPED, 88), cell(SHIPPED, 70, case="signed"), cell(SHIPPED, 80, target="intel-cpu")], ())
        assert [(board.case, board.target) for board in found] == [
            ("standard", "x86-cpu"),
            ("signed", "x86-cpu"),
            ("standard", "intel-cpu"),
        ]


class TestEqualAccuracy:
    @pytest.mark.parametrize(("right", "equal"), [(95, True), (88, True), (87, True), (70, False)])
    def test_an_alternative_is_as_accurate_until_the_interval_says_it_is_worse(self, right: int, equal: bool) -> None:
        assert is_as_accurate(cell(STATIC, right), cell(SHIPPED, 88)) is equal

    def test_of_those_as_accurate_the_fastest_is_what_counts(self) -> None:
        board = one_board(cell(SHIPPED, 88), cell(STATIC, 88), cell("nncf mixed", 87), cell("nncf performance", 60))
        timed = times({STATIC: 0.8, "nncf mixed": 0.9, "nncf performance": 2.0})
        found = at_equal_accuracy(board, [timed])
        assert found.ratio is not None
        assert found.ratio.value == pytest.approx(0.9)

    def test_places_without_an_equal_are_named_and_left_out(self) -> None:
        board = one_board(
            cell(SHIPPED, 88), cell(STATIC, 60), cell(SHIPPED, 88, dataset="trash"), cell(STATIC, 88, dataset="trash")
        )
        found = at_equal_accuracy(board, [times({STATIC: 3.0}), times({STATIC: 0.7}, dataset="trash")])
        assert found.ratio is not None
        assert found.ratio.value == pytest.approx(0.7)
        assert found.without == (("net", "steel"),)

    def test_what_was_not_timed_is_not_called_worse(self) -> None:
        board = one_board(cell(SHIPPED, 90), cell(STATIC, 90))
        claim = at_equal_accuracy(board, [times({})])
        assert (claim.without, claim.untimed) == ((), (("net", "steel"),))
        said = "\n".join(sections([cell(SHIPPED, 90), cell(STATIC, 90)], [times({})]))
        assert "no alternative was timed: net on steel" in said
        assert "is as accurate as what ships, so none is compared" not in said

    def test_a_network_counts_once_however_many_sets_it_has(self) -> None:
        slow = [times({}, dataset=name, over_float=0.8) for name in ("steel", "trash", "signs")]
        found = over_float([*slow, times({}, network="other", over_float=0.2)])
        assert found.ratio is not None
        assert found.ratio.value == pytest.approx(0.4)
        assert {name: each.value for name, each in found.networks.items()} == pytest.approx({"net": 0.8, "other": 0.2})


class TestSections:
    def test_the_answers_come_first_and_are_the_cells(self) -> None:
        cells = [cell(SHIPPED, 88), cell(STATIC, 85), cell(OTHER_STATIC, 86), cell(QAT, 89)]
        text = "\n\n".join(sections(cells, [times({OTHER_STATIC: 0.8})]))
        assert "- x86-cpu: drop from float to shipped +2.00 points" in text
        assert "- x86-cpu: shipped minus the best alternative +2.00 points" in text
        assert "- x86-cpu, 1 thread: time of shipped over float32 0.50 (0.50 to 0.50) (net 0.50)" in text
        assert "over the fastest alternative as accurate 0.80" in text
        assert text.index("What was found") < text.index("## x86-cpu")

    def test_a_table_of_unfinished_work_can_be_shown(self) -> None:
        cells = [cell(SHIPPED, 88), cell(STATIC, 85, dataset="trash"), cell(SHIPPED, 80, draw=1)]
        text = "\n\n".join(sections(cells, []))
        assert "not all is finished" in text
        assert "| net on trash |" in text

    def test_without_anything_that_ships_there_is_no_claim(self) -> None:
        assert "Nothing that ships is finished yet." in sections([cell(STATIC, 85)], [])

    def test_all_images_on_this_cpu_count_in_place_of_the_few_emulated_ones(self) -> None:
        alike = Alike(images=10, same=9, largest_difference=0.25)
        cells = [
            cell(SHIPPED, 88),
            cell(SHIPPED, 50, target="arm64-cpu"),
            replace(cell(SHIPPED, 90, target="arm64-cpu", case="arm here"), alike=alike),
        ]
        text = "\n\n".join(sections(cells, []))
        assert "- all targets: drop from float to shipped +1.00 points" in text
        assert "- arm64-cpu: drop from float to shipped +40.00 points" in text
        assert "of 10 answers that were emulated as well, 9 name the same class as here" in text
        assert "difference of a logit is 0.25 standard deviations" in text

    def test_hard_cases_have_tables_of_their_own(self) -> None:
        text = "\n\n".join(sections([cell(SHIPPED, 88, case="signed", target="signed-cpu")], []))
        assert "## Signed activations around zero (ONNX Runtime): signed-cpu" in text
