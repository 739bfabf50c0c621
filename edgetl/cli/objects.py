"""Found objects as lines, as a CSV table and as JSON."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from edgetl.files.text import escaped

if TYPE_CHECKING:
    from edgetl.bundle.inference import Finding
    from edgetl.cli.draw import Drawings
    from edgetl.tasks.detection.detections import Postprocess

_COLUMNS = ("path", "label", "score", "x0", "y0", "x1", "y1", "error")


class Writer(Protocol):
    """Shows the results of one image after the other."""

    def show(self, finding: Finding) -> None: ...

    def end(self) -> None: ...


class Searched:
    """Finds objects in images with a bundle; passes the results to a writer, and images to be drawn."""

    def __init__(self, bundle: Path, settings: Postprocess, writer: Writer, drawings: Drawings | None) -> None:
        self._bundle, self._settings, self._writer, self._drawings = bundle, settings, writer, drawings

    def results(self, images: Sequence[Path], threads: int) -> Iterator[Finding]:
        from edgetl.bundle.inference import detect

        return detect(self._bundle, images, threads=threads, settings=self._settings)

    def show(self, result: Finding) -> None:
        if self._drawings is not None and result.objects is not None:
            self._drawings.draw(Path(result.path), result.objects)
        self._writer.show(result)

    def end(self) -> None:
        self._writer.end()


@dataclass(frozen=True)
class _Object:
    label: str
    score: float
    box: tuple[float, ...]


def _objects(finding: Finding, labels: Sequence[str]) -> Iterator[_Object]:
    if finding.objects is None:
        return
    found = finding.objects
    for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
        yield _Object(labels[label], float(score), tuple(map(float, box)))


def _report(finding: Finding) -> None:
    if finding.error:
        click.echo(f"edgetl: {escaped(finding.error)}", err=True)


class Lines:
    """A line for each image and one for each object in it, as soon as it is done: label, score, corners in pixels."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._out = sys.stdout  # a progress bar replaces it

    def show(self, finding: Finding) -> None:
        _report(finding)
        if finding.objects is None:
            return
        count = len(finding.objects.scores)
        lines = [f"{escaped(finding.path)}: {count} object{'' if count == 1 else 's'}"]
        for one in _objects(finding, self._labels):
            corners = " ".join(f"{value:.1f}" for value in one.box)
            lines.append(f"  {escaped(one.label)} {100 * one.score:.1f} %  {corners}")
        click.echo("\n".join(lines), file=self._out)

    def end(self) -> None:
        return None


class Table:
    """A CSV table on stdout, one row for each object; an image without objects has one row without them."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._out = sys.stdout
        self._write(_COLUMNS)

    def show(self, finding: Finding) -> None:
        _report(finding)
        rows = [
            [escaped(one.label), f"{one.score:.6f}", *(f"{value:.2f}" for value in one.box)]
            for one in _objects(finding, self._labels)
        ]
        for row in rows or [[""] * (len(_COLUMNS) - 2)]:
            self._write([escaped(finding.path), *row, escaped(finding.error)])

    def end(self) -> None:
        return None

    def _write(self, cells: Sequence[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(cells)
        click.echo(text.getvalue(), nl=False, file=self._out)


class Document:
    """One JSON array on stdout at the end. `error` is present if there is one. Numbers have the nine digits that give
    the same float32 again."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._found: list[dict[str, Any]] = []

    def show(self, finding: Finding) -> None:
        _report(finding)
        objects = [
            {"label": one.label, "score": _digits(one.score), "box": [_digits(value) for value in one.box]}
            for one in _objects(finding, self._labels)
        ]
        each: dict[str, Any] = {"path": finding.path, "objects": objects}
        self._found.append(each | ({"error": finding.error} if finding.error else {}))

    def end(self) -> None:
        from edgetl.cli.options import emit

        emit(self._found)


def _digits(value: float) -> float:
    return float(f"{value:.9g}")
