"""Folders of small pictures to draw splits from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from edgetl.fronts.image.decode import UnreadableImage
from edgetl.fronts.image.examine import Seen
from edgetl.types import Split


def picture(path: Path, seed: int, size: tuple[int, int] = (6, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def folder(root: Path, counts: Mapping[str, int], offset: int = 0) -> Path:
    for k, (name, count) in enumerate(counts.items()):
        for i in range(count):
            picture(root / name / f"{i}.png", offset + 1000 * k + i)
    return root


def names(split: Split, root: Path) -> tuple[list[str], list[str]]:
    shots = [str(Path(sample.path).relative_to(root)) for sample in split.shots]
    return shots, [str(Path(sample.path).relative_to(root)) for sample in split.val]


def reasons(split: Split) -> dict[str, str]:
    return {Path(skipped.path).name: skipped.reason for skipped in split.skipped}


def grouped(root: Path, classes: str = "ab", groups: int = 4, each: int = 3) -> Path:
    for k, name in enumerate(classes):
        for i in range(groups * each):
            picture(root / name / f"video{i // each}_{i}.png", 1000 * k + i)
    return root


def videos(split: Split) -> tuple[set[str], set[str]]:
    shots, val = ({Path(sample.path).name.split("_")[0] for sample in part} for part in (split.shots, split.val))
    return shots, val


def fake_look(path: Path) -> Seen:
    data = path.read_bytes()
    if data.startswith(b"broken"):
        raise UnreadableImage(str(path), "broken")
    return Seen(4, 4)
