"""Read the output folder of a finished `edgetl build`: the report, and the stages behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetl.data.split import read_split
from edgetl.errors import EdgetlError
from edgetl.files.digest import file_digest
from edgetl.report.model import FILE_NAME, Report, read_report
from edgetl.store.results import result_digest


@dataclass(frozen=True)
class StageRecord:
    """One finished stage. `subject` tells apart the stages of one kind: a target, a target and precision, a scheme."""

    stage: str
    subject: str
    seconds: float
    peak_rss_bytes: int
    folder: Path


@dataclass(frozen=True)
class FinishedBuild:
    """An output folder. `stages` are those behind the published report, in the order of the chain."""

    out: Path
    report: Report
    stages: tuple[StageRecord, ...]


def read_build(out: Path) -> FinishedBuild:
    """Raises EdgetlError when `out` holds no finished build."""
    report = read_report(out / FILE_NAME)
    return FinishedBuild(out, report, tuple(_Records(out).behind(report)))


class _Records:
    """The records in `stages/`, found by the digest of the stage's files, by which later stages name them."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folders: dict[str, Path] = {}
        self.records: dict[str, Mapping[str, Any]] = {}
        for path in sorted((out / "stages").glob("*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            digest = result_digest(record["files"])
            self.folders[digest], self.records[digest] = path.with_suffix(""), record

    def behind(self, report: Report) -> Iterator[StageRecord]:
        last = self._report_digest()
        inputs: Mapping[str, str] = self.records[last]["inputs"]
        pivot = inputs["pivot"]
        yield self._stage(self._data_digest(report.data.digest), "")
        yield self._stage(inputs["checked"], "")
        yield self._stage(inputs["adapted"], "")
        for name, digest in self.records[pivot]["inputs"].items():
            if name.startswith("quantized-"):
                yield self._stage(digest, name.removeprefix("quantized-"))
        yield self._stage(pivot, "")
        targets = [bundle.target for bundle in report.bundles]
        for target in targets:
            yield from self._compiled(inputs, target)
        for target in targets:
            yield self._stage(inputs[f"bench-{target}"], target)
        yield self._stage(last, "")

    def _compiled(self, inputs: Mapping[str, str], target: str) -> Iterator[StageRecord]:
        for name, digest in inputs.items():
            kind, _, index = name.rpartition("-")
            if kind == f"build-{target}" and index.isdigit():
                yield self._stage(digest, f"{target} {self.records[digest]['config']['precision']}")

    def _stage(self, digest: str, subject: str) -> StageRecord:
        if digest not in self.records:
            raise EdgetlError(f"{self.out}: a stage behind its report is gone from `stages`; run `edgetl build` again")
        record = self.records[digest]
        folder = self.folders[digest]
        return StageRecord(record["stage"], subject, record["seconds"], record["peak_rss_bytes"], folder)

    def _report_digest(self) -> str:
        published = file_digest(self.out / FILE_NAME)
        return self._only("report", lambda record, _: record["files"].get(FILE_NAME) == published)

    def _data_digest(self, split_digest: str) -> str:
        return self._only("data", lambda _, folder: read_split(folder / "split.json").digest == split_digest)

    def _only(self, stage: str, fits: Any) -> str:
        for digest, record in self.records.items():
            if record["stage"] == stage and fits(record, self.folders[digest]):
                return digest
        raise EdgetlError(f"{self.out}: the `{stage}` stage of its report is missing; run `edgetl build` again")
