"""`picture_tool`, the C++ half's decoder and resizer behind a pipe, and random work for it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.errors import DataError
from edgetl.fronts.image.resize import resize
from edgetl.types import ImagePreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Refusal:
    message: str


class Tool:
    """`picture_tool`: one process that answers one command after the other."""

    def __init__(self, program: Path, emulator: Sequence[str | Path] = ()) -> None:
        self._process = subprocess.Popen([*emulator, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def resize(
        self, pixels: NDArray[np.uint8], p: ImagePreprocessing, *, layout: str = "rgb", padding: int = 0
    ) -> NDArray[np.uint8] | Refusal:
        height, width = pixels.shape[:2]
        rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)), constant_values=77)
        words = (
            width,
            height,
            layout,
            padding,
            p.resize,
            p.height,
            p.width,
            p.interpolation,
            p.crop_pct.hex(),
            *p.fill,
        )
        return self._ask("resize " + " ".join(map(str, words)), rows.tobytes())

    def decode(self, data: bytes, name: str = "picture") -> NDArray[np.uint8] | Refusal:
        return self._ask(f"decode {len(data)} {name}", data)

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, command: str, data: bytes) -> NDArray[np.uint8] | Refusal:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command.encode() + b"\n" + data)
        self._process.stdin.flush()
        answer = self._process.stdout.readline().decode().rstrip("\n")
        if answer.startswith("error "):
            return Refusal(answer.split(" ", 2)[2])
        _, width, height = answer.split(" ")
        size = int(width) * int(height) * 3
        return np.frombuffer(self._process.stdout.read(size), np.uint8).reshape(int(height), int(width), 3)


def assert_same(found: NDArray[np.uint8] | Refusal, expected: NDArray[np.uint8], what: str = "") -> None:
    assert not isinstance(found, Refusal), f"{what}: {found}"
    assert found.shape == expected.shape, what
    step = int(np.abs(found.astype(np.int16) - expected).max())
    assert step == 0, f"{what}: differs by {step} at {np.argwhere(found != expected)[0]}"


def random_preprocessing(rng: np.random.Generator, longest: int) -> ImagePreprocessing:
    return ImagePreprocessing(
        height=int(rng.integers(1, longest)),
        width=int(rng.integers(1, longest)),
        resize=str(rng.choice(["squash", "crop", "letterbox", "letterbox-corner"])),  # type: ignore[arg-type]
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        crop_pct=float(rng.choice([0.875, 0.95, 1.0, float(rng.uniform(0.05, 1.0))])),
        interpolation=str(rng.choice(["bilinear", "bicubic"])),  # type: ignore[arg-type]
        fill=(int(rng.integers(256)), int(rng.integers(256)), int(rng.integers(256))),
    )


def noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    extremes = rng.random() < 0.3  # bicubic overshoots most between 0 and 255
    return (
        rng.integers(0, 2, (height, width, 3)) * 255 if extremes else rng.integers(0, 256, (height, width, 3))
    ).astype(np.uint8)


def assert_resized_alike(tool: Tool, pixels: NDArray[np.uint8], p: ImagePreprocessing) -> bool:
    """Both refuse it, or both give the same bytes; whether they gave any."""
    found = tool.resize(pixels, p)
    try:
        expected = resize(pixels, p)
    except DataError as error:
        reason = str(error)
    else:
        assert_same(found, expected, f"{pixels.shape} {p}")
        return True
    assert found == Refusal(reason)
    return False


def side(rng: np.random.Generator) -> int:
    return int(np.exp(rng.uniform(0.0, np.log(700.0))))
