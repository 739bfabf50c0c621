"""Measures every layer alone in float and alone in INT8, and the worst ones on all validation images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgetl import stats
from edgetl.data.pixels import Pixels
from edgetl.diagnose.blame.distance import logits_error, sqnr_db
from edgetl.diagnose.blame.models import Form, Networks
from edgetl.diagnose.blame.result import BlamedLayer, LayerAccuracy, ranked
from edgetl.diagnose.blame.variants import digest_of, layer_energies
from edgetl.pivot import mixed
from edgetl.tasks.classification.accuracy import answers
from edgetl.types import Interval, Progress


def measure_layers(networks: Networks, images: Pixels, progress: Progress) -> tuple[float, tuple[BlamedLayer, ...]]:
    """The logits error of the INT8 network on `images`, and every layer in its order, without accuracy and latency."""
    layers = mixed.layers(networks.quantized)
    steps = mixed.weight_steps(networks.quantized, networks.reference)
    own, accumulated = _layer_sqnrs(networks, layers, images, progress)
    truth = networks.logits("float network", "", images)
    whole = logits_error(truth, networks.logits("all in INT8", "", images))
    none = logits_error(truth, networks.logits("all in float", "", images))
    found: list[BlamedLayer] = []
    with progress.task("blame: one layer at a time", 2 * len(layers)) as advance:
        for layer, own_db, all_db in zip(layers, own, accumulated, strict=True):
            without = logits_error(truth, networks.logits("one in float", layer.name, images))
            advance(detail=layer.name)
            alone = logits_error(truth, networks.logits("one in INT8", layer.name, images))
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
class TopOne:
    """Correct predictions on all validation images: of the float network and of the INT8 one."""

    float_top1: Interval
    int8_top1: Interval
    drop_points: Interval


def measure_accuracy(
    networks: Networks, layers: Sequence[BlamedLayer], top: int, images: Pixels, progress: Progress
) -> tuple[TopOne, tuple[BlamedLayer, ...]]:
    """Top-1 on `images` of both networks, and of the first `top` layers alone in float and alone in INT8."""
    labels = np.array([sample.label for sample in images.samples], np.int64)

    def right(form: Form, layer: str = "") -> NDArray[np.bool_]:
        answer, _ = answers(networks.logits(form, layer, images))
        return np.asarray(answer == labels)

    judged: list[BlamedLayer] = []
    with progress.task("blame: accuracy on all validation images", 3 + 2 * min(top, len(layers))) as advance:
        truth, whole, none = right("float network"), right("all in INT8"), right("all in float")
        advance(3)
        for layer in layers[:top]:
            regained = stats.paired_difference(right("one in float", layer.name), whole)
            advance(detail=layer.name)
            lost = stats.paired_difference(none, right("one in INT8", layer.name))
            advance(detail=layer.name)
            judged.append(replace(layer, accuracy=LayerAccuracy(regained, lost)))
    top_one = TopOne(
        float_top1=stats.wilson(int(truth.sum()), truth.size),
        int8_top1=stats.wilson(int(whole.sum()), whole.size),
        drop_points=stats.paired_difference(truth, whole),
    )
    return top_one, (*judged, *layers[top:])


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
