"""The sets and cells of `detection.py`: one way of training a detector on one draw of one set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgetl.errors import EdgetlError
from edgetl.types import Interval

Shots = int | Literal["all"]
AUTO, PLAIN, IMAGENET = "auto", "plain", "imagenet"
WAYS = (AUTO, PLAIN, IMAGENET)
DRAWS_OF_IMAGES = 200
"""Bootstrap draws that a cell keeps. The same set has the same ones in every cell, so differences are paired."""


@dataclass(frozen=True)
class Network:
    """name, side  of `backbone`;  weights  folder of them, if it has another name"""

    name: str
    side: int
    weights: str = ""


MOBILENET = Network("mobilenetv2_100", 320)
YOLOX = Network("yolox_nano", 416, "yolox_nano_coco")


@dataclass(frozen=True)
class Set:
    """train, val  files in its folder;  augment  what its images allow;  network  what `auto` starts from"""

    train: str = "train.json"
    val: str = "val.json"
    augment: str = "auto"
    network: Network = MOBILENET


_COCO = Set("train2017.json", "val2017.json")
SETS: dict[str, Set] = {
    "bccd_detection": Set(augment="overhead"),
    "neu_steel": Set("boxes_train.json", "boxes_val.json", "overhead"),
    "raccoon": Set(augment="natural", network=YOLOX),
    "pcb_defects": Set(augment="overhead", network=YOLOX),
}


@dataclass(frozen=True)
class Draw:
    """Draw `seed` of `shots` objects per class; all of the set's validation images are measured."""

    dataset: str
    shots: Shots
    seed: int

    def section(self, data: Path) -> dict[str, Any]:
        """The `data` section of a recipe. Raises EdgetlError if the set is missing."""
        known, folder = (SETS | {"coco_samples": _COCO})[self.dataset], (data / self.dataset).resolve()
        if not (folder / known.train).is_file():
            raise EdgetlError(f"{folder / known.train}: expected the annotations of {self.dataset}; found no such file")
        return {
            "train": str(folder / known.train),
            "val": str(folder / known.val),
            "shots": self.shots,
            "seed": self.seed,
            "augment": known.augment,
        }


@dataclass(frozen=True)
class Key:
    """Identifies a cell. `version` names the way's code and settings."""

    dataset: str
    shots: Shots
    draw: int
    way: str
    network: str
    version: str


@dataclass(frozen=True)
class Cell:
    """The result of one cell.

    ap           AP50-95, a fraction, with its interval over validation images;  ap50  the same at one overlap
    drawn        AP of `DRAWS_OF_IMAGES` draws of the validation images
    images       validation images;  shots  training images
    seconds      wall time of training alone, on `threads` threads;  cpu_seconds  of all cores
    load         of the machine when it began
    chosen       what `auto` chose, or how a plain training ended
    made_with    `result_file.made_here`
    """

    key: Key
    ap: Interval
    ap50: Interval
    drawn: tuple[float, ...]
    images: int
    shots: int
    seconds: float
    cpu_seconds: float
    threads: int
    load: float | None
    chosen: str
    made_with: str


def plan(
    datasets: Sequence[str],
    shots: Sequence[Shots],
    draws: Iterable[int],
    ways: Sequence[str],
    versions: Mapping[str, str],
) -> list[Key]:
    """All cells in the order they are made: the first draw of everything before the second."""
    found = []
    for draw in draws:
        for count in shots:
            for way in ways:
                found += [Key(name, count, draw, way, network.name, versions[way]) for name in datasets
                          if (network := network_of(name, way))]  # fmt: skip
    return found


def network_of(dataset: str, way: str) -> Network | None:
    """None if the way adds nothing: `auto` starts from ImageNet anyway."""
    usual = SETS[dataset].network
    if way != IMAGENET:
        return usual
    return None if usual == MOBILENET else MOBILENET
