"""A measurement against an earlier one: what got worse, as far as the intervals show it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli_calls import Shell
from measurements import measured_bundle, measurement
from pivot_folder import make_pivot

from edgetl.bench import measured_rows
from edgetl.bench.ci_files import junit_text
from edgetl.bench.machine import describe
from edgetl.bench.measurement import BaselineCheck, BundleMeasurement, Measurement
from edgetl.bench.time_stats import ratio_of_two
from edgetl.bundle.compile import compile_targets
from edgetl.errors import UsageError
from edgetl.report.baseline import against, read_baseline
from edgetl.types import Estimate, Interval

NOW = measured_bundle()
MACHINE = replace(describe(), cpu="a CPU", gpu=None)
MEASURED = measurement(NOW, machine=MACHINE)
Compare = Callable[[BundleMeasurement, Measurement], dict[str, BaselineCheck]]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Checks by figure of a measurement against one bundle's earlier figures."""

    def checks(
        before: BundleMeasurement, now: Measurement = MEASURED, tolerance: float = 0.0
    ) -> dict[str, BaselineCheck]:
        path = tmp_path / "before.json"
        path.write_text(json.dumps(asdict(replace(MEASURED, bundles=(before,)))))
        return {each.figure: each for each in against(now, read_baseline(path), tolerance).baseline}

    return checks


def test_a_time_whose_whole_interval_is_longer_fails_and_names_target_figure_before_and_after(compare: Compare) -> None:
    check = compare(replace(NOW, p50_ms=Interval(3, 2.95, 3.05)), MEASURED)["p50_ms"]
    assert check.verdict == "fail"
    assert check.change is not None
    assert check.change.value == pytest.approx(4 / 3)
    assert 1 < check.change.low < check.change.high < 1.5
    assert (
        "x86-cpu int8: p50 before 3.00 ms (2.95 to 3.05), after 4.00 ms (3.90 to 4.10): 1.33× the time" in check.reason
    )


@pytest.mark.parametrize("before", [Interval(3.95, 3.8, 4.1), Interval(4.5, 4.4, 4.6)])
def test_a_time_that_may_be_the_same_or_is_shorter_passes(compare: Compare, before: Interval) -> None:
    assert compare(replace(NOW, p50_ms=before), MEASURED)["p50_ms"].verdict == "pass"


def test_a_time_may_grow_by_the_tolerance(tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    path.write_text(json.dumps(asdict(replace(MEASURED, bundles=(replace(NOW, p50_ms=Interval(3.8, 3.79, 3.81)),)))))
    strict, lenient = (against(MEASURED, read_baseline(path), tolerance).baseline[0] for tolerance in (0.0, 0.1))
    assert (strict.verdict, lenient.verdict) == ("fail", "pass")


def test_an_indication_proves_nothing(compare: Compare) -> None:
    check = compare(replace(NOW, p99_ms=Estimate(2, 1.9, 2.1)), MEASURED)["p99_ms"]
    assert check.verdict == "not measured"
    assert "now it is an indication" in check.reason


def test_times_of_another_machine_or_of_other_threads_are_not_compared(compare: Compare) -> None:
    elsewhere = replace(MEASURED, machine=replace(MACHINE, cpu="another CPU"))
    assert "another machine: a CPU before, another CPU now" in compare(NOW, elsewhere)["p50_ms"].reason
    check = compare(replace(NOW, threads=4), MEASURED)["p50_ms"]
    assert (check.verdict, check.change) == ("not measured", None)
    assert "--threads 4" in check.reason


def test_accuracy_that_surely_got_lost_fails(compare: Compare) -> None:
    now = replace(MEASURED, bundles=(replace(NOW, images=1000, score=Interval(0.90, 0.88, 0.92)),))
    assert compare(replace(NOW, score=Interval(0.97, 0.96, 0.98)), now)["score"].verdict == "fail"
    assert compare(replace(NOW, score=Interval(0.91, 0.89, 0.93)), now)["score"].verdict == "pass"


def test_a_build_that_is_not_in_the_baseline_is_named_and_only_such_are_refused(compare: Compare) -> None:
    both = replace(MEASURED, bundles=(NOW, replace(NOW, target="new-cpu")))
    assert "new-cpu int8: not in" in compare(NOW, both)["build"].reason
    with pytest.raises(UsageError, match="none of these bundles is in it; its builds: x86-cpu int8"):
        compare(NOW, replace(MEASURED, bundles=(replace(NOW, target="new-cpu"),)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="expected report"):
        read_baseline(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_baseline(tmp_path / "absent.json")


def test_a_ratio_of_two_intervals_has_the_larger_error_of_both_and_more() -> None:
    ratio = ratio_of_two(Interval(2, 1.8, 2.2), Interval(4, 3.9, 4.1))
    assert ratio.value == pytest.approx(2)
    assert 2 / 1.1 - 0.05 < ratio.low < 2 / 1.1
    assert 2 / 0.9 < ratio.high < 2 / 0.9 + 0.05


def test_every_check_is_a_test_of_the_junit_file(compare: Compare) -> None:
    checks = tuple(compare(replace(NOW, p50_ms=Interval(3, 2.95, 3.05)), MEASURED).values())
    cases = measured_rows.cases(replace(MEASURED, baseline=checks))
    root = ElementTree.fromstring(junit_text("edgetl.bench", cases))
    assert root.attrib["failures"] == "1"
    failed = next(case for case in root.iter("testcase") if case.find("failure") is not None)
    assert failed.attrib["name"] == "baseline.p50_ms"


@pytest.mark.stage
def test_a_command_that_finds_a_regression_exits_with_3(shell: Shell, tmp_path: Path) -> None:
    compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path / "bundles")
    quick = ("--runs", "40", "--warmup", "1", "--cold-starts", "0", "--quiet")
    before = shell("bench", tmp_path / "bundles", *quick, "--json").json()
    for factor, code in ((1e-6, 3), (1e6, 0)):
        for bundle in before["bundles"]:
            bundle["p50_ms"] = {"value": factor, "low": factor, "high": factor}
        (tmp_path / "before.json").write_text(json.dumps(before))
        answer = shell("bench", tmp_path / "bundles", *quick, "--baseline", tmp_path / "before.json")
        assert answer.code == code
        assert ("baseline: fail; null int8: p50 before" in answer.out.replace("\n", " ")) == (code == 3)
