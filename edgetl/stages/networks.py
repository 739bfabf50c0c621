"""The stages that make networks: adapting, simplifying, quantizing, and exporting them to the pivot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from edgetl.errors import UsageError
from edgetl.files.digest import file_digest, value_digest
from edgetl.fronts.image.augment_policy import resize_choices, resolve_policy
from edgetl.recipes.recipe import Gates
from edgetl.recipes.targets import scheme_id
from edgetl.stages.estimate import sentence, stage_seconds
from edgetl.stages.job import Job, schemes_of
from edgetl.stages.keys import TRAINING_TOOLS, samples_digest, versions
from edgetl.stages.keys import accuracy_gates as gate_values
from edgetl.stages.weights import Weights
from edgetl.store.records import QUANTIZE_RECORD
from edgetl.store.results import StageResult, Store
from edgetl.types import Progress, Split, Target


def adapt_stage(
    store: Store,
    job: Job,
    split: Split,
    progress: Progress,
    weights: Weights | None = None,
    until: str = "adapt",
) -> StageResult:
    """Fit a head, fine-tune the backbone, or both, on the shots. Says first how long all up to `until` will take."""
    from edgetl.data.groups import shot_keys

    recipe = job.recipe
    groups = shot_keys(recipe.data, job.base, split)
    weights = weights or Weights.of(job, progress)
    source = weights.source
    policy = resolve_policy(recipe.data.augment, split.classes)
    resizes = resize_choices(recipe.data.resize, split.resize, croppable=split.croppable)

    def run(out: Path) -> None:
        opened = weights.to_open()  # first: where they are gone, nothing heavy is imported to say so
        from edgetl.adapt import stage

        adapt_job = stage.AdaptJob(
            split=split,
            backbone=recipe.backbone,
            source=opened,
            config=recipe.adapt,
            augment=policy,
            resizes=resizes,
            cache=store.cache,
            groups=groups,
            plan=lambda macs, minutes, looks: sentence(stage_seconds(job, split, macs, minutes, looks), until),
        )
        stage.run(adapt_job, out, progress)

    config = {
        "adapt": recipe.adapt.model_dump(mode="json"),
        "backbone": recipe.backbone.identity(),
        "weights": source.kind,
        "augment": policy,
        "resizes": list(resizes),
        "tools": versions(TRAINING_TOOLS),
    }
    inputs = {"shots": samples_digest(split, split.shots), "weights": source.digest}
    inputs |= {"groups": value_digest(groups)} if groups else {}
    return store.once("adapt", 9, config, run, inputs=inputs)


def float_stage(store: Store, job: Job, split: Split, adapted: StageResult, progress: Progress) -> StageResult | None:
    """The float network's logits on the validation images, where a gate says what it has to reach; else None.

    They are what `export_stage` begins with: known earlier, no time is lost on a gate that is out of reach.
    """
    if job.recipe.gates.min_top1 is None and not job.recipe.gates.min_recall:
        return None

    def run(out: Path) -> None:
        from edgetl.pivot import reference

        reference.run(split, adapted.folder, out, progress)

    inputs = {"adapted": adapted.digest, "val": samples_digest(split, split.val)}
    return store.once("float", 1, {"tools": versions(TRAINING_TOOLS)}, run, inputs=inputs)


def gates_within_reach(job: Job, split: Split, floated: StageResult | None, progress: Progress) -> Gates:
    """The recipe's gates without those that the float network misses itself, which are told."""
    if floated is None:
        return job.recipe.gates
    import numpy as np

    from edgetl import stats
    from edgetl.pivot.float_logits import kept_logits
    from edgetl.tasks.classification import accuracy_gates

    labels = np.array([sample.label for sample in split.val], dtype=np.int64)
    right = np.asarray(kept_logits(floated.folder).argmax(axis=1) == labels)
    recalls = dict(zip(split.classes, stats.recalls(labels, right, right, len(split.classes)), strict=True))
    missed = accuracy_gates.missed_by_float(job.recipe.gates, float(right.mean()), recalls)
    if missed:
        progress.note(f"the float network itself has {' and '.join(missed)}: nothing is trained or repaired for that")
    return accuracy_gates.within_reach(job.recipe.gates, float(right.mean()), recalls)


def quantize_stage(
    store: Store, job: Job, split: Split, adapted: StageResult, scheme: str, gates: Gates, progress: Progress
) -> StageResult:
    """One training (or calibration) for one scheme, shared by the targets that have it.

    adapted  the adapt stage, or the surgery stage
    gates    those that the float network meets itself
    """
    numbers = schemes_of(job)[scheme]
    policy = resolve_policy(job.recipe.data.augment, split.classes)
    # a file of ranges is of the network as it was adapted
    given = job.recipe.quantize.ranges if adapted.stage == "adapt" else None
    ranges = job.base / given if given else None
    if ranges is not None and not ranges.is_file():
        raise UsageError(f"{ranges}: no such file of observed ranges (quantize.ranges)")

    def run(out: Path) -> None:
        from edgetl.quant import stage

        quantize = stage.QuantizeJob(
            split=split,
            adapted=adapted.folder,
            scheme=numbers,
            profile=job.profile,
            config=job.recipe.quantize,
            gates=gates,
            augment=policy,
            cache=store.cache / "ranges",
            ranges=ranges,
        )
        stage.run(quantize, out, progress)

    config = {
        "scheme": asdict(numbers),
        "profile": asdict(job.profile),
        # a file counts by its content
        "quantize": job.recipe.quantize.model_dump(mode="json", exclude={"ranges"}),
        "augment": policy,
        "tools": versions(TRAINING_TOOLS),
    }
    inputs = {"shots": samples_digest(split, split.shots), "adapted": adapted.digest}
    inputs |= {"ranges": file_digest(ranges)} if ranges else {}
    if job.recipe.quantize.method == "auto":
        config["gates"] = gate_values(gates)
        inputs["val"] = samples_digest(split, split.val)
    what = scheme if adapted.stage == "adapt" else f"{scheme}, {adapted.stage}"
    return store.once("quantize", 9, config, run, inputs=inputs, what=what)


def export_stage(
    store: Store,
    job: Job,
    split: Split,
    adapted: StageResult,
    quantized: Mapping[str, StageResult],
    progress: Progress,
    floated: StageResult | None = None,
) -> StageResult:
    """The pivot: ONNX models with the preprocessing inside, proven equal to the torch networks.

    floated  the float stage of the same network, whose logits need not be computed again
    """
    half = any("float16" in target.precisions for target in job.targets)

    def run(out: Path) -> None:
        from edgetl.pivot import stage

        folders = {name: result.folder for name, result in quantized.items()}
        known = floated.folder if floated else None
        stage.run(split, adapted.folder, folders, out, progress, half=half, known=known)

    inputs = {"adapted": adapted.digest, "val": samples_digest(split, split.val)}
    inputs |= {f"quantized-{name}": result.digest for name, result in quantized.items()}
    inputs |= {"shots": samples_digest(split, split.shots)} if half else {}
    config = {"half": half, "tools": versions((*TRAINING_TOOLS, "onnxruntime"))}
    return store.once("export", 6, config, run, inputs=inputs, what="" if adapted.stage == "adapt" else adapted.stage)


def needs_surgery(job: Job, target: Target, benched: StageResult, quantized: Mapping[str, StageResult]) -> bool:
    """Whether the target's INT8 build is slower than a float build here for parts that surgery replaces, and the
    recipe allows it."""
    from edgetl.bench.result import BENCH_FILE, read_bench
    from edgetl.stages.simplify_needed import is_needed

    made = quantized.get(scheme_id(target.scheme))
    if job.recipe.surgery.when == "off" or made is None:
        return False
    return is_needed(read_bench(benched.folder / BENCH_FILE), made.folder / QUANTIZE_RECORD, job.recipe.surgery)


def surgery_stage(store: Store, job: Job, split: Split, adapted: StageResult, progress: Progress) -> StageResult:
    """The adapted network without the parts that integer runtimes compute in floats."""
    policy = resolve_policy(job.recipe.data.augment, split.classes)

    def run(out: Path) -> None:
        from edgetl.quant.simplify import stage

        stage.run(split, adapted.folder, job.recipe.surgery, policy, out, progress)

    config = {
        "surgery": job.recipe.surgery.model_dump(mode="json", exclude={"when"}),
        "augment": policy,
        "tools": versions(TRAINING_TOOLS),
    }
    inputs = {"shots": samples_digest(split, split.shots), "adapted": adapted.digest}
    return store.once("surgery", 4, config, run, inputs=inputs)
