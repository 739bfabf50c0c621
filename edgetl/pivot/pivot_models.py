"""Chooses the model of a pivot for a build of a target."""

from __future__ import annotations

from collections.abc import Iterator

from edgetl.errors import UsageError
from edgetl.pivot.pivot import Pivot, PivotModel
from edgetl.recipes.targets import scheme_id
from edgetl.types import PRECISIONS, ModelKind, Precision, Target


def model_for(pivot: Pivot, target: Target, precision: Precision) -> PivotModel:
    """The model from which `precision` on `target` is compiled. Raises UsageError.

    bfloat16 is made from float32; a simplified build from the int8 model of a pivot of the simplified network.
    """
    wanted_kind, scheme = _wanted(target, precision)
    for model in pivot.models:
        if (model.precision, model.scheme_id) == (wanted_kind, scheme):
            return model
    have = ", ".join(model.scheme_id or model.precision for model in pivot.models)
    wanted = f"the scheme {scheme}" if scheme else f"a {wanted_kind} model"
    raise UsageError(f"target {target.name}: {precision} needs {wanted}; the pivot has {have}")


def available(pivot: Pivot, target: Target) -> tuple[Precision, ...]:
    """The target's precisions for which the pivot has a model, in the target's order."""
    held = {(model.precision, model.scheme_id) for model in pivot.models}
    return tuple(precision for precision in target.precisions if _wanted(target, precision) in held)


def _wanted(target: Target, precision: Precision) -> tuple[ModelKind, str | None]:
    kind = PRECISIONS[precision]
    return kind.model, scheme_id(target.scheme) if kind.integers else None


def left_out(pivot: Pivot, target: Target) -> Iterator[tuple[Precision, str]]:
    """The target's precisions for which the pivot has no model, each with what to do."""
    remedy = f"add {target.name} to the recipe's targets and build again"
    for precision in target.precisions:
        if precision in available(pivot, target):
            continue
        if PRECISIONS[precision].integers:
            wanted = scheme_id(target.scheme)
            yield precision, f"the pivot has no INT8 network of the number format {wanted}; {remedy}"
        elif pivot.half_range and not pivot.half_range.fits:
            yield precision, pivot.half_range.explain()
        else:
            yield precision, f"the pivot has no {precision} model; {remedy}"
