"""One function per stage of the chain: what it depends on (its key) and the code that runs it.

Nothing heavy is imported until a stage really runs, so that a build with nothing to do ends at once.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgetl.catalog import load_profile, load_target, scheme_id
from edgetl.digest import value_digest
from edgetl.recipe import Recipe
from edgetl.store import StageResult, Store
from edgetl.types import CalibrationProfile, Precision, Progress, Sample, Split, Target, WeightSource

TRAINING_TOOLS = ("torch", "torchvision", "timm", "torchao", "scikit-learn", "onnxscript", "onnx")


@dataclass(frozen=True)
class Job:
    """A recipe with everything it names looked up. Paths are absolute."""

    recipe: Recipe
    base: Path
    out: Path
    targets: tuple[Target, ...]
    profile: CalibrationProfile
    weights_dirs: tuple[Path, ...] = ()


def make_job(
    recipe: Recipe,
    base: Path,
    *,
    out: Path | None = None,
    targets_dirs: tuple[Path, ...] = (),
    calibration_dirs: tuple[Path, ...] = (),
    weights_dirs: tuple[Path, ...] = (),
) -> Job:
    """Look up the targets and the calibration profile a recipe names. Raises UsageError."""
    folder = out or base / (recipe.out or f"{recipe.name}-build")
    return Job(
        recipe=recipe,
        base=base.resolve(),
        out=folder.resolve(),
        targets=tuple(load_target(name, targets_dirs) for name in recipe.targets),
        profile=load_profile(recipe.calibration, calibration_dirs),
        weights_dirs=tuple(folder.resolve() for folder in weights_dirs),
    )


@dataclass(frozen=True)
class SplitStage:
    """The split with the stage that made it."""

    split: Split
    result: StageResult


def split_stage(store: Store, job: Job, progress: Progress) -> SplitStage:
    """Read every image once and draw the few shots."""
    from edgetl.data.split import fingerprint, read_split

    def run(out: Path) -> None:
        from edgetl.data import stage

        stage.run(job.recipe.data, job.base, out, progress)

    config = {"data": job.recipe.data.model_dump(mode="json"), "base": str(job.base)}
    result = store.once("data", 1, config, run, inputs={"images": fingerprint(job.recipe.data, job.base)})
    return SplitStage(read_split(result.folder / "split.json"), result)


def adapt_stage(store: Store, job: Job, split: Split, progress: Progress) -> StageResult:
    """Fine-tune the backbone on the shots."""
    source = locate_weights(job)
    policy = augment_policy(job, split)

    def run(out: Path) -> None:
        from edgetl.adapt import stage

        stage.run(split, job.recipe.backbone, source, job.recipe.adapt, policy, out, progress)

    config = {
        "adapt": job.recipe.adapt.model_dump(mode="json"),
        "backbone": job.recipe.backbone.model_dump(mode="json"),
        "weights": source.kind,
        "augment": policy,
        "tools": _versions(TRAINING_TOOLS),
    }
    inputs = {"shots": _samples_digest(split, split.shots), "weights": source.digest}
    return store.once("adapt", 1, config, run, inputs=inputs)


def quantize_stages(
    store: Store, job: Job, split: Split, adapted: StageResult, progress: Progress
) -> dict[str, StageResult]:
    """One training per scheme, shared by the targets that have it; none when the recipe asks for float only."""
    if job.recipe.quantize.method == "none":
        return {}
    schemes = {scheme_id(t.scheme): t.scheme for t in job.targets if "int8" in t.precisions}
    policy = augment_policy(job, split)
    results: dict[str, StageResult] = {}
    for identity, scheme in schemes.items():

        def run(out: Path, scheme: Any = scheme) -> None:
            from edgetl.quant import stage

            stage.run(split, adapted.folder, scheme, job.profile, job.recipe.quantize, policy, out, progress)

        config = {
            "scheme": asdict(scheme),
            "profile": asdict(job.profile),
            "quantize": job.recipe.quantize.model_dump(mode="json"),
            "augment": policy,
            "tools": _versions(TRAINING_TOOLS),
        }
        inputs = {"shots": _samples_digest(split, split.shots), "adapted": adapted.digest}
        results[identity] = store.once("quantize", 1, config, run, inputs=inputs)
    return results


def export_stage(
    store: Store, split: Split, adapted: StageResult, quantized: Mapping[str, StageResult], progress: Progress
) -> StageResult:
    """The pivot: ONNX models with the preprocessing inside, proven equal to the torch networks."""

    def run(out: Path) -> None:
        from edgetl.export import stage

        stage.run(split, adapted.folder, {name: result.folder for name, result in quantized.items()}, out, progress)

    inputs = {"adapted": adapted.digest, "val": _samples_digest(split, split.val)}
    inputs |= {f"quantized-{name}": result.digest for name, result in quantized.items()}
    return store.once("export", 1, {"tools": _versions((*TRAINING_TOOLS, "onnxruntime"))}, run, inputs=inputs)


def precisions_of(job: Job, target: Target) -> tuple[Precision, ...]:
    """The builds to make for a target."""
    wanted = job.recipe.quantize.method != "none"
    return tuple(p for p in target.precisions if p != "int8" or wanted)


def compile_stage(store: Store, job: Job, target: Target, precision: Precision, pivot: StageResult) -> StageResult:
    """One build of the pivot for one target, as a complete bundle without measurements."""
    from edgetl.backends.base import load

    name = f"{job.recipe.name}-{target.name}"

    def run(out: Path) -> None:
        from edgetl.assemble import compile_pivot

        compile_pivot(pivot.folder, target, precision, name, out)

    config = {
        "name": name,
        "target": asdict(target),
        "precision": precision,
        "backend_version": load(target.backend).version(),
        "tools": _versions(("edgetl", "onnx")),
    }
    return store.once("compile", 1, config, run, inputs={"pivot": pivot.digest})


def locate_weights(job: Job) -> WeightSource:
    from edgetl.backbones.weights import locate

    return locate(job.recipe.backbone, job.base, job.weights_dirs)


def augment_policy(job: Job, split: Split) -> str:
    """The recipe's training views, `auto` decided from the class names."""
    from edgetl.data.policy import resolve_policy

    return resolve_policy(job.recipe.data.augment, split.classes)


def machine_key() -> dict[str, Any]:
    """What a measurement belongs to: it is not reused on another CPU."""
    return {"machine": platform.machine(), "node": platform.node(), "cpu": _cpu_model()}


def split_digests(split: Split) -> str:
    return value_digest([_samples_digest(split, split.shots), _samples_digest(split, split.val)])


def _samples_digest(split: Split, samples: tuple[Sample, ...]) -> str:
    return value_digest([list(split.classes), split.resize, [[sample.label, sample.sha256] for sample in samples]])


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
