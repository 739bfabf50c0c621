"""The demo: real transfer learning with data that can ship: printed characters -> handwritten digits, ten shots a
class.

The backbone in the package was pretrained on characters rendered from fonts; the target data are scikit-learn's 1,797
real 8 x 8 scans (E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, CC BY 4.0).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from edgetl.backends.base import about
from edgetl.backends.base import load as load_backend
from edgetl.errors import StoreError
from edgetl.files.durable import put, write_text
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.recipes.targets import load_target, target_names
from edgetl.types import Progress

BACKBONE = "edgetl:printed_characters"
SHOTS = 10
SCANS = "scans"
RECIPE = "recipe.yaml"
BUILD = "build"


def demo_recipe() -> Recipe:
    """The recipe of the demo, for every target that can be compiled on this machine."""
    backends = {name: load_target(name).backend for name in target_names()}
    usable = [
        name
        for name, backend in backends.items()
        if not about(backend).gives_zeros and load_backend(backend).missing() is None
    ]
    raw = {
        "name": "digits",
        "data": {"train": SCANS, "shots": SHOTS, "augment": "text", "resize": "squash"},
        "backbone": {"name": BACKBONE},
        # the new head wins; one way of fine-tuning shows that the search looked further
        "adapt": {"budget_minutes": 0.5},
        "targets": usable,
        "gates": {"min_top1": 0.95, "max_drop_points": 1.0},
        "out": BUILD,
    }
    return parse_recipe(raw, where="demo")


def write_demo(folder: Path, progress: Progress) -> Path:
    """Write the scans as PNG files, one sub-folder per digit, and the recipe; existing files are kept.

    returns  the recipe's path.
    raises   StoreError if `folder` contains anything but an earlier demo.
    """
    _refuse_foreign(folder)
    if not (folder / SCANS).is_dir():
        _write_scans(folder / SCANS, progress)
    path = folder / RECIPE
    if not path.exists():
        text = yaml.safe_dump(demo_recipe().model_dump(mode="json", exclude_unset=True), sort_keys=False)
        write_text(path, text)
    return path


def _refuse_foreign(folder: Path) -> None:
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    foreign = sorted(present - {SCANS, f"{SCANS}.part", RECIPE, f"{RECIPE}.part", BUILD})
    if RECIPE in present and SCANS not in present:
        foreign = [RECIPE]  # a user's folder: the demo writes its recipe last
    if foreign:
        raise StoreError(
            f"{folder}: contains {foreign[0]}, which does not belong to the demo; choose an empty or new one with --out"
        )


def _write_scans(folder: Path, progress: Progress) -> None:
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    scratch = folder.with_name(folder.name + ".part")
    with progress.task("writing 1,797 scans", len(digits.images)) as advance:
        for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            path = scratch / str(label) / f"{index:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            # the scans count 0..16 dark pixels per cell
            Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8)).save(path)
            advance()
    put(scratch, folder)
