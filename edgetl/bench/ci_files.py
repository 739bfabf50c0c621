"""Files that CI servers read: CSV tables and JUnit results."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from edgetl.files.text import printable
from edgetl.types import Verdict

Row = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class Case:
    """One test of a JUnit file: a gate on one build. `subject` is its target or bundle."""

    subject: str
    name: str
    verdict: Verdict
    reason: str


def csv_text(rows: Sequence[Row]) -> str:
    """A table with a header; None is an empty cell. Columns are in the order of their first appearance."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def junit_text(name: str, cases: Sequence[Case]) -> str:
    """JUnit XML with one suite per subject: `fail` is a failure, `not measured` is skipped."""
    root = ElementTree.Element("testsuites", _counts(cases), name=printable(name))
    for subject in dict.fromkeys(case.subject for case in cases):
        mine = [case for case in cases if case.subject == subject]
        suite = ElementTree.SubElement(root, "testsuite", _counts(mine), name=printable(subject))
        for case in mine:
            place = f"{printable(name)}.{printable(subject)}"
            test = ElementTree.SubElement(suite, "testcase", classname=place, name=printable(case.name))
            reason = printable(case.reason)
            if case.verdict == "fail":
                ElementTree.SubElement(test, "failure", message=reason).text = reason
            elif case.verdict == "not measured":
                ElementTree.SubElement(test, "skipped", message=reason)
            else:
                ElementTree.SubElement(test, "system-out").text = reason
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    failures = sum(case.verdict == "fail" for case in cases)
    skipped = sum(case.verdict == "not measured" for case in cases)
    return {"tests": str(len(cases)), "failures": str(failures), "skipped": str(skipped), "errors": "0"}
