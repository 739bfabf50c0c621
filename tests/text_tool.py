"""`text_tool`, the C++ half's tokenizer behind a pipe."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WHOLE = 1_000_000_000
"""Tokens of a text that is not cut."""


@dataclass(frozen=True)
class Refusal:
    message: str


class TextTool:
    """One process that answers one command after the other."""

    def __init__(self, program: Path, emulator: Sequence[str | Path] = ()) -> None:
        self._process = subprocess.Popen([*emulator, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def open(self, description: bytes, longest: int = WHOLE) -> Refusal | None:
        """Texts that follow are cut to `longest` tokens."""
        found = self._ask(f"open {len(description)} {longest}", description)
        return found if isinstance(found, Refusal) else None

    def encode(self, text: bytes) -> list[int] | Refusal:
        """The ids of a text, UTF-8."""
        return self._ask(f"encode {len(text)}", text)

    def encode_all(self, texts: Iterable[str]) -> list[list[int] | Refusal]:
        return [self.encode(text.encode()) for text in texts]

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, command: str, data: bytes) -> list[int] | Refusal:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command.encode() + b"\n" + data)
        self._process.stdin.flush()
        status, *words = self._process.stdout.readline().decode().rstrip("\n").split(" ")
        if status != "ok":
            return Refusal(" ".join(words[1:]))
        return [int(id) for id in np.frombuffer(self._process.stdout.read(4 * int(words[0])), "<i4")]
