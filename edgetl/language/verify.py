"""Replays a language model's golden prompts in a fresh process, because a bundle is not trusted before that.

It runs this module: `python -m edgetl.language.verify FOLDER THREADS MEMORY_BYTES` writes one JSON line to stdout.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edgetl.backends.fresh_process import LIMITS, Limits, output_of
from edgetl.bundle.golden_steps import StepCheck
from edgetl.errors import BackendError, BundleError, EdgetlError
from edgetl.language.bundle import LanguageBundle, cannot_run, open_language, read_language
from edgetl.language.golden import replay
from edgetl.store.memory import available_bytes, limit_memory

_CHECKS = TypeAdapter(tuple[StepCheck, ...])


def verify(bundle: LanguageBundle, *, threads: int, limits: Limits = LIMITS) -> tuple[StepCheck, ...]:
    """The steps of every golden prompt. Raises BackendError if this machine cannot run it, or it does not end;
    BundleError if the golden files do not fit."""
    if obstacle := cannot_run(bundle):
        raise BackendError(f"{bundle.folder}: {obstacle}")
    where = f"{bundle.folder}: opening and running it"
    given = (str(bundle.folder.resolve()), str(threads), str(available_bytes()))
    return _answer(output_of("edgetl.language.verify", given, "", limits, where), where)


def _answer(text: str, where: str) -> tuple[StepCheck, ...]:
    try:
        content = json.loads(text)
        if isinstance(content, dict):
            raise BundleError(str(content["error"]))
        return _CHECKS.validate_python([row | {"difference": float(row["difference"])} for row in content])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise BackendError(f"{where} wrote {text[:200]!r}; expected one JSON line") from error


def main(folder: str, threads: str, memory_bytes: str) -> None:
    """The child. Runtimes that print to stdout end up on stderr."""
    answer_stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    limit_memory(int(memory_bytes))
    answer: object
    try:
        bundle = read_language(Path(folder))
        with open_language(bundle, threads=int(threads)) as network:
            checks = replay(bundle, network)
        # JSON has no infinity
        answer = [asdict(check) | {"difference": str(check.difference)} for check in checks]
    except EdgetlError as error:
        answer = {"error": str(error)}
    with answer_stream:
        answer_stream.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
