"""Small different pictures in folders, without any meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(folder: Path, counts: dict[str, int]) -> Path:
    """`counts` pictures per sub-folder; equal calls write equal files."""
    generator = np.random.default_rng(len(counts))
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(generator.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(
                folder / name / f"{index}.png"
            )
    return folder
