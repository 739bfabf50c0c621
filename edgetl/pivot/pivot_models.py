"""Chooses the model of a pivot for a build of a target."""

from __future__ import annotations

from collections.abc import Iterator

from edgetl.errors import UsageError
from edgetl.pivot.pivot import Pivot, PivotModel
from edgetl.recipes.targets import scheme_id
from edgetl.types import WITH_INTEGERS, Precision, Target


def model_for(pivot: Pivot, target: Target, precision: Precision) -> PivotModel:
    """The model from which `precision` on `target` is compiled. Raises UsageError.

    bfloat16 is made from float32; a simplified build from the int8 model of a pivot of the simplified network.
    """
    scheme = scheme_id(target.scheme) if precision in WITH_INTEGERS else None
    held = {"bfloat16": "float32", "simplified": "int8"}.get(precision, precision)
    for model in pivot.models:
        if model.precision == held and model.scheme_id == scheme:
            return model
    have = ", ".join(model.scheme_id or model.precision for model in pivot.models)
    wanted = f"the scheme {scheme}" if scheme else f"a {held} model"
    raise UsageError(f"target {target.name}: {precision} needs {wanted}; the pivot has {have}")


def available(pivot: Pivot, target: Target) -> tuple[Precision, ...]:
    """The target's precisions for which the pivot has a model, in the target's order."""
    held = {(model.precision, model.scheme_id) for model in pivot.models}
    absent = {"int8"} if ("int8", scheme_id(target.scheme)) not in held else set()
    absent |= {"float16"} if ("float16", None) not in held else set()
    return tuple(precision for precision in target.precisions if precision not in absent)


def left_out(pivot: Pivot, target: Target) -> Iterator[tuple[Precision, str]]:
    """The target's precisions for which the pivot has no model, each with what to do."""
    remedy = f"add {target.name} to the recipe's targets and build again"
    for precision in target.precisions:
        if precision in available(pivot, target):
            continue
        if precision == "int8":
            wanted = scheme_id(target.scheme)
            yield precision, f"the pivot has no INT8 network of the number format {wanted}; {remedy}"
        elif pivot.half_range and not pivot.half_range.fits:
            yield precision, pivot.half_range.explain()
        else:
            yield precision, f"the pivot has no {precision} model; {remedy}"
