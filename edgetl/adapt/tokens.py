"""Proof that edgetl's tokenizer is the network's own, on every text of the user."""

from __future__ import annotations

from pathlib import Path

from edgetl.backbones.text.recurrent import NAMES as WITH_OWN_WORDS
from edgetl.fronts.text.hugging_face import FILE
from edgetl.fronts.text.load import tokenizer_of
from edgetl.fronts.text.prove import prove_equal
from edgetl.fronts.text.read import read_example
from edgetl.recipes.run import Run
from edgetl.types import NetworkSpec, TextPreprocessing, WeightSource


def prove_tokens(run: Run, spec: NetworkSpec, source: WeightSource) -> None:
    """Compare on shots, validation texts and nasty texts. Does nothing for a network whose words edgetl chose itself.

    Raises DataError that names the first text whose tokens differ.
    """
    p = spec.preprocessing
    if not isinstance(p, TextPreprocessing) or not source.path:
        return
    folder = Path(source.path) if source.kind == "local-dir" else Path(source.path).parent
    if spec.architecture in WITH_OWN_WORDS or (spec.library == "edgetl" and not (folder / FILE).is_file()):
        return
    samples = (*run.split.shots, *run.split.val)
    with run.progress.task("tokens compared with the network's own tokenizer", total=len(samples)) as advance:
        texts = ((sample.path, read_example(Path(sample.path))) for sample in samples)
        prove_equal(tokenizer_of(p), folder, texts)
        advance(len(samples))
