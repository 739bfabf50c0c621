"""The quantization benchmark plans every cell once, survives kills and companions, and names what it cannot make."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import quantization
import quantization_rivals
from cell_file import CellFile, claim
from plain_models import Recipe, Shots
from quantization_cases import ARM_HERE, CASES, FEW_IMAGES, FEW_PROFILE, SIGNED_TARGET, STANDARD, Case, write_catalog
from quantization_cells import Cell, Group, Key, Times, TimesKey, Versions, groups, plan, plan_times
from quantization_edgetl import Chain, backbone_name
from quantization_made import Answers, Made, Making
from quantization_measure import Timing, alike, first_with_file

from edgetl.errors import BackendError, DataError
from edgetl.recipes.targets import load_profile, load_target
from edgetl.tasks.classification.accuracy import Accuracy
from edgetl.types import Compiled, ImagePreprocessing, Interval, Precision

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
GROUP = Group("net", "steel", 10, 0)
VERSIONS = Versions("ours", "theirs")
COMPILED = Compiled("onnxruntime", "1", "int8", "model.onnx", ("model.onnx",))
NOTHING_TO_SEE = ImagePreprocessing(8, 8, "squash", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture
def making(tmp_path: Path) -> Making:
    return Making(tmp_path, tmp_path, tmp_path / "work", 1, (), 4, 4, "ours", "net")


def cell(key: Key) -> Cell:
    one = Interval(1.0, 0.5, 1.0)
    return Cell(key, 8, "p", "ff", "ff", one, Interval(0.0, -1.0, 1.0), 1.0, "int8 3", 100, 1.0, 0.1)


class TestPlan:
    def test_every_cell_is_planned_once(self) -> None:
        keys = plan(GROUP, CASES, STANDARD.targets, None, VERSIONS)
        assert max(Counter(keys).values()) == 1
        assert {key.case for key in keys} == {case.name for case in CASES}

    def test_what_ships_is_made_first_for_every_target(self) -> None:
        keys = plan(GROUP, CASES, STANDARD.targets, None, VERSIONS)
        places = dict.fromkeys((key.case, key.target) for key in keys)
        firsts = [next(key.method for key in keys if (key.case, key.target) == place) for place in places]
        assert set(firsts) == {"shipped"}

    def test_targets_and_methods_can_be_chosen(self) -> None:
        keys = plan(GROUP, (STANDARD,), ["intel-cpu"], ["ptq", "nncf mixed"], VERSIONS)
        assert [(key.target, key.method, key.version) for key in keys] == [
            ("intel-cpu", "ptq", "ours"),
            ("intel-cpu", "nncf mixed", "theirs"),
        ]

    def test_a_first_draw_of_everything_comes_before_any_second_one(self) -> None:
        found = groups(["a", "b"], ["x", "y"], 10, range(2))
        assert [group.draw for group in found] == [0] * 4 + [1] * 4
        assert len(set(found)) == 8

    def test_a_latency_belongs_to_both_versions(self) -> None:
        (key,) = plan_times(GROUP, ["x86-cpu"], [2], VERSIONS)
        assert VERSIONS.fits(key.version)
        assert not replace(VERSIONS, rivals="newer").fits(key.version)


class TestOtherCpus:
    """Builds for ARM answer on this CPU too, where there is time for all images."""

    @staticmethod
    def answers(chosen: list[int], logits: list[list[float]]) -> Answers:
        right = np.ones(len(chosen), dtype=np.bool_)
        indices, values = np.array(chosen, dtype=np.int64), np.array(logits, dtype=np.float32)
        exact = Interval(1.0, 1.0, 1.0)
        accuracy = Accuracy(len(chosen), exact, exact, exact, exact, 0.0, 1.0, 0, ())
        return Answers(values, "", indices, right, right, accuracy)

    def test_answers_are_paired_by_image(self) -> None:
        here = self.answers([0, 1, 2], [[9.0, 0.0], [0.0, 4.0], [1.0, 0.0]])
        emulated = self.answers([1, 2], [[0.0, 4.0], [0.0, 1.0]])
        found = alike(here, emulated)
        assert found is not None
        assert (found.images, found.same) == (2, 1)
        assert found.largest_difference == pytest.approx(1 / np.std([0.0, 4.0, 0.0, 1.0]))

    def test_without_an_emulator_nothing_is_compared(self) -> None:
        here = self.answers([0, 1], [[1.0, 0.0], [0.0, 1.0]])
        assert alike(here, here) is None

    def test_a_build_is_made_once_for_both(self, making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
        cases: list[str] = []

        def make(_: Chain, case: Case, target: str, method: str) -> Made:
            cases.append(case.name)
            return Made(making.work, COMPILED, load_target(target), None)

        monkeypatch.setattr(Chain, "_build", make)
        chain = Chain(making, GROUP)
        assert chain.build(ARM_HERE, "arm64-cpu", "ptq") is chain.build(STANDARD, "arm64-cpu", "ptq")
        assert cases == ["standard"]


class TestCatalog:
    def test_the_hard_cases_have_their_target_and_profile(self, tmp_path: Path) -> None:
        targets, profiles = write_catalog(tmp_path)
        scheme = load_target(SIGNED_TARGET, (targets,)).scheme
        assert (scheme.activation_dtype, scheme.activation_symmetric) == ("int8", True)
        assert load_profile(FEW_PROFILE, (profiles,)) == replace(
            load_profile("default"), name=FEW_PROFILE, summary="Few images", images=FEW_IMAGES
        )

    def test_every_target_of_every_case_is_there(self, tmp_path: Path) -> None:
        targets, profiles = write_catalog(tmp_path)
        for case in CASES:
            load_profile(case.profile, (profiles,))
            for target in case.targets:
                assert "int8" in load_target(target, (targets,)).precisions

    def test_weights_without_timms_config_are_torchvisions(self, tmp_path: Path) -> None:
        (tmp_path / "timms").mkdir()
        (tmp_path / "timms" / "config.json").write_text("{}")
        assert [backbone_name(tmp_path, name) for name in ("timms", "other")] == ["timms", "tv_other"]


class TestWorker:
    def test_a_second_run_makes_only_what_is_missing_and_a_failure_costs_one_cell(
        self, making: Making, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = plan(GROUP, (STANDARD,), ["x86-cpu"], ["ptq", "qat", "shipped"], VERSIONS)
        made: list[str] = []
        broken = {"ptq"}

        def make(_: Chain, key: Key) -> Cell:
            if key.method in broken:
                raise DataError("no images")
            made.append(key.method)
            return cell(key)

        monkeypatch.setattr(quantization, "accuracy_cell", make)
        assert not quantization.work_through(making, GROUP, keys)
        assert made == ["shipped", "qat"]
        broken.clear()
        assert quantization.work_through(making, GROUP, keys)
        assert made == ["shipped", "qat", "ptq"]
        assert quantization.work_through(making, GROUP, keys)
        assert CellFile(making.work / "accuracy.jsonl", Cell).done() == set(keys)
        assert len(made) == 3

    def test_a_group_that_another_run_is_at_is_left_alone(
        self, making: Making, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = plan(GROUP, (STANDARD,), ["x86-cpu"], None, VERSIONS)
        monkeypatch.setattr(quantization, "accuracy_cell", lambda chain, key: pytest.fail("made twice"))
        with claim(making.work / "claims", GROUP) as ours:
            assert ours
            assert quantization.work_through(making, GROUP, keys)

    def test_a_latency_that_is_there_is_not_measured_again(
        self, making: Making, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = plan_times(GROUP, ["x86-cpu"], [1, 2], VERSIONS)
        made: list[TimesKey] = []

        asked: list[list[str]] = []

        def measure(_: Chain, key: TimesKey, timing: Timing, methods: list[str]) -> Times:
            made.append(key)
            asked.append(methods)
            return Times(key, {}, timing.runs, timing.repeats, (0.1,), tuple(methods))

        monkeypatch.setattr(quantization, "times_cell", measure)
        for _ in range(2):
            assert quantization.time_through(making, GROUP, keys, Timing(300, 1, 1), ["shipped"])
        assert made == keys
        # what is asked for later is measured in the same rounds as what was there
        for timing in (Timing(300, 1, 1), Timing(300, 1, 2)):
            assert quantization.time_through(making, GROUP, keys[:1], timing, ["float32"])
        assert asked == [["shipped"], ["shipped"], ["float32", "shipped"], ["float32", "shipped"]]


class TestTable:
    def test_what_is_finished_is_shown_without_pictures_or_weights(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = CellFile(tmp_path / "accuracy.jsonl", Cell)
        for version, draw in (("older", 0), ("newer", 1)):
            key = Key("net", "steel", 10, draw, "standard", "x86-cpu", "shipped", version)
            file.append(replace(cell(key), note=f"int8 of {version}"))
        monkeypatch.setattr("sys.argv", ["quantization.py", "--work", str(tmp_path), "--only-table"])
        assert quantization.main() == 0
        shown = capsys.readouterr().out
        assert "int8 of newer" in shown
        assert "int8 of older" not in shown
        monkeypatch.setattr("sys.argv", ["quantization.py", "--work", str(tmp_path), "--only-table", "--version=older"])
        assert quantization.main() == 0
        assert "int8 of older" in capsys.readouterr().out

    def test_a_folder_without_cells_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["quantization.py", "--work", str(tmp_path), "--only-table"])
        assert quantization.main() == 1
        assert "no finished cell of 10 shots" in capsys.readouterr().err


class TestChain:
    def test_stages_of_other_code_are_made_again_but_for_the_float_network(self, making: Making) -> None:
        stages = Chain(making, GROUP).out / "stages"
        stages.mkdir(parents=True)
        for name in ("data-1", "check-1", "adapt-1", "quantize-1", "export-1", "report-1"):
            (stages / f"{name}.json").write_text("{}")
        Chain(making, GROUP)
        assert len([*stages.iterdir()]) == 6
        Chain(replace(making, version="newer"), GROUP)
        assert sorted(path.name for path in stages.iterdir()) == ["adapt-1.json", "check-1.json", "data-1.json"]

    def test_one_file_in_two_precisions_is_two_builds(self, tmp_path: Path) -> None:
        (tmp_path / "model.xml").write_text("<net/>")
        made = [
            Made(
                tmp_path, Compiled("openvino", "1", precision, "model.xml", ("model.xml",)), load_target("intel-cpu"), 1
            )
            for precision in PRECISIONS
        ]
        assert made[0].digest() != made[1].digest()
        assert made[0].digest() == replace(made[0], note="shipped").digest()

    def test_builds_with_one_file_are_timed_once(self) -> None:
        assert first_with_file({"qat": "a", "ptq": "b", "shipped": "a"}) == {
            "qat": "qat",
            "ptq": "ptq",
            "shipped": "qat",
        }


class TestRivals:
    def test_whatever_a_tool_raises_costs_its_cell_and_names_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(pivot: Path, shots: Shots, out: Path) -> None:
            raise RuntimeError("no such kernel")

        broken = Recipe("nncf mixed", "openvino", {}, fail)
        monkeypatch.setattr(quantization_rivals, "nncf_recipes", lambda: (broken,))
        shots = Shots((), NOTHING_TO_SEE)
        recipe = quantization_rivals.recipe_named(STANDARD, "nncf mixed", shots, 1.0)
        with pytest.raises(BackendError, match="nncf mixed: no such kernel"):
            recipe.make(tmp_path, shots, tmp_path)

    def test_a_tool_that_is_not_installed_is_said_to_be_absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert "not installed" in quantization_rivals.missing("nncf accuracy control")
        assert quantization_rivals.missing("quantize_static minmax") == ""

    def test_alternatives_meet_the_hardware_of_the_case(self) -> None:
        shots = Shots((), NOTHING_TO_SEE)
        settings = {
            case.name: quantization_rivals.recipe_named(case, "quantize_static entropy", shots, 1.0).settings
            for case in CASES
        }
        assert settings["signed"]["activations"] == "int8"
        assert settings["no vnni"]["reduce_range"] == "true"
        assert "reduce_range" not in settings["standard"]
