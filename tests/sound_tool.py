"""`sound_tool`, the C++ half's sound behind a pipe."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]
    Floats = NDArray[np.float32]

NO_TABLE = np.zeros((1, 0), np.int16)
"""Of a recording that has the network's rate."""


@dataclass(frozen=True)
class Refusal:
    message: str


@dataclass(frozen=True)
class Window:
    """What the network hears of a recording at `from_hz`: `samples` at `to_hz`, through the table (L, T)."""

    from_hz: int
    to_hz: int
    table: Samples
    samples: int


class SoundTool:
    """One process that answers one command after the other."""

    def __init__(self, program: Path, emulator: Sequence[str | Path] = ()) -> None:
        self._process = subprocess.Popen([*emulator, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def decode(self, file: bytes, name: str = "clip.wav") -> tuple[int, Samples] | Refusal:
        """The rate, and the samples."""
        status, words = self._ask(f"decode {len(file)} {name}", file)
        if status != "ok":
            return Refusal(" ".join(words[1:]))
        return int(words[0]), self._samples(int(words[1]))

    def window(self, clip: Samples, window: Window) -> Samples:
        words = f"window {window.from_hz} {window.to_hz} {window.table.shape[1]} {window.samples} {len(clip)}"
        return self._samples(self._count(words, window.table.tobytes() + clip.tobytes()))

    def stream(self, clip: Samples, window: Window, hop: int, piece: int) -> Samples:
        """(windows, samples), of samples that come in pieces."""
        head = f"stream {window.from_hz} {window.to_hz} {window.table.shape[1]}"
        words = f"{head} {window.samples} {hop} {piece} {len(clip)}"
        found = self._samples(self._count(words, window.table.tobytes() + clip.tobytes()))
        return found.reshape(-1, window.samples)

    def spot(
        self, logits: Floats, thresholds: Floats, smoothing: int, refractory: int, window: int, hop: int
    ) -> tuple[Floats, NDArray[np.int32]]:
        """The means (H, C) of logits (H, C), and the class detected after each window, -1 for none."""
        windows, classes = logits.shape
        words = f"spot {classes} {windows} {smoothing} {refractory} {window} {hop}"
        self._count(words, thresholds.tobytes() + logits.tobytes())
        record = np.dtype([("means", "<f4", classes), ("detected", "<i4")])
        assert self._process.stdout is not None
        found = np.frombuffer(self._process.stdout.read(windows * record.itemsize), record)
        return found["means"], found["detected"]

    def close(self) -> None:
        self._process.communicate()

    def _count(self, command: str, data: bytes) -> int:
        status, words = self._ask(command, data)
        assert status == "ok"
        return int(words[0])

    def _samples(self, count: int) -> Samples:
        assert self._process.stdout is not None
        return np.frombuffer(self._process.stdout.read(2 * count), "<i2")

    def _ask(self, command: str, data: bytes) -> tuple[str, list[str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command.encode() + b"\n" + data)
        self._process.stdin.flush()
        status, *words = self._process.stdout.readline().decode().rstrip("\n").split(" ")
        return status, words
