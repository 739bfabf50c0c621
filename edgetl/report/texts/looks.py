"""Texts as the page shows them: words, tinted by their share in the decision of a bundle on its own runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.bundle.inference import cannot_run, open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import DataError
from edgetl.fronts.text.load import encode_text
from edgetl.fronts.text.read import read_example
from edgetl.report.pictures import Look
from edgetl.report.texts.words import Word, decisive
from edgetl.types import OUTPUT_NAME, Engine, TextPreprocessing, fed

SHOWN_CHARACTERS = 700
"""Of a longer text the beginning is shown."""


def plain(path: Path) -> Look:
    """The text without tints; empty if it can no longer be read."""
    try:
        text = read_example(path)
    except DataError:
        return Look("")
    return _look(text, (Word(text[:SHOWN_CHARACTERS]),))


def _look(text: str, words: tuple[Word, ...]) -> Look:
    more = (Word("…"),) if len(text) > SHOWN_CHARACTERS else ()
    return Look("", words=(*words, *more))


@dataclass(frozen=True)
class Reader:
    """A bundle that is open. name  its target and number format, for the page"""

    name: str
    engine: Engine
    preprocessing: TextPreprocessing

    def __call__(self, path: Path) -> Look:
        """As `plain`, with the words that decided."""
        shown = plain(path)
        if not shown.words:
            return shown
        try:
            text = read_example(path)
            words = decisive(text[:SHOWN_CHARACTERS], self._logits)
        except DataError:
            return shown
        return replace(_look(text, words), length="")

    def _logits(self, text: str) -> NDArray[np.float64]:
        tokens = encode_text(text, self.preprocessing)
        if (tokens == self.preprocessing.pad).all():
            raise DataError("nothing is left of the text")
        return np.asarray(self.engine.infer(fed(tokens[None]))[OUTPUT_NAME][0], np.float64)


@contextmanager
def open_reader(bundles: Iterable[Path]) -> Iterator[Reader | None]:
    """The first of the bundles that runs on this machine. None if there is none, or they are not for texts."""
    for folder in bundles:
        bundle = read_bundle(folder)
        p = bundle.manifest.preprocessing
        if isinstance(p, TextPreprocessing) and not cannot_run(bundle):
            name = f"{bundle.manifest.compiled.precision} build of {bundle.manifest.target.name}"
            with open_bundle(bundle, threads=1) as engine:
                yield Reader(name, engine, p)
            return
    yield None
