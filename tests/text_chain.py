"""One small real build of a text classifier, made once per session through the command line, for many tests.

News of two topics in a CSV table; the network is a small language model that was trained on children's stories, so the
accuracy is modest and the build takes less than a minute.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from chain import edgetl_offline, once
from cli_calls import Done
from this_cpu import INTEL_TARGET, X86_TARGET

TOPICS = ("business", "sports")
TARGETS = (X86_TARGET, INTEL_TARGET, "arm64-cpu", *(["nvidia-rtx"] if find_spec("tensorrt_rtx") else []))
_PER_TOPIC = {"train": 30, "val": 40}


@dataclass(frozen=True)
class TextChain:
    """A finished build. `done` is the run that made it; `val` is the table of its validation."""

    recipe: Path
    out: Path
    val: Path
    done: Done

    def bundle(self, target: str) -> Path:
        return self.out / "bundles" / f"news-{target}"


def build_texts(folder: Path, shared: Path, targets: Sequence[str] = TARGETS) -> TextChain:
    """Copy the news of two topics and build, without a network."""
    recipe = folder / "news.yaml"

    def build() -> Done:
        for part, count in _PER_TOPIC.items():
            _copy(shared / "data" / "text" / f"agnews_{part}.csv", folder / f"{part}.csv", count)
        recipe.write_text(yaml.safe_dump(_recipe(shared, targets)), encoding="utf-8")
        return edgetl_offline("build", recipe)

    return TextChain(recipe, folder / "build", folder / "val.csv", once(folder, build))


def _copy(source: Path, table: Path, count: int) -> None:
    """The first `count` rows of each topic."""
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        for topic in TOPICS:
            writer.writerows([row["label"], row["text"]] for row in [r for r in rows if r["label"] == topic][:count])


def _recipe(shared: Path, targets: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "news",
        "front": "text",
        "data": {"train": "train.csv", "val": "val.csv", "shots": 30},
        "text": {"max_tokens": 128},
        "backbone": {"name": "stories260k", "weights_dir": str(shared / "weights")},
        "adapt": {"strategy": "probe", "folds": 2, "sanity": "warn"},
        "quantize": {"method": "ptq"},
        "bench": {"emulated_images": 8, "cold_starts": 1},
        "targets": list(targets),
        "gates": {"max_drop_points": 10},
        "check": {"features": False},
        "out": "build",
    }
