"""One network of `architectures.py`: build it, quantize it, compile it for this CPU's targets, judge and time it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from repeated_ratio import ratio
from result_file import made_here
from torch import nn

from edgetl.backbones.checkpoint import read_checkpoint
from edgetl.backbones.examples import plain
from edgetl.backbones.load import build
from edgetl.backbones.weights import locate, model_file
from edgetl.backends.base import load
from edgetl.bench.latency import interleaved
from edgetl.bench.machine import describe, other_cpu
from edgetl.errors import EdgetlError
from edgetl.fronts.batches import TIMED_IMAGES, batches, load_batch, spread
from edgetl.pivot.attach import attach
from edgetl.pivot.check import check_scheme
from edgetl.pivot.fold import fold
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.preprocess import on_byte_lattice
from edgetl.pivot.serialize import serialize
from edgetl.quant.bias import correct_biases
from edgetl.quant.prepare import convert, fix_ranges, prepare
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.targets import load_profile, load_target
from edgetl.tasks.base import load_task
from edgetl.tasks.running import answer_all
from edgetl.types import (
    Engine,
    Interval,
    NetworkSpec,
    Precision,
    Preprocessing,
    Sample,
    Scheme,
    Target,
    WeightSource,
    stats,
)

FLOAT: Precision = "float32"
HALF: Precision = "bfloat16"
INT8: Precision = "int8"
TARGETS = ("x86-cpu", "intel-cpu", "x86-avx2")
FLOAT_BUILDS: Mapping[str, tuple[Precision, ...]] = {
    "x86-cpu": (FLOAT,),
    "intel-cpu": (FLOAT, HALF),
    "x86-avx2": (FLOAT,),
}
CLASSES = 1000
_CALIBRATES = 5  # every fifth picture
_CALIBRATION_IMAGES = 16
_FOR_RANDOM = 4
_BATCH = 8
_WARMUP = 5
_LABELS = tuple(map(str, range(CLASSES)))
_CPU = torch.device("cpu")

_Times = NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """pictures, weights: folders. runs  per repeat. repeats  times the engines are opened afresh."""

    pictures: Path
    weights: Path
    runs: int
    repeats: int


@dataclass(frozen=True)
class Key:
    """network  a timm name, or torchvision's with `tv_`. version  of the code"""

    network: str
    version: str


@dataclass(frozen=True)
class Built:
    """One target's INT8 build.

    ratios       time of a float build over its time, by the float build's precision
    p50_ms       median of each build
    layers       precisions of its compute operators with their counts
    drop_points  None with random weights
    """

    target: str
    ratios: Mapping[str, Interval]
    p50_ms: Mapping[str, float]
    layers: str
    top1: float | None
    drop_points: Interval | None


@dataclass(frozen=True)
class Cell:
    """loads: before each repeat of each target. refused: why there are no builds, "" if there are."""

    key: Key
    pixels: int
    pretrained: bool
    judged: int
    builds: tuple[Built, ...]
    loads: tuple[float | None, ...]
    refused: str
    made_with: str


@dataclass(frozen=True)
class _Network:
    module: nn.Module
    spec: NetworkSpec
    pretrained: bool


def measure(key: Key, settings: Settings, folder: Path) -> Cell:
    """Everything about one network; `folder` receives its pivots and builds.

    Targets are those of this CPU: `x86-cpu` and `intel-cpu`, which have one scheme, or, without VNNI, `x86-avx2`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    samples = read_samples(settings.pictures)
    calibration = samples[::_CALIBRATES][:_CALIBRATION_IMAGES]
    judged = [sample for index, sample in enumerate(samples) if index % _CALIBRATES]
    loads: list[float | None] = []
    network: _Network | None = None
    try:
        network = _network(key.network, settings.weights, calibration)
        targets = [load_target(name) for name in TARGETS if not other_cpu(load_target(name))]
        if len({target.scheme for target in targets}) != 1:
            raise EdgetlError(f"expected targets of one scheme for this CPU; found {[each.name for each in targets]}")
        pivots = _pivots(network, targets[0].scheme, calibration, folder)
        builds = tuple(_built(network, target, pivots, judged, settings, folder, loads) for target in targets)
        refused = ""
    except EdgetlError as error:
        builds, refused = (), str(error)
    return Cell(
        key=key,
        pixels=network.spec.image.height if network else 0,
        pretrained=network is not None and network.pretrained,
        judged=len(judged),
        builds=builds,
        loads=tuple(loads),
        refused=refused,
        made_with=made_here(),
    )


def read_samples(folder: Path) -> list[Sample]:
    """In the order of their names; the class index is the part before the first underscore."""
    paths = sorted(folder.glob("*.jpg"))
    if len(paths) < 2 * _CALIBRATES:
        raise EdgetlError(f"{folder}: expected pictures <class index>_<anything>.jpg; found {len(paths)}")
    return [Sample(path=str(path), truth=int(path.name.partition("_")[0]), sha256="") for path in paths]


def _network(name: str, weights: Path, calibration: Sequence[Sample]) -> _Network:
    folder = weights / name.removeprefix("tv_")
    pretrained = folder.is_dir()
    # a folder without timm's config is torchvision's: its tensors fit by name
    described = (folder / "config.json").is_file()
    backbone = Backbone(name=name, pretrained=described)
    source = locate(backbone, Path(), [weights]) if described else WeightSource("none")
    module, spec, _ = build(backbone, source, CLASSES, "crop")
    if pretrained:
        # `build` gives a fresh classifier
        module.load_state_dict({each: value.float() for each, value in read_checkpoint(model_file(folder)).items()})
    else:
        _settle(module, plain(load_batch(calibration, spec.preprocessing), spec.preprocessing, _CPU))
    return _Network(module, spec, pretrained)


@torch.no_grad()
def _settle(module: nn.Module, images: torch.Tensor) -> None:
    """Values keep their size through random layers: batch norms get the statistics of the calibration images, and layer
    scales, which start so small that a runtime drops the whole block, become 1."""
    for name, parameter in module.named_parameters():
        if name.endswith("gamma") and parameter.abs().max() < 1e-3:
            parameter.fill_(1)
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over what is shown
        norm.train()
    module(images)
    module.eval()


def _pivots(network: _Network, scheme: Scheme, calibration: Sequence[Sample], folder: Path) -> dict[Precision, Path]:
    """The float and the INT8 pivot, as the quantize and export stages write them when they only calibrate."""
    p = network.spec.image
    lattice = on_byte_lattice(p, symmetric=scheme.activation_symmetric)
    folded = fold(network.module, p.network_shape).module
    # ranges of random weights mean nothing, and the default's search for them on many pictures takes minutes
    profile = load_profile("default" if network.pretrained else "min-max")
    calibration = calibration if network.pretrained else calibration[:_FOR_RANDOM]
    prepared = prepare(copy.deepcopy(folded), lattice, scheme, profile)
    shown = [plain(pixels, lattice, _CPU) for pixels in batches(calibration, lattice, _BATCH)]
    with torch.no_grad():
        for images in shown:
            prepared(images)
    fix_ranges(prepared, lattice)
    if network.pretrained:
        correct_biases(prepared, shown)
    quantized = to_onnx(convert(prepared, lattice), p.network_shape)
    check_scheme(quantized, scheme)
    paths: dict[Precision, Path] = {FLOAT: folder / "float32.onnx", INT8: folder / "int8.onnx"}
    paths[FLOAT].write_bytes(serialize(attach(to_onnx(folded, p.network_shape), p, _LABELS)))
    paths[INT8].write_bytes(serialize(attach(quantized, lattice, _LABELS)))
    return paths


def _built(
    network: _Network,
    target: Target,
    pivots: Mapping[Precision, Path],
    judged: Sequence[Sample],
    settings: Settings,
    folder: Path,
    loads: list[float | None],
) -> Built:
    name = target.name
    backend = load(target.backend)
    precisions = [each for each in (*FLOAT_BUILDS[name], INT8) if backend.cannot_run(target, each) is None]
    compiled = {}
    for precision in precisions:
        out = folder / f"{name}-{precision}"
        out.mkdir(exist_ok=True)
        compiled[precision] = backend.compile(pivots.get(precision, pivots[FLOAT]), target, precision, out)

    def opened(stack: ExitStack, wanted: Sequence[Precision]) -> dict[str, Engine]:
        return {
            each: stack.enter_context(backend.open(folder / f"{name}-{each}", compiled[each], target, threads=1))
            for each in wanted
        }

    repeats: list[dict[str, _Times]] = []
    timed = load_batch(spread(judged, TIMED_IMAGES), network.spec.preprocessing)
    for seed in range(settings.repeats):
        loads.append(describe().load_average)
        with ExitStack() as stack:
            repeats.append(interleaved(opened(stack, precisions), timed, runs=settings.runs, warmup=_WARMUP, seed=seed))
    with ExitStack() as stack:
        engines = opened(stack, (FLOAT, INT8))
        layers = engines[INT8].placement().summary()
        top1, drop = _accuracy(engines, judged, network.spec.preprocessing) if network.pretrained else (None, None)
    ratios: dict[str, Interval] = {
        each: ratio(repeats, each, INT8, seed=0).combined for each in precisions if each != INT8
    }
    medians: dict[str, float] = {
        each: float(np.median(np.concatenate([times[each] for times in repeats]))) / 1e6 for each in precisions
    }
    return Built(name, ratios, medians, layers, top1, drop)


def _accuracy(engines: Mapping[str, Engine], judged: Sequence[Sample], p: Preprocessing) -> tuple[float, Interval]:
    labels = np.array([sample.label for sample in judged])
    logits = answer_all(load_task("classification"), engines, batches(judged, p, _BATCH))
    right = {name: found.argmax(1) == labels for name, found in logits.items()}
    return float(right[INT8].mean()), stats.paired_difference(right[FLOAT], right[INT8])
