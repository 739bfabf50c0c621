"""Everything that `quantization.py` makes from one float network, in one output folder, so that stages are shared."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from plain_models import Shots, compiled, make
from quantization_cases import (
    BFLOAT16,
    FLOAT,
    QAT,
    REPAIRED,
    SATURATING_OURS,
    SATURATING_STATIC,
    SHIPPED,
    STANDARD,
    STATIC,
    STATIC_ON_ARM,
    Case,
    write_catalog,
)
from quantization_cells import Group, is_rival
from quantization_made import Answers, Logits, Made, Making
from quantization_rivals import recipe_named
from safetensors.numpy import load_file, save_file
from transfer_draws import Draw

from edgetl.backends.base import load
from edgetl.bench import qemu
from edgetl.bench.host_answers import on_host
from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, TargetBench
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.errors import EdgetlError
from edgetl.files.digest import file_digest, value_digest
from edgetl.files.durable import write_text
from edgetl.fronts.batches import batches, load_batch
from edgetl.pivot.float_answers import REFERENCE_LOGITS, read_reference
from edgetl.pivot.pivot import FOLDER, read_pivot
from edgetl.recipes.job import Job, make_job
from edgetl.recipes.recipe_file import load_recipe
from edgetl.recipes.run import Run
from edgetl.report.model import FILE_NAME as REPORT_FILE
from edgetl.report.model import read_report
from edgetl.stages import pipeline
from edgetl.stages.compile import compile_stage
from edgetl.stages.pipeline import Outcome
from edgetl.stages.repair import missed_by_int8, repair_stage
from edgetl.store.results import StageResult, Store, open_store
from edgetl.tasks.base import load_task
from edgetl.tasks.classification.accuracy import compare, stratified
from edgetl.tasks.running import answer_all
from edgetl.types import OUTPUT_NAME, Precision, Preprocessing, Sample, Silent, Split

GATE_POINTS = 1.0
_FLOAT_MODEL = "float32.onnx"
_ANSWERS_FILE = "logits.safetensors"
_PLACEMENT_FILE = "placement.txt"
_CODE_FILE = "code.txt"
_MAKING_STAGES = ("quantize", "repair", "surgery")
_FLOAT_STAGES = ("data", "check", "adapt")


class Chain:
    """The builds of one network, set and draw. Builds are made on demand and stay on disk.

    All methods raise EdgetlError.
    """

    def __init__(self, making: Making, group: Group) -> None:
        self.making, self.group = making, group
        name = f"{group.network}-{group.dataset}-{group.shots}-{group.draw}-{making.adapt_version}"
        self.folder = making.work / "builds" / name
        self.out = self.folder / "out"
        self._made: dict[tuple[str, str, str], Made] = {}
        self._forget_other_code()

    @property
    def split(self) -> Split:
        return self._float.split

    @property
    def preprocessing(self) -> Preprocessing:
        return read_pivot(self.float_pivot.folder).preprocessing

    @property
    def float_pivot(self) -> StageResult:
        """The float network as ONNX, from which all alternatives start."""
        return _last(self._float, "export")

    @cached_property
    def _float(self) -> Outcome:
        return pipeline.run(self._job(STANDARD, "x86-cpu", "none"), Silent(), until="export")

    def pair(self, chosen: NDArray[np.int64]) -> str:
        """16 hex digits of the float network and the images: where they are equal, builds can be compared."""
        network = file_digest(self.float_pivot.folder / _FLOAT_MODEL)
        return value_digest([network, [self.split.val[index].sha256 for index in chosen]])[:16]

    def build(self, case: Case, target: str, method: str) -> Made:
        """One method's build for one target."""
        if case.here:
            return self.build(STANDARD, target, method)
        key = (case.name, target, method)
        if key not in self._made:
            self._made[key] = self._build(case, target, method)
        return self._made[key]

    def answers(self, case: Case, target: str, method: str) -> Answers:
        """The build's results on the validation images: all of them, or the first of each class in turn if they are
        emulated or computed."""
        if method in (SATURATING_OURS, SATURATING_STATIC):
            return self._judged(self._saturating(method), "", self.making.forecast)
        made = self.build(case, target, method)
        opened = made.target
        emulated = load(opened.backend).cannot_run(opened) is not None
        if emulated and case.here:
            opened, emulated = on_host(opened), False
        count = self.making.emulated if emulated else len(self.split.val)
        chosen = self._chosen(count)
        samples = [self.split.val[index] for index in chosen]
        inputs = {"model": made.digest(), "val": value_digest([sample.sha256 for sample in samples])}
        config = {"target": target, "emulated": emulated}
        preprocessing = self.preprocessing  # before the store is open: it may have to be made

        def run(out: Path) -> None:
            if emulated:
                logits = qemu.outputs(made.model, load_batch(samples, preprocessing), threads=1)["logits"]
                placement = ""
            else:
                backend = load(opened.backend)
                with backend.open(made.folder, made.compiled, opened, threads=self.making.threads) as engine:
                    placement = engine.placement().summary()
                    logits = answer_all(load_task("classification"), {"": engine}, batches(samples, preprocessing))[""]
            save_file({"logits": logits}, out / _ANSWERS_FILE)
            (out / _PLACEMENT_FILE).write_text(placement, encoding="utf-8")

        with open_store(self.out) as store:
            folder = store.once("answers", 1, config, run, inputs=inputs).folder
        placement = (folder / _PLACEMENT_FILE).read_text(encoding="utf-8")
        return self._judged(load_file(folder / _ANSWERS_FILE)["logits"], placement, count)

    def best_static(self) -> str:
        """The calibration method of `quantize_static` with the best top-1 on the x86 CPU."""
        found = {name: self.answers(STANDARD, "x86-cpu", name).accuracy.top1.value for name in STATIC}
        return max(STATIC, key=lambda name: found[name])

    def _build(self, case: Case, target: str, method: str) -> Made:
        if method == SHIPPED:
            return self._shipped(case, target)
        if method in (SATURATING_OURS, SATURATING_STATIC):
            return self._with_vnni(method)
        if method in (FLOAT, BFLOAT16):
            return self._floating(case, target, method)
        if method == STATIC_ON_ARM:
            best = self.best_static()
            made = self.build(STANDARD, "x86-cpu", best)
            return replace(made, target=self._job(case, target).targets[0], note=best)
        if is_rival(method):
            return self._rival(case, target, method)
        if method == REPAIRED:
            return self._repaired(case, target)
        return self._integer(case, target, method)

    def _shipped(self, case: Case, target: str) -> Made:
        """What `edgetl build` ships for a recipe that says nothing about quantization."""
        self._forget_ranges()
        outcome = pipeline.run(self._job(case, target), Silent())
        folder = _last(outcome, "report").folder
        (shipped,) = read_report(folder / REPORT_FILE).bundles
        if shipped.path is None:
            raise EdgetlError(f"{target}: no build could be run, so none ships: {shipped.reason}")
        seconds = _seconds(outcome)
        note = str(shipped.precision) if shipped.verdict != "fail" else f"{shipped.precision}, gate missed"
        return _from_bundle(read_bundle(folder / shipped.path), seconds, note)

    def _floating(self, case: Case, target: str, method: str) -> Made:
        job = self._job(case, target, "none")
        precision: Precision = "bfloat16" if method == BFLOAT16 else "float32"
        pivot = self.float_pivot
        with open_store(self.out) as store:
            built = compile_stage(self._run(store, job), job.targets[0], precision, pivot)
        return _from_bundle(read_bundle(built.folder), None, "")

    def _integer(self, case: Case, target: str, method: str) -> Made:
        job = self._job(case, target, method)
        pivot, seconds = self._pivot(job)
        with open_store(self.out) as store:
            built = compile_stage(self._run(store, job), job.targets[0], "int8", pivot)
        return _from_bundle(read_bundle(built.folder), seconds, "")

    def _run(self, store: Store, job: Job) -> Run:
        return Run(store, job, self.split, Silent())

    def _pivot(self, job: Job) -> tuple[StageResult, float]:
        """The pivot with the job's INT8 network, and the seconds that this took."""
        self._forget_ranges()
        outcome = pipeline.run(job, Silent(), until="export")
        return _last(outcome, "export"), _seconds(outcome)

    def _repaired(self, case: Case, target: str) -> Made:
        trained = self.build(case, target, QAT)
        job = self._job(case, target, QAT)
        if not missed_by_int8(self._bench(case, trained), job.recipe.gates):
            return replace(trained, note="not needed")
        pivot, _ = self._pivot(job)
        with open_store(self.out) as store:
            run = self._run(store, job)
            found = repair_stage(run, trained.target, pivot, job.recipe.gates)
            seconds = (trained.seconds or 0.0) + found.seconds
            models = found.folder / FOLDER
            if not models.is_dir():
                return replace(trained, seconds=seconds, note="nothing found")
            built = compile_stage(run, trained.target, "mixed", found, models)
        return _from_bundle(read_bundle(built.folder), seconds, "mixed")

    def _bench(self, case: Case, made: Made) -> TargetBench:
        """The accuracy in the form that the rules of edgetl take."""
        accuracy = self.answers(case, made.target.name, QAT).accuracy
        return TargetBench(
            target=made.target.name,
            backend=made.target.backend,
            backend_version=made.compiled.backend_version,
            measured=True,
            emulated=False,
            reason="",
            machine=describe(),
            images=tuple(range(accuracy.images)),
            builds=(BuildBench(precision="int8", size_bytes=made.size_bytes(), accuracy=accuracy),),
        )

    def _rival(self, case: Case, target: str, method: str) -> Made:
        job = self._job(case, target)
        shots = Shots(self._calibration(case, job), self.preprocessing)
        val = Shots(self.split.val, self.preprocessing)
        recipe = recipe_named(case, method, val, GATE_POINTS)
        pivot = self.float_pivot.folder / _FLOAT_MODEL
        with open_store(self.out) as store:
            made = make(store, pivot, recipe, shots)
        opened = compiled(recipe, made.folder, load(recipe.backend).version())
        return Made(made.folder, opened, job.targets[0], made.seconds)

    def _calibration(self, case: Case, job: Job) -> Sequence[Sample]:
        """The shots, or the images that edgetl's profile draws from them."""
        from edgetl.quant.draw import draw_samples

        shots = self.split.shots
        if case.images is None:
            return shots
        return draw_samples(shots, job.profile)

    def _saturating(self, method: str) -> Logits:
        """Logits of a build for CPUs with VNNI, as a CPU without it computes them."""
        from edgetl.backends.onnx_rules import load_pivot
        from edgetl.diagnose.forecast.forecast import outputs, saturated
        from edgetl.diagnose.forecast.network import Network

        model, _ = load_pivot(self._with_vnni(method).model)
        samples = [self.split.val[index] for index in self._chosen(self.making.forecast)]
        return np.asarray(outputs(Network(model), batches(samples, self.preprocessing), saturated)[OUTPUT_NAME])

    def _with_vnni(self, method: str) -> Made:
        return self.build(STANDARD, "x86-cpu", QAT if method == SATURATING_OURS else self.best_static())

    def _judged(self, logits: Logits, placement: str, count: int) -> Answers:
        chosen = self._chosen(count)
        labels = np.array([self.split.val[index].label for index in chosen], dtype=np.int64)
        reference = read_reference(self.float_pivot.folder / REFERENCE_LOGITS, OUTPUT_NAME, len(self.split.val))[chosen]
        accuracy = compare(logits, labels, reference, self.group.draw)
        right = (logits.argmax(axis=1) == labels) & np.isfinite(logits).all(axis=1)
        return Answers(logits, placement, chosen, right, reference.argmax(axis=1) == labels, accuracy)

    def _chosen(self, count: int) -> NDArray[np.int64]:
        labels = np.array([sample.label for sample in self.split.val], dtype=np.int64)
        return np.sort(stratified(labels, count))

    def _job(self, case: Case, target: str, method: str | None = None) -> Job:
        """A recipe with one target; without a method, the recipe of a user who leaves quantization at its defaults."""
        making, group = self.making, self.group
        raw = {
            "name": group.dataset,
            "data": Draw(making.data / group.dataset, group.shots, group.draw).section(),
            # the published sets have pictures twice; what the check finds is no part of the comparison
            "check": {"allow_leak": True, "features": False},
            "backbone": {"name": backbone_name(making.weights, group.network)},
            "calibration": case.profile,
            "gates": {"max_drop_points": GATE_POINTS},
            "bench": {"emulated_images": making.emulated},
            "targets": [target],
        }
        if method is not None:
            raw["quantize"] = {"method": method}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "recipe.yaml"
        write_text(path, yaml.safe_dump(raw, sort_keys=False))
        targets, profiles = write_catalog(making.work)
        return make_job(
            load_recipe(path, making.overrides),
            self.folder,
            out=self.out,
            targets_dirs=(targets,),
            calibration_dirs=(profiles,),
            weights_dirs=(making.weights,),
        )

    def _forget_other_code(self) -> None:
        """A stage's key does not contain the code that made it, so the stages after `adapt` are kept from one version
        only."""
        note = self.folder / _CODE_FILE
        if note.is_file() and note.read_text(encoding="utf-8") == self.making.version:
            return
        for record in (self.out / "stages").glob("*.json"):
            if not record.name.startswith(_FLOAT_STAGES):
                record.unlink()  # a result without its record counts as not finished
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(note, self.making.version)

    def _forget_ranges(self) -> None:
        # else the second method would find the first one's ranges, and its making would look cheaper
        shutil.rmtree(self.out / "cache" / "ranges", ignore_errors=True)


def backbone_name(weights: Path, network: str) -> str:
    """A folder of weights without timm's config is torchvision's."""
    return network if (weights / network / "config.json").is_file() else f"tv_{network}"


def _last(outcome: Outcome, stage: str) -> StageResult:
    return [result for result in outcome.results if result.stage == stage][-1]


def _seconds(outcome: Outcome) -> float:
    """Of what is done for integers: calibration, training, repair."""
    return sum(result.seconds for result in outcome.results if result.stage in _MAKING_STAGES)


def _from_bundle(bundle: Bundle, seconds: float | None, note: str) -> Made:
    manifest = bundle.manifest
    return Made(bundle.folder, manifest.compiled, manifest.target, seconds, note)
