"""One function per stage of the chain: what it depends on (its key) and the code that runs it.

Nothing heavy is imported until a stage really runs, so that a build with nothing to do ends at once.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.catalog import load_profile, load_target, scheme_id
from edgetl.data.policy import resize_choices, resolve_policy
from edgetl.digest import file_digest, value_digest
from edgetl.errors import UsageError, WeightsError
from edgetl.recipe import Recipe
from edgetl.records import QUANTIZE_RECORD
from edgetl.store import StageResult, Store
from edgetl.types import CalibrationProfile, Precision, Progress, Sample, Scheme, Split, Target, WeightSource

if TYPE_CHECKING:
    from edgetl.report.devices import DeviceFile

TRAINING_TOOLS = (
    *("torch", "torchvision", "timm", "torchao", "scikit-learn", "onnxscript", "onnx"),
    *("pillow", "numpy"),  # what the pictures are decoded and resized with
)


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


def split_stage(store: Store, job: Job, progress: Progress) -> tuple[Split, StageResult]:
    """Read every image once and draw the few shots."""
    from edgetl.data.decoders import decoder_versions
    from edgetl.data.fingerprint import fingerprint
    from edgetl.data.split import read_split

    def run(out: Path) -> None:
        from edgetl.data import stage

        stage.run(job.recipe.data, job.base, out, progress)

    config = {
        "data": job.recipe.data.model_dump(mode="json"),
        "base": str(job.base),
        "decoders": decoder_versions(),  # which files can be read
    }
    result = store.once("data", 1, config, run, inputs={"images": fingerprint(job.recipe.data, job.base)})
    return read_split(result.folder / "split.json"), result


def check_stage(store: Store, job: Job, split: Split, progress: Progress) -> StageResult:
    """Look for leaks, wrong labels and drift. Where features cannot be computed, the rest is checked: the next stage
    says what is wrong with the weights, and the next run tries again."""
    source, obstacle = _weights_or_why(job)
    try:
        return _checked(store, job, split, source, obstacle, progress)
    except WeightsError as error:
        reason = f"features could not be computed: {error}"
    except ModuleNotFoundError as error:
        reason = f"features need the package {error.name}; run: pip install 'edgetl[train]'"
    return _checked(store, job, split, None, reason, progress)


def refuse_leaks(job: Job, checked: StageResult) -> None:
    """Raise DataError for what the check refused, unless `check.allow_leak` is set."""
    from edgetl.checks.model import FILE_NAME, read_checks, require_sound

    require_sound(read_checks(checked.folder / FILE_NAME), allow_leak=job.recipe.check.allow_leak)


def _checked(
    store: Store, job: Job, split: Split, source: WeightSource | None, obstacle: str, progress: Progress
) -> StageResult:
    from edgetl.data.decoders import decoder_versions

    recipe = job.recipe
    # what is allowed changes no finding
    settings = recipe.check.model_dump(mode="json", exclude={"allow_leak"})

    def run(out: Path) -> None:
        from edgetl.checks import stage

        check_job = stage.CheckJob(
            split=split,
            data=recipe.data,
            base=job.base,
            check=recipe.check,
            max_drop_points=recipe.gates.max_drop_points,
            backbone=recipe.backbone,
            source=source,
            obstacle=obstacle,
            cache=store.cache,
        )
        stage.run(check_job, out, progress)

    config = {
        "check": settings,
        "group_by": recipe.data.group_by,
        "seed": recipe.data.seed,
        "max_drop_points": recipe.gates.max_drop_points,
        "backbone": recipe.backbone.model_dump(mode="json"),
        "weights": source.kind if source else obstacle,
        "tools": _versions(("torch", "timm", "torchvision", "scikit-learn")),
        "decoders": decoder_versions(),
    }
    # findings name files, which the split's digest does not
    files = [[sample.path for sample in (*split.shots, *split.val)], [asdict(skipped) for skipped in split.skipped]]
    inputs = {"split": split.digest, "files": value_digest(files), "weights": source.digest if source else ""}
    return store.once("check", 2, config, run, inputs=inputs)


def _weights_or_why(job: Job) -> tuple[WeightSource | None, str]:
    try:
        return locate_weights(job), ""
    except WeightsError as error:
        return None, f"features could not be computed: {error}"


def adapt_stage(store: Store, job: Job, split: Split, progress: Progress) -> StageResult:
    """Fit a head, fine-tune the backbone, or both, on the shots."""
    from edgetl.data.groups import shot_keys

    recipe = job.recipe
    groups = shot_keys(recipe.data, job.base, split)
    source = locate_weights(job)
    policy = resolve_policy(recipe.data.augment, split.classes)
    resizes = resize_choices(recipe.data.resize, split.resize)

    def run(out: Path) -> None:
        from edgetl.adapt import stage

        adapt_job = stage.AdaptJob(
            split=split,
            backbone=recipe.backbone,
            source=source,
            config=recipe.adapt,
            augment=policy,
            resizes=resizes,
            cache=store.cache,
            groups=groups,
        )
        stage.run(adapt_job, out, progress)

    config = {
        "adapt": recipe.adapt.model_dump(mode="json"),
        "backbone": recipe.backbone.model_dump(mode="json"),
        "weights": source.kind,
        "augment": policy,
        "resizes": list(resizes),
        "tools": _versions(TRAINING_TOOLS),
    }
    inputs = {"shots": _samples_digest(split, split.shots), "weights": source.digest}
    inputs |= {"groups": value_digest(groups)} if groups else {}
    return store.once("adapt", 5, config, run, inputs=inputs)


def schemes_of(job: Job) -> dict[str, Scheme]:
    """The number schemes to train for, by name; none when the recipe asks for float builds only."""
    if job.recipe.quantize.method == "none":
        return {}
    return {scheme_id(target.scheme): target.scheme for target in job.targets if "int8" in target.precisions}


def quantize_stage(
    store: Store, job: Job, split: Split, adapted: StageResult, scheme: str, progress: Progress
) -> StageResult:
    """One training (or calibration) for one scheme, shared by the targets that have it.

    adapted  the adapt stage, or the surgery stage
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
            gates=job.recipe.gates,
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
        "tools": _versions(TRAINING_TOOLS),
    }
    inputs = {"shots": _samples_digest(split, split.shots), "adapted": adapted.digest}
    inputs |= {"ranges": file_digest(ranges)} if ranges else {}
    if job.recipe.quantize.method == "auto":
        config["gates"] = _accuracy_gates(job)
        inputs["val"] = _samples_digest(split, split.val)
    what = scheme if adapted.stage == "adapt" else f"{scheme}, {adapted.stage}"
    return store.once("quantize", 7, config, run, inputs=inputs, what=what)


def export_stage(
    store: Store, job: Job, split: Split, adapted: StageResult, quantized: Mapping[str, StageResult], progress: Progress
) -> StageResult:
    """The pivot: ONNX models with the preprocessing inside, proven equal to the torch networks."""
    half = any("float16" in target.precisions for target in job.targets)

    def run(out: Path) -> None:
        from edgetl.export import stage

        folders = {name: result.folder for name, result in quantized.items()}
        stage.run(split, adapted.folder, folders, out, progress, half=half)

    inputs = {"adapted": adapted.digest, "val": _samples_digest(split, split.val)}
    inputs |= {f"quantized-{name}": result.digest for name, result in quantized.items()}
    inputs |= {"shots": _samples_digest(split, split.shots)} if half else {}
    config = {"half": half, "tools": _versions((*TRAINING_TOOLS, "onnxruntime"))}
    return store.once("export", 5, config, run, inputs=inputs, what="" if adapted.stage == "adapt" else adapted.stage)


def precisions_of(pivot: StageResult, target: Target) -> tuple[Precision, ...]:
    """The builds to make for a target: those that the pivot has a model for."""
    from edgetl.graph.pivot import read_pivot
    from edgetl.graph.pivot_models import available

    return available(read_pivot(pivot.folder), target)


def compile_stage(
    store: Store, job: Job, target: Target, precision: Precision, pivot: StageResult, models: Path | None = None
) -> StageResult:
    """One build of the pivot for one target, as a complete bundle without measurements.

    models  the pivot folder to take the model from where `pivot` is a stage that holds it as a part of its result
    """
    from edgetl.backends.base import load

    name = f"{job.recipe.name}-{target.name}"

    def run(out: Path) -> None:
        from edgetl.assemble import compile_pivot

        compile_pivot(models or pivot.folder, target, precision, name, out)

    config = {
        "name": name,
        "target": asdict(target),
        "precision": precision,
        "backend_version": load(target.backend).version(),
        "tools": _versions(("edgetl", "onnx")),
    }
    return store.once("compile", 4, config, run, inputs={"pivot": pivot.digest}, what=f"{target.name} {precision}")


def bench_stage(
    store: Store,
    job: Job,
    split: Split,
    target: Target,
    builds: Sequence[StageResult],
    pivot: StageResult,
    progress: Progress,
) -> StageResult:
    """Accuracy and latency of every build of one target, on its own runtime, together so that they can be compared."""
    from edgetl.backends.base import load

    recipe, backend = job.recipe, load(target.backend)
    obstacle = backend.missing() or backend.cannot_run(target)

    def run(out: Path) -> None:
        from edgetl.bench import stage
        from edgetl.bundle.read import read_bundle
        from edgetl.graph.pivot import read_pivot

        bundles = [read_bundle(result.folder) for result in builds]
        bench = stage.BenchJob(
            target=target,
            candidates=tuple(stage.Candidate(bundle.folder, bundle.manifest.compiled) for bundle in bundles),
            val=split.val,
            preprocessing=read_pivot(pivot.folder).preprocessing,
            reference=pivot.folder / "reference.safetensors",
            config=recipe.bench,
            gates=recipe.gates,
            choose=recipe.choose,
            seed=recipe.data.seed,
        )
        stage.run(bench, out, progress)

    config = {
        "bench": recipe.bench.model_dump(mode="json"),
        "target": asdict(target),
        "here": _machine(),
        "obstacle": obstacle.reason if obstacle else "",
        "emulation": _emulation(recipe, target) if obstacle else None,
        "backend_version": backend.version(),
    }
    inputs = {"val": _samples_digest(split, split.val), "pivot": pivot.digest}
    inputs |= {f"build-{index}": result.digest for index, result in enumerate(builds)}
    return _once_measured(store, config, run, inputs, target.name)


def _once_measured(
    store: Store,
    config: Mapping[str, Any],
    run: Callable[[Path], None],
    inputs: Mapping[str, str],
    what: str,
    attempt: int = 0,
) -> StageResult:
    """The stored bench, or a new one: a stored one that was cut short (a time limit, an emulator that failed) does for
    the run that made it, and the next run measures again."""
    from edgetl.bench.result import BENCH_FILE, read_bench

    found = store.once("bench", 5, {**config, "attempt": attempt}, run, inputs=inputs, what=what)
    if found.reused and not read_bench(found.folder / BENCH_FILE).finished:
        return _once_measured(store, config, run, inputs, what, attempt + 1)
    return found


def _emulation(recipe: Recipe, target: Target) -> dict[str, Any] | None:
    """What emulated accuracies depend on besides builds and images; None where nothing is emulated."""
    from edgetl.bench import emulate

    if not (recipe.bench.emulate and emulate.takes(target)) or emulate.missing() is not None:
        return None
    # they decide which build ships, and that one is looked at on more images
    gates = recipe.gates.model_dump(mode="json")
    return {"emulator": emulate.identity(), "gates": gates, "choose": recipe.choose}


def needs_repair(job: Job, benched: StageResult) -> bool:
    """Whether the target's INT8 build missed an accuracy gate on its own runtime, and the recipe allows a repair."""
    from edgetl.bench.result import BENCH_FILE, read_bench
    from edgetl.repair.needed import is_needed

    return job.recipe.repair == "auto" and is_needed(read_bench(benched.folder / BENCH_FILE), job.recipe.gates)


def repair_stage(
    store: Store, job: Job, split: Split, target: Target, pivot: StageResult, progress: Progress
) -> StageResult:
    """The layers that must stay float for INT8 to pass on this target, and the model that has them."""
    from edgetl.backends.base import load

    recipe = job.recipe

    def run(out: Path) -> None:
        from edgetl.repair import stage

        repair = stage.RepairJob(
            target=target,
            pivot=pivot.folder,
            shots=split.shots,
            val=split.val,
            gates=recipe.gates,
            bench=recipe.bench,
            seed=recipe.data.seed,
            cache=store.cache / "blame",
        )
        stage.run(repair, out, progress)

    config = {
        "target": asdict(target),
        "gates": _accuracy_gates(job),
        "bench": recipe.bench.model_dump(mode="json"),
        "here": _machine(),
        "backend_version": load(target.backend).version(),
        "tools": _versions(("onnxruntime", "onnx")),
    }
    inputs = {"pivot": pivot.digest, "shots": _samples_digest(split, split.shots)}
    inputs["val"] = _samples_digest(split, split.val)
    return store.once("repair", 2, config, run, inputs=inputs, what=target.name)


def needs_surgery(job: Job, target: Target, benched: StageResult, quantized: Mapping[str, StageResult]) -> bool:
    """Whether the target's INT8 build is slower than a float build here for parts that surgery replaces, and the
    recipe allows it."""
    from edgetl.bench.result import BENCH_FILE, read_bench
    from edgetl.surgery.needed import is_needed

    made = quantized.get(scheme_id(target.scheme))
    if job.recipe.surgery.when == "off" or made is None:
        return False
    return is_needed(read_bench(benched.folder / BENCH_FILE), made.folder / QUANTIZE_RECORD, job.recipe.surgery)


def surgery_stage(store: Store, job: Job, split: Split, adapted: StageResult, progress: Progress) -> StageResult:
    """The adapted network without the parts that integer runtimes compute in floats."""
    policy = resolve_policy(job.recipe.data.augment, split.classes)

    def run(out: Path) -> None:
        from edgetl.surgery import stage

        stage.run(split, adapted.folder, job.recipe.surgery, policy, out, progress)

    config = {
        "surgery": job.recipe.surgery.model_dump(mode="json", exclude={"when"}),
        "augment": policy,
        "tools": _versions(TRAINING_TOOLS),
    }
    inputs = {"shots": _samples_digest(split, split.shots), "adapted": adapted.digest}
    return store.once("surgery", 2, config, run, inputs=inputs)


@dataclass(frozen=True)
class Finished:
    """What the stages before the report left: per number scheme, or per target name in the recipe's order.

    simplified  the surgery stage, for targets that have a build of its network
    """

    checked: StageResult
    adapted: StageResult
    quantized: Mapping[str, StageResult]
    pivot: StageResult
    built: Mapping[str, Sequence[StageResult]]
    benched: Mapping[str, StageResult]
    repaired: Mapping[str, StageResult]
    simplified: Mapping[str, StageResult]


def report_stage(store: Store, job: Job, split: Split, finished: Finished, done: Sequence[StageResult]) -> StageResult:
    """Verdicts, the bundles that ship, report.json and report.html. done  all stages, for the table of times"""
    checked, adapted, pivot = finished.checked, finished.adapted, finished.pivot

    def run(out: Path) -> None:
        from edgetl.reporting import Folders, write_reports

        folders = Folders(
            checked=checked.folder,
            adapted=adapted.folder,
            pivot=pivot.folder,
            quantized={name: (each.folder, _computing_in(job, name)) for name, each in finished.quantized.items()},
            builds={name: [result.folder for result in results] for name, results in finished.built.items()},
            benches={name: result.folder for name, result in finished.benched.items()},
            repairs={name: result.folder for name, result in finished.repaired.items()},
            surgeries={name: result.folder for name, result in finished.simplified.items()},
        )
        write_reports(job.recipe, split, folders, done, out)

    inputs = {"adapted": adapted.digest, "pivot": pivot.digest, "split": split.digest, "checked": checked.digest}
    inputs |= {f"quantized-{name}": result.digest for name, result in finished.quantized.items()}
    inputs |= {f"bench-{name}": result.digest for name, result in finished.benched.items()}
    for name, results in finished.built.items():
        inputs |= {f"build-{name}-{index}": result.digest for index, result in enumerate(results)}
    inputs |= {f"repair-{name}": result.digest for name, result in finished.repaired.items()}
    inputs |= {f"surgery-{name}": result.digest for name, result in finished.simplified.items()}
    config = {"recipe": job.recipe.model_dump(mode="json"), "tools": _versions(("edgetl",))}
    return store.once("report", 6, config, run, inputs=inputs)


def devices_stage(
    store: Store,
    split: Split,
    adapted: StageResult,
    pivot: StageResult,
    benched: Mapping[str, StageResult],
    reported: StageResult,
    devices: Sequence[DeviceFile],
) -> StageResult:
    """The report once more, with what was measured on devices."""

    def run(out: Path) -> None:
        from edgetl.reporting import add_devices

        benches = {name: result.folder for name, result in benched.items()}
        add_devices(reported.folder, split, adapted.folder, pivot.folder, benches, devices, out)

    config = {"devices": [asdict(file) for file in devices], "tools": _versions(("edgetl",))}
    return store.once("devices", 3, config, run, inputs={"report": reported.digest})


def locate_weights(job: Job) -> WeightSource:
    from edgetl.backbones.weights import locate

    return locate(job.recipe.backbone, job.base, job.weights_dirs)


def _machine() -> dict[str, Any]:
    # a measurement belongs to a machine: it is not used again on another
    from edgetl.bench.machine import describe

    here = describe()
    sets = list(here.instruction_sets)
    return {"machine": here.architecture, "node": platform.node(), "cpu": here.cpu, "instruction_sets": sets}


def _computing_in(job: Job, scheme: str) -> tuple[str, ...]:
    """Names of the targets whose INT8 builds have the number scheme."""
    found = [each for each in job.targets if "int8" in each.precisions and scheme_id(each.scheme) == scheme]
    return tuple(target.name for target in found)


def _accuracy_gates(job: Job) -> dict[str, float | None]:
    return {"max_drop_points": job.recipe.gates.max_drop_points, "min_top1": job.recipe.gates.min_top1}


def _samples_digest(split: Split, samples: tuple[Sample, ...]) -> str:
    return value_digest([list(split.classes), split.resize, [[sample.label, sample.sha256] for sample in samples]])


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found
