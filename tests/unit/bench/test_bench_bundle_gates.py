"""Gates on finished bundles, and case `ci-results`: what a CI server reads of a measurement."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from measurements import measured_bundle, measurement

from edgetl.bench import measured_rows
from edgetl.bench.bundle_gates import judge_bundles, parse_gates
from edgetl.bench.ci_files import csv_text, junit_text
from edgetl.bench.machine import describe
from edgetl.bench.measurement import LabelRecall, LeftOut
from edgetl.bench.quiet import Conditions
from edgetl.errors import UsageError
from edgetl.types import Interval

INT8 = measured_bundle(
    images=1000,
    top1=Interval(0.99, 0.98, 0.995),
    cold_start_ms=80.0,
    peak_rss_bytes=5000,
    baseline_rss_bytes=9000,
    recalls=(
        LabelRecall("good", 950, Interval(1.0, 0.996, 1.0), None),
        LabelRecall("defect", 50, Interval(0.8, 0.67, 0.888), None),
    ),
)
MACHINE = replace(describe(), logical_cores=2, usable_cores=2.0, load_average=0.3)
MEASURED = measurement(
    *(INT8, INT8),
    machine=MACHINE,
    conditions=Conditions(0.0, 0.0),
    left_out=(LeftOut("out/steel-nvidia", "no GPU", False), LeftOut("out/broken", "changed", True)),
)


class TestParsing:
    def test_keys_are_those_of_a_recipe(self) -> None:
        gates = parse_gates(["max_p99_ms=5", "min_recall.defect=0.95", "min_recall.a.b=1", "min_top1=0.9"])
        assert (gates.max_p99_ms, gates.min_top1, gates.max_drop_points) == (5, 0.9, None)
        assert gates.min_recall == {"defect": 0.95, "a.b": 1}

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("max_p99=5", "bundles have no gate `max_p99`; did you mean `max_p99_ms`?"),
            ("max_drop_points=1", "bundles have no gate `max_drop_points`"),
            ("min_top1", "expected key=value"),
            ("min_recall=0.9", "min_recall.LABEL=0.95"),
            ("min_top1.a=0.9", "expected key=value"),
            ("min_top1=2", "--gate: `min_top1`: expected at most 1; found 2"),
            ("min_top1=[", "not a number"),
        ],
    )
    def test_what_is_none_is_refused_in_one_line(self, text: str, told: str) -> None:
        with pytest.raises(UsageError) as refused:
            parse_gates([text])
        assert told in str(refused.value)
        assert "\n" not in str(refused.value)


class TestCaseMinorityClass:
    def test_a_bundle_that_loses_the_rare_class_misses_its_gate(self) -> None:
        judged = judge_bundles(MEASURED, parse_gates(["min_top1=0.98", "min_recall.defect=0.95"]))
        top1, recall = judged.gates[0].checks
        assert (top1.verdict, recall.verdict, recall.label) == ("pass", "fail", "defect")
        assert recall.reason == "recall of `defect` 80.0 % (67.0 to 88.8), below the required 95 %"

    def test_a_class_that_the_bundle_does_not_have_is_refused(self) -> None:
        with pytest.raises(UsageError, match="has no such class; did you mean `defect`"):
            judge_bundles(MEASURED, parse_gates(["min_recall.defekt=0.95"]))

    def test_without_labeled_images_it_is_not_measured(self) -> None:
        bare = replace(MEASURED, bundles=(replace(INT8, recalls=(), top1=None, images=0),))
        judged = judge_bundles(bare, parse_gates(["min_top1=0.9", "min_recall.defect=0.95"]))
        assert [check.verdict for check in judged.gates[0].checks] == ["not measured"] * 2


def test_a_latency_gate_on_a_busy_machine_says_so() -> None:
    busy = replace(MEASURED, conditions=Conditions(0.4, 0.0))
    (check,) = judge_bundles(busy, parse_gates(["max_p99_ms=5"])).gates[0].checks
    assert check.verdict == "fail"
    assert check.reason.startswith("p99 6 ms (an indication: 300 runs), above the allowed 5 ms; busy machine: ")


class TestCaseCiResults:
    def test_the_csv_has_a_row_per_bundle(self) -> None:
        rows = list(csv.DictReader(io.StringIO(csv_text(measured_rows.rows(MEASURED)))))
        assert len(rows) == 2
        first = rows[0]
        assert (first["bundle"], first["precision"], first["threads"]) == ("out/steel-x86-cpu", "int8", "1")
        assert (first["p50_ms"], first["p50_ms_low"], first["p99_ms"], first["p99_ms_low"]) == ("4", "3.9", "6", "")
        assert (first["recall.defect"], first["recall.good"], first["waited"]) == ("0.8", "1.0", "0.0")

    def test_junit_has_a_test_per_gate(self) -> None:
        bare = replace(INT8, recalls=(), top1=None, images=0)
        gates = parse_gates(["max_p99_ms=5", "max_size_bytes=2000", "min_top1=0.9"])
        judged = judge_bundles(replace(MEASURED, bundles=(INT8, bare)), gates)
        root = ElementTree.fromstring(junit_text("edgetl.bench", measured_rows.cases(judged)))
        assert root.attrib == {
            "name": "edgetl.bench",
            "tests": "8",
            "failures": "3",
            "skipped": "2",
            "errors": "0",
        }
        suites = [suite.attrib["name"] for suite in root]
        assert suites == ["1. steel-x86-cpu", "2. steel-x86-cpu", "steel-nvidia", "broken"]
        found = {test.attrib["name"]: [child.tag for child in test] for test in root[1]}
        assert found == {"min_top1": ["skipped"], "max_p99_ms": ["failure"], "max_size_bytes": ["system-out"]}
        failure = root[0].find("testcase[@name='max_p99_ms']/failure")
        assert failure is not None
        assert failure.attrib["message"] == "p99 6 ms (an indication: 300 runs), above the allowed 5 ms"

    def test_single_runs_are_rows_with_their_round(self) -> None:
        times = np.arange(1, 22, dtype=np.int64) * 1_000_000
        one = replace(MEASURED, bundles=(INT8,))
        rows = measured_rows.runs(one, [[times, times]])
        assert len(rows) == 42
        assert rows[20] == {
            "number": 1,
            "bundle": "out/steel-x86-cpu",
            "repeat": 1,
            "round": 3,
            "run": 21,
            "ms": 21.0,
        }
        assert rows[21]["repeat"] == 2


def test_bundles_of_one_name_keep_their_folders() -> None:
    other = replace(INT8, bundle="older/steel-x86-cpu")
    assert replace(MEASURED, bundles=(INT8, other)).names() == ("1. out/steel-x86-cpu", "2. older/steel-x86-cpu")
    assert replace(MEASURED, bundles=(INT8,)).names() == ("steel-x86-cpu",)


def test_control_characters_do_not_break_the_xml() -> None:
    sick = replace(MEASURED, bundles=(replace(INT8, bundle="a\x01b<&"),), left_out=())
    root = ElementTree.fromstring(junit_text("edgetl.bench", measured_rows.cases(sick)))
    assert root[0].attrib["name"] == "a?b<&"
