"""Case `ci-results`: a report as a table and as tests."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

from small_reports import bundle, report

from edgetl.bench.ci_files import csv_text, junit_text
from edgetl.report import ci
from edgetl.report.model import Build, Gate, Recall

GATES = (
    Gate(gate="max_drop_points", limit=1, value=0.5, verdict="pass", reason="drop 0.50 points"),
    Gate(gate="min_recall", label="defect", limit=0.95, value=0.8, verdict="fail", reason="recall of `defect` 80.0 %"),
    Gate(gate="max_p99_ms", limit=5, value=None, verdict="not measured", reason="p99 latency was not measured"),
)
RECALLS = (Recall(label="good", images=950, recall=1.0), Recall(label="defect", images=50, recall=0.8))


INT8 = Build(precision="int8", verdict="fail", reason="r", gates=GATES, p50_ms=4.0, p99_ms=6.0, recalls=RECALLS)
FLOAT = Build(precision="float32", verdict="pass", reason="r", p50_ms=9.0)
NOT_MEASURED = Build(precision="int8", verdict="not measured", reason="r")
REPORT = report(
    bundle("x86-cpu", verdict="fail", reason="why", builds=(INT8, FLOAT)),
    bundle("nvidia-gpu", verdict="not measured", reason="why", builds=(NOT_MEASURED,)),
    bundle("broken", precision=None, verdict="fail", reason="it does not run"),
    classes=("good", "defect"),
)


def test_the_csv_has_a_row_per_build() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(ci.rows(REPORT)))))
    assert [(row["target"], row["precision"], row["ships"], row["verdict"]) for row in rows] == [
        ("x86-cpu", "int8", "yes", "fail"),
        ("x86-cpu", "float32", "no", "pass"),
        ("nvidia-gpu", "int8", "yes", "not measured"),
    ]
    assert (rows[0]["p50_ms"], rows[0]["p99_ms_low"], rows[0]["recall.defect"]) == ("4.0", "", "0.8")
    assert rows[1]["recall.defect"] == ""


def test_junit_has_a_test_per_gate_of_the_build_that_ships() -> None:
    root = ElementTree.fromstring(junit_text("edgetl.steel", ci.cases(REPORT)))
    found = {
        (test.attrib["classname"], test.attrib["name"]): [child.tag for child in test]
        for suite in root
        for test in suite
    }
    assert found == {
        ("edgetl.steel.x86-cpu", "max_drop_points"): ["system-out"],
        ("edgetl.steel.x86-cpu", "min_recall.defect"): ["failure"],
        ("edgetl.steel.x86-cpu", "max_p99_ms"): ["skipped"],
        ("edgetl.steel.nvidia-gpu", "verdict"): ["skipped"],
        ("edgetl.steel.broken", "verdict"): ["failure"],
    }
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["skipped"]) == ("5", "2", "2")
