"""The size of an image at a network's input, as a recipe writes it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_SIDE = (8, 1024)


def _as_size(value: Any) -> Any:
    """A whole number, or (height, width), also from `96x384`; equal sides are one number."""
    sides = re.split("[x×]", value.strip()) if isinstance(value, str) else value
    if not isinstance(sides, (list, tuple)):
        sides = [sides]
    if len(sides) not in (1, 2) or any(isinstance(side, (bool, float, list, dict)) for side in sides):
        raise ValueError("expected the side of a square, or [height, width]")
    try:
        numbers = tuple(int(side) for side in sides)
    except (TypeError, ValueError) as error:
        raise ValueError("expected the side of a square, or [height, width]") from error
    if not all(_SIDE[0] <= number <= _SIDE[1] for number in numbers):
        raise ValueError(f"expected sides of {_SIDE[0]} to {_SIDE[1]} pixels")
    return numbers if len(set(numbers)) > 1 else numbers[0]


_WHOLE = {"type": "integer", "minimum": _SIDE[0], "maximum": _SIDE[1]}
InputSize = Annotated[
    int | tuple[int, int],
    BeforeValidator(_as_size),
    WithJsonSchema({"anyOf": [_WHOLE, {"type": "array", "items": _WHOLE, "minItems": 2, "maxItems": 2}]}),
]
"""The side of a square in pixels, or (height, width)."""
