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
    from edgetl.bundle.inference import HeadAnswer, Prediction
    from edgetl.cli.sort_into import Sorter

UNSURE = "unsure"


def decided(prediction: Prediction | HeadAnswer, threshold: float) -> str:
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
        result = "; ".join(f"{escaped(each.head)}: {self._said(each)}" for each in prediction.heads)
        result = result or self._said(prediction)
        place = escaped(prediction.path) + (f' "{prediction.quote}"' if prediction.quote else "")
        click.echo(f"{place}: {result}", file=self.out)

    def _said(self, answer: Prediction | HeadAnswer) -> str:
        shares = zip(answer.labels, answer.probabilities, strict=True)
        result = ", ".join(f"{escaped(label)} {100 * share:.1f} %" for label, share in shares)
        return f"{UNSURE} ({result})" if decided(answer, self.threshold) == UNSURE and self.threshold > 0 else result

    def end(self) -> None:
        return None


class Table:
    """A CSV table on stdout: path, the beginning of a text, prediction, labels with their probabilities, and the error
    if there is none. With several heads these columns for each head, named by it."""

    def __init__(self, threshold: float, top: int, of_texts: bool = False, heads: Sequence[str] = ()) -> None:
        self.threshold, self.top, self.of_texts, self.heads = threshold, top, of_texts, heads
        self.out = sys.stdout
        pairs = [name for number in range(1, top + 1) for name in (f"label_{number}", f"probability_{number}")]
        columns = [f"{head}.{name}" for head in heads for name in ("prediction", *pairs)]
        self._write(["path", *(["text"] if of_texts else []), *(columns or ["prediction", *pairs]), "error"])

    def show(self, prediction: Prediction) -> None:
        if prediction.error:
            click.echo(f"edgetl: {escaped(prediction.error)}", err=True)
        if prediction.error:
            cells = [""] * (max(len(self.heads), 1) * (1 + 2 * self.top))
        else:
            cells = [cell for each in prediction.heads or (prediction,) for cell in self._cells(each)]
        shown = [prediction.quote] if self.of_texts else []
        self._write([escaped(prediction.path), *shown, *cells, escaped(prediction.error)])

    def _cells(self, answer: Prediction | HeadAnswer) -> list[str]:
        pairs: list[str] = []
        for label, share in zip(answer.labels, answer.probabilities, strict=True):
            pairs += [escaped(label), f"{share:.6f}"]
        return [escaped(decided(answer, self.threshold)), *pairs, *[""] * (2 * self.top - len(pairs))]

    def end(self) -> None:
        return None

    def _write(self, cells: list[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(cells)
        click.echo(text.getvalue(), nl=False, file=self.out)


class Document:
    """One JSON array on stdout at the end. `prediction` is present with a threshold, `error` if there is one; with
    several heads they are in `heads`, by name; of texts `text`, their beginning, and `cut`, whether the network does
    not see the end."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.found: list[dict[str, Any]] = []

    def show(self, prediction: Prediction) -> None:
        each: dict[str, Any] = {"path": prediction.path}
        if prediction.heads:
            each |= {"heads": {answer.head: self._of_head(answer) for answer in prediction.heads}}
        else:
            each |= {"labels": prediction.labels, "probabilities": prediction.probabilities}
        if prediction.error:
            click.echo(f"edgetl: {escaped(prediction.error)}", err=True)
            each["error"] = prediction.error
        elif self.threshold > 0 and not prediction.heads:
            each["prediction"] = decided(prediction, self.threshold)
        if prediction.quote:
            each |= {"text": prediction.quote, "cut": prediction.cut}
        self.found.append(each)

    def _of_head(self, answer: HeadAnswer) -> dict[str, Any]:
        found: dict[str, Any] = {"labels": answer.labels, "probabilities": answer.probabilities}
        return found | ({"prediction": decided(answer, self.threshold)} if self.threshold > 0 else {})

    def end(self) -> None:
        from edgetl.cli.options import emit

        emit(self.found)
