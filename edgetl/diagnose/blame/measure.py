"""Measures every layer alone in float and alone in INT8, and the worst ones on all validation images."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgetl.diagnose.blame.distance import root_mean_square, sqnr_db
from edgetl.diagnose.blame.models import Form, Networks
from edgetl.diagnose.blame.result import BlamedLayer, LayerAccuracy, ranked
from edgetl.diagnose.blame.variants import digest_of, layer_energies
from edgetl.fronts.base import load_front
from edgetl.fronts.pixels import Pixels
from edgetl.pivot import mixed
from edgetl.tasks.base import Answers
from edgetl.tasks.quality import QualityRecord
from edgetl.types import Interval, Progress

_WHOLE_FORMS: tuple[Form, ...] = ("float network", "all in INT8", "all in float")


def measure_layers(networks: Networks, images: Pixels, progress: Progress) -> tuple[float, tuple[BlamedLayer, ...]]:
    """The error of the INT8 network's outputs on `images`, and every layer in its order, without accuracy and
    latency."""
    layers = mixed.layers(networks.quantized)
    steps = mixed.weight_steps(networks.quantized, networks.reference)
    own, accumulated = _layer_sqnrs(networks, layers, images, progress)
    expected = functools.cache(lambda: networks.outputs("float network", "", images))  # all are compared with it

    def error(form: Form, layer: str = "") -> float:
        return root_mean_square(networks.distances(form, layer, images, expected))

    whole, none = error("all in INT8"), error("all in float")
    found: list[BlamedLayer] = []
    with progress.task("blame: one layer at a time", 2 * len(layers)) as advance:
        for layer, own_db, all_db in zip(layers, own, accumulated, strict=True):
            without = error("one in float", layer.name)
            advance(detail=layer.name)
            alone = error("one in INT8", layer.name)
            advance(detail=layer.name)
            found.append(
                BlamedLayer(
                    name=layer.name,
                    kind=layer.kind,
                    weight_shape=layer.weight_shape,
                    macs=layer.macs,
                    weight_steps=steps[layer.name],
                    sqnr_db=all_db,
                    own_sqnr_db=own_db,
                    regained=whole - without,
                    lost=alone - none,
                )
            )
    return whole, ranked(found)


@dataclass(frozen=True)
class Scores:
    """The task's metric on all validation images: of the float network and of the INT8 one."""

    float_score: Interval
    int8_score: Interval
    drop_points: Interval


@dataclass(frozen=True)
class Validation:
    """The validation images. classes  how many the task has;  groups  of the images, as `Task.measure` takes them"""

    images: Pixels
    classes: int
    groups: Sequence[str] | None = None


def measure_accuracy(
    networks: Networks, layers: Sequence[BlamedLayer], top: int, val: Validation, progress: Progress
) -> tuple[Scores, tuple[BlamedLayer, ...]]:
    """The metric on all validation images of both networks, and of the first `top` layers alone in float and alone in
    INT8."""
    images = val.images
    truths = [sample.truth for sample in images.samples]

    def compared(answers: Answers, reference: Answers) -> QualityRecord:
        return networks.task.measure(answers, truths, reference, val.classes, groups=val.groups)

    judged: list[BlamedLayer] = []
    noun = load_front(images.preprocessing.front).noun
    with progress.task(f"blame: accuracy on all validation {noun}s", 3 + 2 * min(top, len(layers))) as advance:
        truth, whole, none = (networks.answers(form, "", images) for form in _WHOLE_FORMS)
        of_float, of_int8 = compared(truth, truth), compared(whole, truth)
        advance(3)
        for layer in layers[:top]:
            without = networks.answers("one in float", layer.name, images)
            advance(detail=layer.name)
            alone = networks.answers("one in INT8", layer.name, images)
            advance(detail=layer.name)
            regained, lost = compared(whole, without), compared(alone, none)
            judged.append(replace(layer, accuracy=LayerAccuracy(regained.drop_points, lost.drop_points)))
    scores = Scores(of_float.score.value, of_int8.score.value, of_int8.drop_points)
    return scores, (*judged, *layers[top:])


def _layer_sqnrs(
    networks: Networks, layers: Sequence[mixed.Layer], images: Pixels, progress: Progress
) -> tuple[list[float | None], list[float | None]]:
    """SQNR of every layer's output: quantized alone, and in the INT8 network."""
    with progress.task("blame: signal to noise", 2 * len(images.samples)) as advance:

        def own() -> NDArray[np.float64]:
            probed, names = mixed.with_probes(networks.quantized, networks.originals)
            return layer_energies(probed, probed, [names[layer.name] for layer in layers], images, advance)

        def accumulated() -> NDArray[np.float64]:
            plain = mixed.expose(networks.form("all in float", ""), [layer.output for layer in layers])
            rounded = mixed.expose(networks.quantized, [layer.rounded for layer in layers])
            return layer_energies(plain, rounded, [(each.output, each.rounded) for each in layers], images, advance)

        key = {"images": digest_of(images)}
        first = networks.cache.array({"what": "own energies", **key}, own)
        second = networks.cache.array({"what": "accumulated energies", **key}, accumulated)
    return [sqnr_db(*row) for row in first.tolist()], [sqnr_db(*row) for row in second.tolist()]
