"""One small real build of a keyword spotter, made once per session through the command line, for many tests.

Four spoken digits of two speakers who do not occur in training; the network is the pretrained speech embedding, the
clips have 8 kHz and the network hears 16 kHz. Only the head is trained, so that it takes half a minute.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from chain import edgetl_offline, once
from cli_calls import Done
from this_cpu import INTEL_TARGET, X86_TARGET

WORDS = ("digit_1", "digit_4", "digit_6", "digit_8")
TARGETS = (X86_TARGET, INTEL_TARGET, "arm64-cpu", *(["nvidia-rtx"] if find_spec("tensorrt_rtx") else []))


@dataclass(frozen=True)
class SoundChain:
    """A finished build. `done` is the run that made it; `val` has the clips of its validation, by class."""

    recipe: Path
    out: Path
    val: Path
    done: Done

    def bundle(self, target: str) -> Path:
        return self.out / "bundles" / f"words-{target}"


def build_sounds(folder: Path, shared: Path, targets: Sequence[str] = TARGETS) -> SoundChain:
    """Copy the clips of the four words and build, without a network."""
    recipe = folder / "words.yaml"

    def build() -> Done:
        for part in ("train", "val"):
            for word in WORDS:
                shutil.copytree(shared / "data" / "spoken_digits" / part / word, folder / part / word)
        recipe.write_text(yaml.safe_dump(_recipe(shared, targets)), encoding="utf-8")
        return edgetl_offline("build", recipe)

    return SoundChain(recipe, folder / "build", folder / "val", once(folder, build))


def _recipe(shared: Path, targets: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "words",
        "front": "audio",
        "data": {"train": "train", "val": "val", "shots": 8, "group_by": r"_([a-z]+)_\d+\.wav$"},
        "backbone": {"name": "speech_embedding", "weights_dir": str(shared / "weights")},
        "adapt": {"strategy": "probe", "folds": 2, "views": 4},
        "quantize": {"method": "ptq"},
        "surgery": {"when": "off"},
        "bench": {"emulated_images": 8, "cold_starts": 1},
        "targets": list(targets),
        "gates": {"max_drop_points": 5},
        "out": "build",
    }
