"""One small real build for windows of six channels, made once per session through the command line, for many tests.

Motions of a smart watch, five shots of each of four. Only a head is fitted on fixed kernels, and only float is built,
so that it takes half a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import yaml
from chain import edgetl_offline, once
from cli_calls import Done
from this_cpu import INTEL_TARGET, X86_TARGET

TARGETS = (X86_TARGET, INTEL_TARGET, "arm64-cpu", *(["nvidia-rtx"] if find_spec("tensorrt_rtx") else []))


@dataclass(frozen=True)
class SeriesChain:
    """A finished build. `done` is the run that made it; `table` has the windows of both parts."""

    recipe: Path
    out: Path
    table: Path
    done: Done

    def bundle(self, target: str) -> Path:
        return self.out / "bundles" / f"motions-{target}"


def build_series(folder: Path, shared: Path, targets: Sequence[str] = TARGETS) -> SeriesChain:
    """Build without a network."""
    recipe, table = folder / "motions.yaml", shared / "data" / "smartwatch_motions" / "series.npz"
    settings = {
        "name": "motions",
        "front": "series",
        "data": {"train": str(table), "shots": 5},
        "check": {"features": False},
        "backbone": {"name": "minirocket"},
        "adapt": {"folds": 2, "views": 2},
        "quantize": {"method": "none"},
        "bench": {"emulated_images": 8, "cold_starts": 1},
        "targets": list(targets),
        "gates": {"max_drop_points": 5},
        "out": "build",
    }

    def build() -> Done:
        recipe.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return edgetl_offline("build", recipe)

    return SeriesChain(recipe, folder / "build", table, once(folder, build))
