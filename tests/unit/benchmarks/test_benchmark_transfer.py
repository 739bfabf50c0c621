"""The few-shot benchmark's cells survive kills and companions, and its table says what the cells say."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import transfer
from result_file import read_result
from transfer_cells import Cell, CellFile, Key, plan
from transfer_text import Board, boards, mean, newest_versions, over_sets, section, shown_cells, version_text
from transfer_version import ADAPTATION, code_version, meaning, parts_without

from edgetl.errors import DataError, EdgetlError

KEY = Key("net", "steel", 10, 0, "logistic", "1")
VERSIONS = {"logistic": "1", "last_layer": "1", "tutorial": "1", "auto": "9"}


def cell(dataset: str, draw: int, method: str, percent: float, *, shots: int = 10, split: str = "s") -> Cell:
    key = Key("net", dataset, shots, draw, method, VERSIONS[method])
    return Cell(key, percent / 100, 200, 3.0, 1, split, "finetune" if method == "auto" else "")


def one_board(scores: Mapping[tuple[str, str], Sequence[float]]) -> Board:
    """(set, method) -> percents, draw by draw."""
    cells = [cell(d, draw, m, value) for (d, m), values in scores.items() for draw, value in enumerate(values)]
    (board,) = boards(cells)
    return board


class TestCellFile:
    def test_what_was_appended_is_read_in_the_order_it_was_finished(self, tmp_path: Path) -> None:
        file = CellFile(tmp_path / "work" / "cells.jsonl")
        written = [cell("steel", draw, "logistic", 90 + draw) for draw in (2, 0, 1)]
        for each in written:
            file.append(each)
        assert file.read() == written

    def test_a_folder_without_cells_reads_as_none(self, tmp_path: Path) -> None:
        assert CellFile(tmp_path / "cells.jsonl").read() == []

    def test_of_a_cell_that_was_finished_twice_the_later_one_counts(self, tmp_path: Path) -> None:
        file = CellFile(tmp_path / "cells.jsonl")
        for percent in (50, 60):
            file.append(cell("steel", 0, "logistic", percent))
        assert [each.top1 for each in file.read()] == [0.6]

    @pytest.mark.parametrize("rest", [b'{"key": {"backbone": "net", "da', b"\xff\xfe\n", b"[]\n", b"\n"])
    def test_a_line_that_is_no_cell_costs_no_other_cell(self, tmp_path: Path, rest: bytes) -> None:
        file = CellFile(tmp_path / "cells.jsonl")
        file.append(cell("steel", 0, "logistic", 50))
        with file.path.open("ab") as stream:
            stream.write(rest)
        file.append(cell("steel", 1, "logistic", 60))
        assert [each.key.draw for each in file.read()] == [0, 1]

    def test_lines_of_many_writers_stay_whole(self, tmp_path: Path) -> None:
        file = CellFile(tmp_path / "cells.jsonl")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda draw: file.append(cell("steel", draw, "logistic", 50)), range(64)))
        assert len(file.path.read_bytes().splitlines()) == 64
        assert {each.key.draw for each in file.read()} == set(range(64))


class TestCellsOfAResult:
    def test_an_empty_folder_begins_with_them_and_shows_the_same_table(self, tmp_path: Path) -> None:
        written = [cell("steel", draw, "logistic", 90 + draw) for draw in range(2)]
        result = tmp_path / "result.json"
        values = [asdict(each) for each in written]
        result.write_text(json.dumps({"benchmark": "transfer", "boards": [{"cells": values}]}), encoding="utf-8")
        found = read_result(result, "transfer")["boards"][0]["cells"]
        file = CellFile(tmp_path / "work" / "cells.jsonl")
        file.begin_with(found, result)
        assert file.read() == written

    def test_cells_that_are_there_stay_alone(self, tmp_path: Path) -> None:
        file = CellFile(tmp_path / "cells.jsonl")
        file.append(cell("steel", 0, "logistic", 50))
        file.begin_with([asdict(cell("steel", 1, "logistic", 60))], tmp_path / "result.json")
        assert [each.key.draw for each in file.read()] == [0]

    def test_a_strange_cell_is_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        file = CellFile(tmp_path / "cells.jsonl")
        with pytest.raises(EdgetlError, match=r"result\.json: holds a cell that this script does not know"):
            file.begin_with([asdict(cell("steel", 1, "logistic", 60)), {"key": 1}], tmp_path / "result.json")
        assert not file.path.exists()

    @pytest.mark.parametrize("text", ["", "[]", '{"benchmark": "startup"}', "{}"])
    def test_what_is_no_result_of_the_script_is_refused_by_name(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "result.json").write_text(text, encoding="utf-8")
        with pytest.raises(EdgetlError, match=r"result\.json: expected .* of transfer\.py"):
            read_result(tmp_path / "result.json", "transfer")


class TestClaims:
    def test_a_cell_has_one_owner_at_a_time(self, tmp_path: Path) -> None:
        file = CellFile(tmp_path / "cells.jsonl")
        with file.claimed(KEY) as first, file.claimed(KEY) as second, file.claimed(replace(KEY, draw=1)) as other:
            assert (first, second, other) == (True, False, True)

    def test_a_cell_that_failed_can_be_claimed_again(self, tmp_path: Path) -> None:
        file = CellFile(tmp_path / "cells.jsonl")
        with pytest.raises(DataError), file.claimed(KEY):
            raise DataError("no images")
        with file.claimed(KEY) as ours:
            assert ours

    def test_a_finished_cell_is_nobodys_and_one_of_other_code_is_open(self, tmp_path: Path) -> None:
        file = CellFile(tmp_path / "cells.jsonl")
        file.append(Cell(KEY, 0.5, 200, 3.0, 1, "s"))
        with file.claimed(KEY) as finished, file.claimed(replace(KEY, version="2")) as newer:
            assert (finished, newer) == (False, True)


class TestPlan:
    def test_a_first_draw_of_all_sets_comes_before_any_second_one(self) -> None:
        keys = plan("net", ["a", "b"], [10, 5], range(2), ["logistic", "auto"], VERSIONS, draws_first=True)
        assert [key.draw for key in keys] == [0] * 8 + [1] * 8
        assert [(key.shots, key.method, key.dataset) for key in keys[:5]] == [
            (10, "logistic", "a"),
            (10, "logistic", "b"),
            (10, "auto", "a"),
            (10, "auto", "b"),
            (5, "logistic", "a"),
        ]

    def test_a_number_of_shots_can_be_finished_before_the_next(self) -> None:
        keys = plan("net", ["a"], [10, 5], range(3), ["auto"], VERSIONS, draws_first=False)
        assert [(key.shots, key.draw) for key in keys] == [(10, 0), (10, 1), (10, 2), (5, 0), (5, 1), (5, 2)]

    @given(st.booleans(), st.integers(1, 4), st.permutations([1, 5, 10]))
    def test_every_cell_is_planned_once(self, draws_first: bool, draws: int, shots: list[int]) -> None:
        keys = plan("net", ["a", "b"], shots, range(draws), ["auto"], VERSIONS, draws_first=draws_first)
        assert len(keys) == len(set(keys)) == 2 * 3 * draws


class TestWorker:
    def test_a_second_run_makes_only_what_is_missing_and_a_failure_costs_one_cell(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        setting = transfer.Setting(tmp_path, tmp_path, tmp_path, 1, ())
        keys = plan("net", ["a", "b", "c"], [10], [0], ["logistic"], VERSIONS, draws_first=True)
        made: list[str] = []
        broken = {"b"}

        def make(_: transfer.Setting, key: Key) -> Cell:
            if key.dataset in broken:
                raise DataError(f"{key.dataset}: no images")
            made.append(key.dataset)
            return Cell(key, 0.5, 200, 3.0, 1, "s")

        monkeypatch.setattr(transfer, "_cell", make)
        assert not transfer.work_through(setting, keys, parent=None)
        assert made == ["a", "c"]
        broken.clear()
        assert transfer.work_through(setting, keys, parent=None)
        assert made == ["a", "c", "b"]

    def test_a_worker_stops_when_the_process_that_started_it_is_gone(self, tmp_path: Path) -> None:
        setting = transfer.Setting(tmp_path, tmp_path, tmp_path, 1, ())
        assert transfer.work_through(setting, [KEY], parent=-1)
        assert setting.cells.read() == []


class TestVersion:
    def test_comments_docstrings_and_layout_do_not_count(self) -> None:
        bare = "def f(x):\n    return x + 1\n"
        assert meaning('"""Text."""\n\n\ndef f( x ):\n    """Adds."""\n    # why\n    return (x + 1)\n') == meaning(
            bare
        )
        assert meaning(bare.replace("1", "2")) != meaning(bare)

    def test_code_of_the_adaptation_and_overrides_count(self, tmp_path: Path) -> None:
        for part in ADAPTATION:
            path = tmp_path / (part if part.endswith(".py") else f"{part}/code.py")
            path.parent.mkdir(exist_ok=True)
            path.write_text("rate = 1\n")
        first = code_version([], tmp_path)
        assert code_version([], tmp_path) == first
        assert code_version(["adapt.epochs=3"], tmp_path) != first
        (tmp_path / "adapt" / "code.py").write_text("rate = 2\n")
        assert code_version([], tmp_path) != first

    def test_targets_and_whatever_is_not_left_out_count(self, tmp_path: Path) -> None:
        package, targets = tmp_path / "edgetl", tmp_path / "targets"
        for folder in (package / "quant", package / "cli", targets, tmp_path / "calibration"):
            folder.mkdir(parents=True)
        (package / "quant" / "code.py").write_text("bits = 8\n")
        (package / "cli" / "code.py").write_text("width = 80\n")
        (targets / "cpu.yaml").write_text("name: cpu\n")

        def version() -> str:
            return code_version([], package, parts_without(["cli"], package))

        first = version()
        (package / "cli" / "code.py").write_text("width = 120\n")
        assert version() == first
        (targets / "cpu.yaml").write_text("name: another\n")
        second = version()
        assert second != first
        (package / "quant" / "code.py").write_text("bits = 7\n")
        assert version() not in (first, second)

    def test_the_table_shows_the_version_that_was_finished_last(self) -> None:
        cells = [replace(cell("a", 0, "auto", 50), key=Key("net", "a", 10, 0, "auto", v)) for v in ("old", "new")]
        assert newest_versions(cells) == {"auto": ("new",)}

    def test_a_second_version_is_shown_where_the_first_has_no_cell(self) -> None:
        def of(version: str, draw: int) -> Cell:
            return replace(cell("a", draw, "auto", 50), key=Key("net", "a", 10, draw, "auto", version))

        cells = [of("old", 0), of("new", 0), of("old", 1), of("older", 2), of("new", 3)]
        for finished in (cells, cells[::-1]):
            shown = shown_cells(finished, {"auto": ("new", "old")})
            assert {each.key.draw: each.key.version for each in shown} == {0: "new", 1: "old", 3: "new"}
            assert version_text(shown) == "auto new (2 cells) and old (1 cells)"


class TestMean:
    def test_the_interval_is_students(self) -> None:
        found = mean([1.0, 2.0, 3.0, 4.0, 5.0])
        assert found is not None
        assert found.half is not None
        # t(0.975, 4) = 2.776, s = 1.5811
        assert (found.value, round(found.half, 3), found.draws) == (3.0, 1.963, 5)

    def test_one_draw_has_no_interval_and_none_has_no_mean(self) -> None:
        one = mean([70.0])
        assert one is not None
        assert one.text() == "70.0"
        assert mean([]) is None

    def test_a_mean_over_sets_is_one_number_per_draw_first(self) -> None:
        # the sets differ by 40 points and the draws agree: nothing is uncertain
        found = over_sets([{0: 90.0, 1: 92.0}, {0: 50.0, 1: 48.0}])
        assert found is not None
        assert (found.value, found.half, found.draws) == (70.0, 0.0, 2)

    def test_draws_that_a_set_lacks_do_not_count(self) -> None:
        found = over_sets([{0: 90.0, 1: 10.0}, {0: 50.0}])
        assert found is not None
        assert (found.value, found.draws) == (70.0, 1)

    def test_a_set_without_a_cell_leaves_no_mean(self) -> None:
        assert over_sets([{0: 90.0}, {}]) is None


class TestBoard:
    def test_differences_are_paired_by_draw_and_split(self) -> None:
        cells = [cell("a", draw, "logistic", 60 + 10 * draw) for draw in range(3)]
        cells += [cell("a", draw, "auto", 65 + 10 * draw) for draw in range(2)]
        cells.append(cell("a", 2, "auto", 99, split="another"))
        (board,) = boards(cells)
        assert board.difference("a", "auto", "logistic") == pytest.approx({0: 5.0, 1: 5.0})
        assert "1 pairs on different images were left out" in section(board)

    def test_other_versions_and_other_shots_stay_apart(self) -> None:
        old = replace(cell("a", 0, "auto", 10), key=Key("net", "a", 10, 0, "auto", "8"))
        cells = [old, cell("a", 0, "auto", 70), cell("a", 0, "auto", 80, shots=20)]
        found = boards(shown_cells(cells, {"auto": ("9",)}))
        assert [board.shots for board in found] == [10, 20]
        assert [board.top1("a", "auto")[0] for board in found] == pytest.approx([70.0, 80.0])

    def test_the_best_baseline_is_judged_on_the_draws_that_all_have(self) -> None:
        board = one_board({("a", "logistic"): [70, 72], ("a", "tutorial"): [71, 60], ("a", "auto"): [80]})
        assert board.best_baseline("a") == "tutorial"

    def test_before_ours_is_finished_there_is_no_best_baseline_to_compare_with(self) -> None:
        board = one_board({("a", "logistic"): [70], ("b", "logistic"): [70], ("b", "auto"): [80]})
        assert board.best_baseline("a") is None


class TestSection:
    def test_aims_that_were_missed_say_by_how_much(self) -> None:
        scores = {("a", "logistic"): [70, 71], ("a", "tutorial"): [60, 61], ("a", "auto"): [73, 74]}
        scores |= {("b", "logistic"): [50, 51], ("b", "tutorial"): [70, 71], ("b", "auto"): [68, 69]}
        text = section(one_board(scores))
        assert "above logistic on the mean of the sets: +10.5 ± 0.0 points, aim +5.0: reached" in text
        assert "above tutorial on the mean of the sets: +5.5 ± 0.0 points, aim +4.0: reached" in text
        assert "b, -2.0 ± 0.0 points over tutorial, aim -0.5: missed by 1.5" in text

    def test_aims_for_ten_shots_are_not_held_against_other_numbers(self) -> None:
        cells = [cell("a", 0, method, 70, shots=1) for method in ("logistic", "tutorial", "auto")]
        (board,) = boards(cells)
        assert "on the mean of the sets:" not in section(board)

    def test_a_table_of_unfinished_work_can_be_shown(self) -> None:
        text = section(one_board({("a", "logistic"): [70, 71], ("b", "tutorial"): [60]}))
        assert "1 to 2 draws: not all is finished" in text
        assert "| a | 70.5 ± 6.4 | – |" in text

    def test_what_was_chosen_is_counted(self) -> None:
        text = section(one_board({("a", "logistic"): [70, 71], ("a", "auto"): [72, 73]}))
        assert "finetune 2" in text
