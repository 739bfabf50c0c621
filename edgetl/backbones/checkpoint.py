"""Tensors from a checkpoint file, without ever running what is in it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from edgetl.errors import WeightsError

_WRAPPERS = ("state_dict", "model", "model_state_dict")  # what training scripts put around the tensors
_PARALLEL = "module."  # what DataParallel puts before every name


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, or of a torch file opened with weights_only. On the CPU, in the file's dtypes.

    The format is told from the content, not from the suffix. Raises WeightsError for anything else: truncated files,
    pickled objects, values that are not finite.
    """
    tensors = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    if not tensors:
        raise WeightsError(f"{path}: expected named tensors; found none")
    broken = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise WeightsError(f"{path}: values that are not finite in {listed(broken)}; the file is damaged")
    return tensors


def write_checkpoint(state: Mapping[str, Tensor], path: Path) -> None:
    """Write as safetensors. Equal tensors give equal bytes; tensors that share memory are written apart."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    path.write_bytes(save(tensors))  # save_file would make the file readable by its owner only


def listed(names: list[str], most: int = 10) -> str:
    """`a, b, c and 7 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _is_safetensors(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights: {error.strerror}") from error
    return head[8:9] == b"{" or path.suffix == ".safetensors"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path, device="cpu"))
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a complete safetensors file ({_one_line(error)}); copy or download it again"
        ) from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: holds pickled Python objects, which could run any code, and was not opened; save the tensors "
            "alone, with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
        ) from error
    except Exception as error:  # torch raises many kinds for damaged files
        raise WeightsError(
            f"{path}: neither safetensors nor a torch checkpoint that can be read ({_one_line(error)})"
        ) from error
    return _unwrap(content, path)


def _unwrap(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for key in _WRAPPERS:
            if isinstance(content.get(key), Mapping):
                content = content[key]
                break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path}: expected a mapping of names to tensors (a state dict); found something else")
    tensors = {str(name): tensor for name, tensor in content.items()}
    if tensors and all(name.startswith(_PARALLEL) for name in tensors):
        return {name.removeprefix(_PARALLEL): tensor for name, tensor in tensors.items()}
    return tensors


def _one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
