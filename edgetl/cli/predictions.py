"""Predictions as lines, as a CSV table and as JSON."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.files.text import escaped

if TYPE_CHECKING:
    from edgetl.bundle.inference import Prediction
    from edgetl.cli.sort_into import Sorter

UNSURE = "unsure"


def decided(prediction: Prediction, threshold: float) -> str:
    """The most likely label, or `unsure` if its probability is below the threshold."""
    return prediction.labels[0] if prediction.probabilities[0] >= threshold else UNSURE


class Classified:
    """Classifies files with a bundle; passes the results to a writer, and the files to a sorter."""

    def __init__(
        self, bundle: Path, top: int, threshold: float, writer: Lines | Table | Document, sorter: Sorter | None
    ) -> None:
        self._bundle, self._top, self._threshold, self._writer, self._sorter = bundle, top, threshold, writer, sorter
        self._cut = 0

    def results(self, images: Sequence[Path], threads: int) -> Iterator[Prediction]:
        from edgetl.bundle.inference import predict

        return predict(self._bundle, images, top=self._top, threads=threads)

    def show(self, result: Prediction) -> None:
        if self._sorter is not None and not result.error:
            self._sorter.copy(Path(result.path), decided(result, self._threshold))
        self._writer.show(result)
        self._cut += result.cut

    def end(self) -> None:
        self._writer.end()
        if self._cut:
            many = "1 text has" if self._cut == 1 else f"{self._cut} texts have"
            click.echo(f"edgetl: {many} more tokens than the network takes: it read their beginning", err=True)


class Lines:
    """One line per file on stdout, as soon as it is done; one line on stderr for a file that cannot be used."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.out = sys.stdout  # a progress bar replaces it

    def show(self, prediction: Prediction) -> None:
        if prediction.error:
            click.echo(f"edgetl: {escaped(prediction.error)}", err=True)
            return
        shares = zip(prediction.labels, prediction.probabilities, strict=True)
        result = ", ".join(f"{escaped(label)} {100 * share:.1f} %" for label, share in shares)
        if decided(prediction, self.threshold) == UNSURE and self.threshold > 0:
            result = f"{UNSURE} ({result})"
        place = escaped(prediction.path) + (f' "{prediction.quote}"' if prediction.quote else "")
        click.echo(f"{place}: {result}", file=self.out)

    def end(self) -> None:
        return None


class Table:
    """A CSV table on stdout: path, the beginning of a text, prediction, labels with their probabilities, and the error
    if there is none."""

    def __init__(self, threshold: float, top: int, of_texts: bool = False) -> None:
        self.threshold, self.top, self.of_texts = threshold, top, of_texts
        self.out = sys.stdout
        pairs = [name for number in range(1, top + 1) for name in (f"label_{number}", f"probability_{number}")]
        self._write(["path", *(["text"] if of_texts else []), "prediction", *pairs, "error"])

    def show(self, prediction: Prediction) -> None:
        if prediction.error:
            click.echo(f"edgetl: {escaped(prediction.error)}", err=True)
        pairs: list[str] = []
        for label, share in zip(prediction.labels, prediction.probabilities, strict=True):
            pairs += [escaped(label), f"{share:.6f}"]
        answer = "" if prediction.error else escaped(decided(prediction, self.threshold))
        pairs += [""] * (2 * self.top - len(pairs))
        shown = [prediction.quote] if self.of_texts else []
        self._write([escaped(prediction.path), *shown, answer, *pairs, escaped(prediction.error)])

    def end(self) -> None:
        return None

    def _write(self, cells: list[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(cells)
        click.echo(text.getvalue(), nl=False, file=self.out)


class Document:
    """One JSON array on stdout at the end. `prediction` is present with a threshold, `error` if there is one; of texts
    `text`, their beginning, and `cut`, whether the network does not see the end."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.found: list[dict[str, Any]] = []

    def show(self, prediction: Prediction) -> None:
        each: dict[str, Any] = {"path": prediction.path}
        each |= {"labels": prediction.labels, "probabilities": prediction.probabilities}
        if prediction.error:
            click.echo(f"edgetl: {escaped(prediction.error)}", err=True)
            each["error"] = prediction.error
        elif self.threshold > 0:
            each["prediction"] = decided(prediction, self.threshold)
        if prediction.quote:
            each |= {"text": prediction.quote, "cut": prediction.cut}
        self.found.append(each)

    def end(self) -> None:
        from edgetl.cli.options import emit

        emit(self.found)
