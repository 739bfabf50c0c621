"""Checks that every engine makes before it passes an array to native code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import BackendError
from edgetl.types import Port

if TYPE_CHECKING:
    from edgetl.types import Tensors


def arrays_of(inputs: Tensors, ports: Sequence[Port]) -> dict[str, NDArray[Any]]:
    """The inputs as C-contiguous arrays, exactly those of `ports`, of one batch of at least one. Raises BackendError
    otherwise."""
    wanted = " and ".join(f"`{port.name}`, {port.dtype} {_shape(port.shape)}" for port in ports)
    wanted = f"expected {'one input' if len(ports) == 1 else 'the inputs'} {wanted}"
    if set(inputs) != {port.name for port in ports}:
        raise BackendError(f"{wanted}; found {', '.join(f'`{name}`' for name in sorted(inputs)) or 'none'}")
    arrays = {port.name: _array(inputs[port.name], port, wanted) for port in ports}
    if len({len(array) for array in arrays.values()}) > 1:
        raise BackendError(f"{wanted}; found batches of {', '.join(str(len(array)) for array in arrays.values())}")
    return arrays


def _array(array: object, port: Port, wanted: str) -> NDArray[Any]:
    if not isinstance(array, np.ndarray):
        raise BackendError(f"{wanted}; found a {type(array).__name__}")
    if array.dtype != np.dtype(port.dtype):
        raise BackendError(f"{wanted}; found {array.dtype}")
    fits = array.ndim == len(port.shape) and all(
        size in (found, None) for size, found in zip(port.shape, array.shape, strict=True)
    )
    if not fits or 0 in array.shape:
        raise BackendError(f"{wanted}; found shape {tuple(array.shape)}")
    return np.ascontiguousarray(array)


def _shape(sizes: Sequence[int | None]) -> str:
    batch, *others = sizes
    return f"({', '.join(['N' if batch is None else str(batch), *(str(size or 'length') for size in others)])})"


def model_file(folder: Path, name: str) -> Path:
    """The model inside a compiled folder. Raises BackendError if it is missing."""
    path = folder / name
    if not path.is_file():
        raise BackendError(f"{path}: the compiled model is missing; compile again or copy the whole folder")
    return path


def check_threads(threads: int) -> None:
    if threads < 1:
        raise BackendError(f"threads: expected at least 1; found {threads}")
