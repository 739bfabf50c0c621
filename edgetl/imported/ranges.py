"""Ranges of a float ONNX graph's values on the calibration images, by the observers of `edgetl.quant`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.imported.normal_form import NETWORK_INPUT
from edgetl.imported.place import Placement
from edgetl.pivot.literal import open_literal
from edgetl.pivot.mixed import expose
from edgetl.quant.input_rounding import input_parameters
from edgetl.quant.observers import Histogram, IntegerType, choose_range, make_observer, silu_range
from edgetl.types import CalibrationProfile, ImagePreprocessing, Scheme

Normal = NDArray[np.float32]


@dataclass(frozen=True)
class Parameters:
    """real = scale * (q - zero_point)"""

    scale: float
    zero_point: int


def integers_of(scheme: Scheme) -> IntegerType:
    limits = np.iinfo(np.uint8 if scheme.activation_dtype == "uint8" else np.int8)
    return IntegerType(int(limits.min), int(limits.max), scheme.activation_symmetric)


def observe(
    model: onnx.ModelProto,
    placement: Placement,
    images: Iterable[Normal],
    scheme: Scheme,
    profile: CalibrationProfile,
    p: ImagePreprocessing,
) -> dict[str, Parameters]:
    """Scale and zero point of every value that is rounded.

    images  normalized float32 (n, 3, H, W), a few at a time: all values that are rounded are in memory together
    raises  ParityError for values that are not finite.
    """
    names = list(placement.readers)
    observers = {root: make_observer(profile.observer) for root in placement.groups.values()}
    session = open_literal(expose(model, [name for name in names if name != NETWORK_INPUT]).SerializeToString())
    exposed = [name for name in names if name != NETWORK_INPUT]
    for batch in images:
        values = dict(zip(exposed, session.run(exposed, {NETWORK_INPUT: batch}), strict=True))
        for name in names:
            observers[placement.groups[name]].add(batch if name == NETWORK_INPUT else values[name])
    integers = integers_of(scheme)
    chosen: dict[str, Parameters] = {}
    for root, observer in observers.items():
        members = [name for name in names if placement.groups[name] == root]
        smooth = isinstance(observer, Histogram) and profile.observer == "mse" and placement.silus.issuperset(members)
        if smooth and isinstance(observer, Histogram):
            found = silu_range(observer, integers)
        else:
            found = choose_range(observer, profile.observer, profile.percentile, integers)
        parameters = integers.parameters(found)
        if NETWORK_INPUT in members:
            parameters = input_parameters(p, integers)
        chosen |= dict.fromkeys(members, Parameters(*parameters))
    return chosen


def in_order(parameters: dict[str, Parameters], names: Sequence[str]) -> list[list[float]]:
    """Scales and zero points of the values, for a digest."""
    return [[parameters[name].scale, parameters[name].zero_point] for name in names]
