"""The networks of `detection.py`: recipes of one draw, the adapt stage as a build runs it, and the plain training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from detection_cells import Draw, Network
from detection_plain import train_plainly

# imported here so that the first cell's time holds no imports
import edgetl.adapt.detection.adapt  # noqa: F401
from edgetl.adapt.detection.record import read_detector_adapt
from edgetl.adapt.detection.shots import Shots
from edgetl.backbones.weights import locate
from edgetl.files.durable import write_text
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.pivot.adapted import NETWORK_SPEC, NETWORK_STATE
from edgetl.recipes.job import Job, make_job
from edgetl.recipes.recipe_file import load_recipe
from edgetl.recipes.run import Run
from edgetl.stages.adapt import adapt_stage
from edgetl.stages.split import split_stage
from edgetl.store.results import open_store
from edgetl.tasks.detection.networks.base import Detector
from edgetl.tasks.detection.networks.build import build, rebuild
from edgetl.tasks.detection.spec import DetectorSpec, read_detector_spec
from edgetl.types import Silent, Split


@dataclass(frozen=True)
class Trained:
    """chosen  which way `auto` chose, or how a plain training ended"""

    detector: Detector
    spec: DetectorSpec
    chosen: str


def detection_job(
    data: Path, weights: Path, draw: Draw, network: Network, folder: Path,
    overrides: tuple[str, ...] = (), targets: tuple[str, ...] = ("x86-cpu",),
) -> Job:  # fmt: skip
    """A recipe of defaults, read back from a file, so that overrides mean what they mean to `edgetl build --set`."""
    backbone: dict[str, Any] = {"name": network.name, "input_size": network.side}
    if network.weights:
        backbone["weights"] = str((weights / network.weights / "model.safetensors").resolve())
    raw = {
        "name": draw.dataset,
        "task": "detection",
        "data": draw.section(data),
        # published sets have near copies on both sides, for all ways alike
        "check": {"allow_leak": True, "features": False},
        "backbone": backbone,
        "targets": list(targets),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    write_text(path, yaml.safe_dump(raw, sort_keys=False))
    return make_job(load_recipe(path, overrides), folder, out=folder / "out", weights_dirs=(weights.resolve(),))


def split_of(job: Job) -> Split:
    """The shots and the validation images. Raises EdgetlError."""
    with open_store(job.out) as store:
        return split_stage(store, job, Silent())[0]


def adapted(job: Job, split: Split) -> Trained:
    """The detector that `auto` trains. Raises EdgetlError."""
    with open_store(job.out) as store:
        stage = adapt_stage(Run(store, job, split, Silent()))
    spec = read_detector_spec(stage.folder / NETWORK_SPEC)
    chosen = read_detector_adapt(stage.folder).chosen
    held = "" if chosen.utility is None else f"; {chosen.utility.value:.3f} on held-out shots"
    return Trained(rebuild(spec, stage.folder / NETWORK_STATE), spec, chosen.name + held)


def trained_plainly(job: Job, split: Split, steps: int) -> Trained:
    """The same network from the same weights, trained as its own library does. Raises EdgetlError."""
    recipe = job.recipe
    source = locate(recipe.backbone, job.base, job.weights_dirs)
    with open_store(job.out) as store:
        resize = resizes_of(Run(store, job, split, Silent()))[0]
    detector, spec, audit = build(recipe.backbone, recipe.detector, source, len(split.classes), resize)
    shots = Shots(split.shots, spec.preprocessing)
    ended = train_plainly(detector, spec, audit.new, shots, steps, recipe.data.seed)
    return Trained(detector, spec, ended)
