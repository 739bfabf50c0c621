"""The stages of each candidate, kept in the store: transfer scores, float models, latencies."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from edgetl.backends.base import cannot_use
from edgetl.backends.base import load as load_backend
from edgetl.backends.fresh_process import cold_start
from edgetl.bench import time_stats
from edgetl.bench.latency import BLOCK, interleaved
from edgetl.bench.machine import describe
from edgetl.data.groups import shot_keys
from edgetl.errors import BackendError, DataError, UsageError
from edgetl.explore.select.result import Cost, Transfer
from edgetl.files.digest import value_digest
from edgetl.files.durable import write_text
from edgetl.fronts.batches import TIMED_IMAGES, load_batch, spread
from edgetl.pivot.facts import read_facts
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.run import Run
from edgetl.store.results import StageResult
from edgetl.types import (
    IMAGE_INPUT,
    Compiled,
    Engine,
    Missing,
    Placement,
    Preprocessing,
    Sample,
    Split,
    Target,
    WeightSource,
    as_image,
    fed,
)
from edgetl.types.data import as_json

if TYPE_CHECKING:
    from edgetl.types import Tensors

MAX_IMAGES = 800
"""Limit of shots for the scores; taken in the split's order, which takes classes in turn."""

_TOOLS = ("torch", "timm", "torchvision", "onnx", "onnxscript")
_MODEL, _FACTS, _RESULT = "model.onnx", "facts.json", "result.json"
_COMPILED, _BUILD = "compiled", "compiled.json"


@dataclass(frozen=True)
class Candidate:
    """A backbone, where its weights are, and the run whose shots it is compared on."""

    run: Run
    backbone: Backbone
    source: WeightSource

    @property
    def split(self) -> Split:
        return self.run.split

    @property
    def shots(self) -> tuple[Sample, ...]:
        return compared_shots(self.run)

    def key(self) -> dict[str, Any]:
        """The values that all its results depend on, as JSON."""
        key = {
            "backbone": self.backbone.identity(),
            "weights": [self.source.kind, self.source.digest],
            "classes": len(self.split.classes),
            "resize": self.split.resize,
            "tools": versions(_TOOLS),
        }
        if self.of_detector:
            key |= {"detector": self.run.job.recipe.detector.model_dump(mode="json")}
        return key

    @property
    def of_detector(self) -> bool:
        return self.run.job.recipe.task == "detection"


def compared_shots(run: Run) -> tuple[Sample, ...]:
    return run.split.shots[:MAX_IMAGES]


def transfer_stage(candidate: Candidate) -> Transfer:
    """LogME and the cross-validated probe on pooled features of the shots, or of their objects. Raises EdgetlError."""
    run, seed = candidate.run, candidate.run.job.recipe.data.seed

    def make(out: Path) -> None:
        if candidate.of_detector:
            _write(out / _RESULT, _transfer_of_objects(candidate, seed))
            return
        from edgetl.backbones.extract import open_frozen, pooled_features
        from edgetl.explore.select.held_out import cross_validate
        from edgetl.explore.select.logme import logme

        split, shots = candidate.split, candidate.shots
        frozen = open_frozen(candidate.backbone, candidate.source, len(split.classes), split.resize)
        what = f"shots, {candidate.backbone.name}"
        features = pooled_features(frozen, shots, run.store.cache / "features", progress=run.progress, what=what).read()
        labels = np.array([sample.label for sample in shots], np.int64)
        probe = cross_validate(features, labels, len(split.classes), seed=seed)
        score = logme(features, labels, len(split.classes))
        right = probe.right if probe else ()
        _write(out / _RESULT, Transfer(probe.top1 if probe else None, score, len(features), features.shape[1], right))

    config = {**candidate.key(), "seed": seed}
    inputs = {"shots": value_digest([[as_json(shot.truth), shot.sha256] for shot in candidate.shots])}
    keys = shot_keys(run) if candidate.of_detector else None
    inputs |= {"groups": value_digest(keys)} if keys else {}
    made = run.store.once("select-transfer", 2, config, make, inputs=inputs, what=candidate.backbone.name)
    return TypeAdapter(Transfer).validate_json((made.folder / _RESULT).read_bytes())


def _transfer_of_objects(candidate: Candidate, seed: int) -> Transfer:
    """The same of the labeled objects and of places without one, by what the backbone sees there."""
    from edgetl.backbones.regions import region_features
    from edgetl.explore.select.held_out import cross_validate
    from edgetl.explore.select.logme import logme
    from edgetl.explore.select.objects import examples_of

    split, shots, run = candidate.split, candidate.shots, candidate.run
    _refuse_whole_detector(candidate)
    keys = shot_keys(run)
    examples = examples_of(shots, len(split.classes), keys[: len(shots)] if keys else None, seed)
    if examples.count < 2:
        raise DataError("expected two classes, or one and room for background; found objects that fill their images")
    features = region_features(
        candidate.backbone, candidate.source, split.resize, shots, examples.regions, run.progress
    )
    probe = cross_validate(features, examples.labels, examples.count, seed=seed, groups=examples.groups)
    score = logme(features, examples.labels, examples.count)
    top1, right = (probe.top1, probe.right) if probe else (None, ())
    return Transfer(top1, score, len(shots), features.shape[1], right)


def _refuse_whole_detector(candidate: Candidate) -> None:
    from edgetl.recipes.recipe import Detector
    from edgetl.tasks.detection.networks.build import family_of

    if family_of(candidate.backbone, Detector()) != "anchor-free":  # what is put on a classification network
        raise UsageError(
            f"`{candidate.backbone.name}` is a whole detector; select compares classification networks as backbones"
        )


def float_stage(candidate: Candidate) -> StageResult:
    """The float network as ONNX with its preprocessing inside, and its theoretical cost. Raises EdgetlError."""

    def make(out: Path) -> None:
        from edgetl.pivot.attach import attach
        from edgetl.pivot.fold import fold_parts
        from edgetl.pivot.from_torch import to_onnx
        from edgetl.pivot.macs import count_macs
        from edgetl.pivot.serialize import serialize
        from edgetl.tasks.base import load_task

        classes = len(candidate.split.classes)
        network, parts, p = _network(candidate)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        folded = fold_parts(network, parts, p.network_shape).module
        model = to_onnx(
            folded, p.network_shape, load_task(candidate.run.job.recipe.task, candidate.run.split.heads).outputs
        )
        facts = {
            "height": as_image(p).height,
            "width": as_image(p).width,
            "parameters": parameters,
            "macs": count_macs(model),
        }
        # class names do not matter here and would make equal models differ
        (out / _MODEL).write_bytes(serialize(attach(model, p, [str(number) for number in range(classes)])))
        write_text(out / _FACTS, json.dumps(facts) + "\n")

    return candidate.run.store.once("select-float", 1, candidate.key(), make, what=candidate.backbone.name)


def _network(candidate: Candidate) -> tuple[Any, tuple[str, ...], Preprocessing]:
    """The network that would be deployed, with new layers that predict, and the names of its parts."""
    from edgetl.backbones.load import build
    from edgetl.pivot.parts import WHOLE
    from edgetl.tasks.detection.networks.build import build as build_detector

    classes, resize, source = len(candidate.split.classes), candidate.split.resize, candidate.source
    if candidate.of_detector:
        settings = candidate.run.job.recipe.detector
        detector, described, _ = build_detector(candidate.backbone, settings, source, classes, resize)
        return detector, detector.parts, described.preprocessing
    network, spec, _ = build(candidate.backbone, source, classes, resize)
    return network, WHOLE, spec.preprocessing


def cost_on_paper(made: StageResult) -> Cost:
    """Parameters, multiply-accumulates and bytes of the result of `float_stage`."""
    facts = json.loads((made.folder / _FACTS).read_text(encoding="utf-8"))
    return Cost(**facts, size_bytes=(made.folder / _MODEL).stat().st_size)


def compile_stage(run: Run, made: StageResult, target: Target) -> StageResult:
    """The float model compiled for `target`, opened and run once in fresh processes. Raises EdgetlError."""
    backend = load_backend(target.backend)
    first, threads = run.split.shots[0], run.job.recipe.bench.threads

    def make(out: Path) -> None:
        folder = out / _COMPILED
        folder.mkdir()
        compiled = backend.compile(made.folder / _MODEL, target, "float32", folder)
        if not compiled.finished:
            raise BackendError(f"target {target.name}: its last build step runs on the device; it cannot be timed here")
        image = timed_images((first,), made.folder / _MODEL)[0]
        cold = cold_start(folder, compiled, target, image, threads=threads)
        size = sum((folder / name).stat().st_size for name in compiled.files)
        cost = replace(
            cost_on_paper(made), size_bytes=size, cold_start_ms=cold.cold_start_ms, peak_rss_bytes=cold.peak_rss_bytes
        )
        _write(out / _BUILD, compiled)
        _write(out / _RESULT, cost)

    config = {"target": asdict(target), "threads": threads, "backend_version": backend.version(), "here": _here()}
    inputs = {"model": made.digest, "image": first.sha256}
    return run.store.once("select-compile", 1, config, make, inputs=inputs, what=made.what)


def latency_stage(run: Run, models: Mapping[str, tuple[StageResult, StageResult]], target: Target) -> dict[str, Cost]:
    """All compiled models timed in the same rounds, so that other load on the machine affects them equally.

    models  name -> (result of `float_stage`, result of `compile_stage`)
    returns name -> the cost with latencies
    """
    backend = load_backend(target.backend)
    shots, bench = compared_shots(run), run.job.recipe.bench

    def make(out: Path) -> None:
        with ExitStack() as stack:
            engines: dict[str, Engine] = {}
            placements: dict[str, str] = {}
            for name, (made, compiled) in models.items():
                build = TypeAdapter(Compiled).validate_json((compiled.folder / _BUILD).read_bytes())
                folder = compiled.folder / _COMPILED
                engine = stack.enter_context(backend.open(folder, build, target, threads=bench.threads))
                placements[name] = engine.placement().summary()
                engines[name] = OwnImages(engine, timed_images(shots, made.folder / _MODEL))
            with run.progress.task("latency", total=bench.runs) as advance:
                settings: dict[str, Any] = {"runs": bench.runs, "warmup": bench.warmup, "seed": 0, "advance": advance}
                times = interleaved(engines, numbers(_count(shots)), **settings)
        costs = {
            name: replace(
                read_cost(compiled),
                p50_ms=time_stats.quantile(times[name] / 1e6, 0.5, block=BLOCK),
                p99_ms=time_stats.p99(times[name] / 1e6, block=BLOCK),
                placement=placements[name],
            )
            for name, (_, compiled) in models.items()
        }
        write_text(out / _RESULT, json.dumps({name: asdict(cost) for name, cost in costs.items()}) + "\n")

    config = {"bench": [bench.runs, bench.warmup, bench.threads], "here": _here(), "names": list(models)}
    inputs = {f"model {name}": compiled.digest for name, (_, compiled) in models.items()}
    inputs["images"] = value_digest([sample.sha256 for sample in shots])
    done = run.store.once("select-latency", 2, config, make, inputs=inputs, what=target.name)
    return TypeAdapter(dict[str, Cost]).validate_json((done.folder / _RESULT).read_bytes())


def read_cost(compiled: StageResult) -> Cost:
    """The result of `compile_stage`, without latencies."""
    return TypeAdapter(Cost).validate_json((compiled.folder / _RESULT).read_bytes())


class OwnImages:
    """An engine that takes the index of an image and infers its own copy of it, so that models with inputs of different
    sizes can take turns."""

    def __init__(self, engine: Engine, images: NDArray[np.uint8]) -> None:
        self._engine = engine
        self._batches = [fed(np.ascontiguousarray(image[None])) for image in images]

    def infer(self, inputs: Tensors) -> Tensors:
        return self._engine.infer(self._batches[inputs[IMAGE_INPUT].item()])

    def placement(self) -> Placement:
        return self._engine.placement()


def numbers(count: int) -> NDArray[np.uint8]:
    """(count, 1, 1, 1): the indices that `OwnImages` takes instead of images."""
    return np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)


def obstacle(target: Target) -> Missing | None:
    """None if float models can be compiled for `target` and timed on this machine; else the reason."""
    if "float32" not in target.precisions:
        return Missing(f"target {target.name} has no float32 build", "choose another one with --target")
    return cannot_use(target, "float32")


def versions(names: Sequence[str]) -> Mapping[str, str]:
    """Installed versions, part of the keys of results that depend on these packages."""
    return {name: metadata.version(name) for name in names}


def timed_images(shots: Sequence[Sample], model: Path) -> NDArray[np.uint8]:
    """At most `TIMED_IMAGES` shots, spread evenly, as inputs of `model`: uint8 (K, H, W, 3)."""
    return load_batch(spread(shots), read_facts(model).preprocessing)


def _count(shots: Sequence[Sample]) -> int:
    return min(TIMED_IMAGES, len(shots))


def _here() -> list[str | None]:
    # a measurement belongs to a machine and is not reused on another
    machine = describe()
    return [platform.node(), machine.architecture, machine.cpu]


def _write(path: Path, value: Any) -> None:
    write_text(path, json.dumps(asdict(value), allow_nan=False) + "\n")
