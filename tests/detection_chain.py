"""One small real build of a detector, made once per session through the command line, and looked at by many tests.

Scans of three digits of the demo lie on gray pages; the backbone is the one in the package. Everything is real, nothing
takes long, and no more is asked of the detector than that it finds something.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from chain import DIGITS, edgetl_offline, once, write_recipe
from cli_calls import Done
from PIL import Image
from this_cpu import INTEL_TARGET, X86_TARGET

SIDE, CELL = 96, 32
TARGETS = (X86_TARGET, INTEL_TARGET, *(["nvidia-rtx"] if find_spec("tensorrt_rtx") else []))


@dataclass(frozen=True)
class DetectionChain:
    """A finished build. `done` is the run that made it."""

    recipe: Path
    out: Path
    done: Done

    @property
    def pages(self) -> Path:
        return self.recipe.parent / "val"

    def bundle(self, target: str) -> Path:
        return self.out / "bundles" / f"pages-{target}"


def build_detection(folder: Path, targets: Sequence[str]) -> DetectionChain:
    """Draw the pages and build, without a network."""
    recipe = folder / "pages.yaml"

    def build() -> Done:
        write_recipe(folder, targets)  # for the scans
        write_pages(folder)
        recipe.write_text(yaml.safe_dump(_recipe(targets)), encoding="utf-8")
        return edgetl_offline("build", recipe)

    return DetectionChain(recipe, folder / "build", once(folder, build))


def _recipe(targets: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "pages",
        "task": "detection",
        "data": {"train": "train.json", "val": "val.json", "shots": 12, "augment": "none", "resize": "squash"},
        "backbone": {"name": "edgetl:printed_characters", "input_size": SIDE},
        "detector": {"width": 24},
        "adapt": {"strategy": "probe", "folds": 2, "epochs": 8},
        "quantize": {"method": "ptq"},
        "surgery": {"when": "off"},
        "targets": list(targets),
        # generous: whether such a detector is good is not asked here
        "gates": {"max_drop_points": 30},
        "bench": {"cold_starts": 1},
        "out": "build",
    }


def write_pages(folder: Path) -> None:
    """`train` and `val` with 16 pages each, and their annotations in COCO's form."""
    rng = np.random.default_rng(0)
    scans = {digit: sorted((folder / "scans" / digit).iterdir()) for digit in DIGITS}
    for part in ("train", "val"):
        (folder / part).mkdir()
        images: list[dict[str, Any]] = []
        objects: list[dict[str, Any]] = []
        for number in range(1, 17):
            page = np.full((SIDE, SIDE), 200, np.uint8)
            for cell in rng.permutation(9)[: 1 + number % 4]:
                label = int(rng.integers(len(DIGITS)))
                files = scans[DIGITS[label]]
                scan = Image.open(files[int(rng.integers(len(files)))]).convert("L").resize((24, 24))
                x, y = (int(place) * CELL + int(rng.integers(0, CELL - 24)) for place in divmod(int(cell), 3))
                page[y : y + 24, x : x + 24] = np.asarray(scan)
                objects.append(
                    {
                        "id": len(objects) + 1,
                        "image_id": number,
                        "category_id": label + 1,
                        "bbox": [x, y, 24, 24],
                        "area": 576,
                        "iscrowd": 0,
                    }
                )
            Image.fromarray(page).save(folder / part / f"{number:02}.png")
            images.append({"id": number, "file_name": f"{number:02}.png", "height": SIDE, "width": SIDE})
        categories = [{"id": place + 1, "name": digit} for place, digit in enumerate(DIGITS)]
        content = {"images": images, "annotations": objects, "categories": categories}
        (folder / f"{part}.json").write_text(json.dumps(content), encoding="utf-8")
