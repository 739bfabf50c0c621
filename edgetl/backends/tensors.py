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
    if len(inputs) == len(ports):
        arrays = {
            port.name: np.ascontiguousarray(array) for port in ports if _fits(array := inputs.get(port.name), port)
        }
        if len(arrays) == len(ports) and (len(ports) == 1 or len({len(array) for array in arrays.values()}) == 1):
            return arrays
    raise BackendError(_refusal(inputs, ports))


def _fits(array: object, port: Port) -> bool:
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(port.dtype) or array.ndim != len(port.shape):
        return False
    shape = array.shape
    if 0 in shape:
        return False
    if shape[1:] == port.shape[1:]:  # the usual case, which costs less
        return port.shape[0] in (None, shape[0])
    return all(size in (None, found) for size, found in zip(port.shape, shape, strict=True))


def _refusal(inputs: Tensors, ports: Sequence[Port]) -> str:
    """What is wrong. Only here, because every inference passes the checks above."""
    wanted = " and ".join(f"`{port.name}`, {port.dtype} {_shape(port.shape)}" for port in ports)
    wanted = f"expected {'one input' if len(ports) == 1 else 'the inputs'} {wanted}"
    if set(inputs) != {port.name for port in ports}:
        return f"{wanted}; found {', '.join(f'`{name}`' for name in sorted(inputs)) or 'none'}"
    port = next((port for port in ports if not _fits(inputs[port.name], port)), None)
    if port is None:
        return f"{wanted}; found batches of {', '.join(str(len(inputs[port.name])) for port in ports)}"
    array: object = inputs[port.name]
    if not isinstance(array, np.ndarray):
        return f"{wanted}; found a {type(array).__name__}"
    if array.dtype != np.dtype(port.dtype):
        return f"{wanted}; found {array.dtype}"
    return f"{wanted}; found shape {tuple(array.shape)}"


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
