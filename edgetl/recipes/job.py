"""The job of a run: the recipe with its targets, profile and paths resolved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.recipes.recipe import Recipe
from edgetl.recipes.targets import load_profile, load_target, scheme_id
from edgetl.types import CalibrationProfile, Scheme, Target

_OF_TEXTS = "text"
"""The calibration profile that `default` means for texts."""


@dataclass(frozen=True)
class Job:
    """A recipe with its targets, profile and paths resolved. Paths are absolute."""

    recipe: Recipe
    base: Path
    out: Path
    targets: tuple[Target, ...]
    profile: CalibrationProfile
    weights_dirs: tuple[Path, ...] = ()

    @property
    def weights_folders(self) -> tuple[Path, ...]:
        """Folders of weights from the command line, then those from the recipe."""
        own = (self.base / Path(name).expanduser() for name in self.recipe.backbone.weights_dir)
        return (*self.weights_dirs, *(folder.resolve() for folder in own))


def make_job(
    recipe: Recipe,
    base: Path,
    *,
    out: Path | None = None,
    targets_dirs: tuple[Path, ...] = (),
    calibration_dirs: tuple[Path, ...] = (),
    weights_dirs: tuple[Path, ...] = (),
) -> Job:
    """Look up the recipe's targets and calibration profile. Raises UsageError."""
    profile = _OF_TEXTS if (recipe.front, recipe.calibration) == ("text", "default") else recipe.calibration
    folder = out or base / (recipe.out or f"{recipe.name}-build")
    return Job(
        recipe=recipe,
        base=base.resolve(),
        out=folder.resolve(),
        targets=tuple(load_target(name, targets_dirs, recipe.front) for name in recipe.targets),
        profile=load_profile(profile, calibration_dirs),
        weights_dirs=tuple(folder.resolve() for folder in weights_dirs),
    )


def wants_float16(job: Job) -> bool:
    """Whether a target has float16 builds."""
    return any("float16" in target.precisions for target in job.targets)


def schemes_of(job: Job) -> dict[str, Scheme]:
    """The number schemes to train for, by name; none if the recipe asks only for float builds."""
    if job.recipe.quantize.method == "none":
        return {}
    return {scheme_id(target.scheme): target.scheme for target in job.targets if "int8" in target.precisions}
