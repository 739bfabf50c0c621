"""The surgery stage: the network without the parts that make INT8 slower than float, and whether it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgetl.backends.base import about
from edgetl.bench.result import TargetBench
from edgetl.fronts.views import augment_of
from edgetl.quant.record import read_quantize
from edgetl.recipes.recipe import Surgery
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.stages.keys import TRAINING_TOOLS, samples_digest, versions
from edgetl.store.results import StageResult
from edgetl.types import Target
from edgetl.types.findings import Replaceable


def surgery_stage(run: Run, adapted: StageResult) -> StageResult:
    """The adapted network without the parts that INT8 runtimes compute in float."""

    def make(out: Path) -> None:
        from edgetl.quant.simplify.simplify import simplify_network

        simplify_network(run, adapted.folder, out)

    config = {
        "surgery": run.job.recipe.surgery.model_dump(mode="json", exclude={"when"}),
        "augment": augment_of(run),
        "tools": versions(TRAINING_TOOLS),
    }
    inputs = {"shots": samples_digest(run.split, run.split.shots), "adapted": adapted.digest}
    return run.store.once("surgery", 4, config, make, inputs=inputs)


def needs_surgery(run: Run, target: Target, benched: StageResult, quantized: Mapping[str, StageResult]) -> bool:
    """Whether the target's INT8 build is slower than a float build here because of parts that surgery replaces, and the
    recipe allows it."""
    from edgetl.bench.result import BENCH_FILE, read_bench

    made = quantized.get(scheme_id(target.scheme))
    if run.job.recipe.surgery.when == "off" or made is None:
        return False
    found = read_quantize(made.folder).replaceable
    pays = surgery_pays(read_bench(benched.folder / BENCH_FILE), found, run.job.recipe.surgery)
    recipe = run.job.recipe
    if pays and (recipe.task == "detection" or recipe.front != "image" or run.split.heads):
        run.progress.note(only_for_images(target.name, found))
        return False
    return pays


def only_for_images(target: str, found: Replaceable) -> str:
    """Why another network is not simplified: distillation on few shots does not bring back what all layers of a
    detector lose, and no network of other fronts has such parts."""
    return (
        f"{target}: INT8 is slower than a float build; {found.activations} smooth activations and {found.gates} "
        "squeeze-and-excitation gates may be the cause, but surgery is for classifiers of images with one head "
        "only; choose a backbone with ReLU, for example mobilenetv2_100"
    )


def surgery_pays(bench: TargetBench, found: Replaceable, surgery: Surgery) -> bool:
    """Whether INT8 was measured to be slower than a float build here, and the network has parts that may be the cause.

    found    what the network has; surgery  what may be replaced
    """
    int8, rival = bench.build("int8"), bench.fastest_float()
    if int8 is None or int8.latency is None or rival is None or rival.latency is None:
        return False
    if about(bench.backend).gives_zeros:
        return False
    own_ms, rival_ms = int8.latency.p50_ms, rival.latency.p50_ms
    if own_ms is None or rival_ms is None or own_ms.value <= rival_ms.value:
        return False
    activations = found.activations if surgery.activations != "keep" else 0
    gates = found.gates if surgery.gates != "keep" else 0
    return bool(activations or gates)
