"""Reads tensors from a checkpoint file without ever executing anything in it."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from edgetl.backbones.tensor_sets import TensorSet, find_sets
from edgetl.errors import WeightsError
from edgetl.files.file_kind import ONNX_REFUSAL, FileKind, describe
from edgetl.files.text import quoted, shortened

_EXPECTED = "expected the weights as a safetensors file or a PyTorch checkpoint"
_MAYBE_TORCH = ("torch", "pickle", "unknown", "tar")  # the oldest checkpoints are tar archives
_READABLE = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_REASON_CHARACTERS = 200
_NUMPY_SCALAR = import_module("numpy._core.multiarray").scalar
# Inert values that training programs write beside their tensors: settings, scores, places. None of them runs anything.
_INERT: list[Any] = [
    argparse.Namespace,
    pathlib.PosixPath,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    *((_NUMPY_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("_core", "core")),
]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, or of a torch file opened with weights_only. On the CPU, in the file's dtypes.

    If there are several sets of weights, the first of `find_sets`. Raises WeightsError as `read_sets` does.
    """
    return dict(read_sets(path)[0].tensors)


def read_sets(path: Path) -> tuple[TensorSet, ...]:
    """Every set of named tensors in a checkpoint, the preferred one first.

    The format is detected from the content, not from the suffix. Raises WeightsError for anything else: other kinds of
    files, truncated ones, pickled objects, values that are not finite.
    """
    kind = _kind(path)
    if kind.kind == "safetensors" or (kind.kind == "unknown" and path.suffix == ".safetensors"):
        return (_sound(TensorSet("", _read_safetensors(path)), path),)
    if kind.kind not in _MAYBE_TORCH:
        raise WeightsError(f"{path}: {ONNX_REFUSAL if kind.kind == 'onnx' else f'{_EXPECTED}; {kind.sentence}'}")
    return tuple(_sound(each, path) for each in find_sets(_read_torch(path), str(path)))


def write_checkpoint(state: Mapping[str, Tensor], path: Path) -> None:
    """Write as safetensors. Equal tensors give equal bytes; tensors that share memory are written separately."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    path.write_bytes(save(tensors))  # save_file would make the file readable by its owner only


def listed(names: list[str], most: int = 10) -> str:
    """`a, b, c and 7 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shortened(name, 200) for name in names[:most]) + more


def _kind(path: Path) -> FileKind:
    try:
        return describe(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights: {error.strerror}") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path, device="cpu"))
    except Exception as error:  # a damaged header fails in many ways, some of them torch's
        reason = _one_line(error) if isinstance(error, SafetensorError) else type(error).__name__
        raise WeightsError(f"{path}: not a complete safetensors file ({reason}); copy or download it again") from error


def _read_torch(path: Path) -> object:
    try:
        with torch.serialization.safe_globals(_INERT):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"the Python object {shortened(named[1], 80)}" if named else "pickled Python objects"
        raise WeightsError(
            f"{path}: contains {what}; pickled Python objects could run any code, so it was not opened; save only the "
            "tensors, with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
        ) from error
    except Exception as error:  # torch raises many kinds for damaged files
        raise WeightsError(
            f"{path}: not a readable PyTorch checkpoint: it is damaged or incomplete "
            f"({type(error).__name__}); copy or download it again"
        ) from error


def _sound(found: TensorSet, path: Path) -> TensorSet:
    """Raise WeightsError for tensors that no network can use."""
    if not found.tensors:
        raise WeightsError(f"{path}: expected named tensors; found none")
    floating = {name: tensor for name, tensor in found.tensors.items() if tensor.is_floating_point()}
    foreign = sorted({str(tensor.dtype) for tensor in floating.values() if tensor.dtype not in _READABLE})
    if foreign:
        raise WeightsError(
            f"{path}: contains numbers of the type {listed(foreign)}; save the weights as float32 or float16"
        )
    odd = [name for name, tensor in found.tensors.items() if tensor.layout != torch.strided or tensor.is_quantized]
    if odd:
        raise WeightsError(f"{path}: sparse or quantized tensors in {listed(odd)}; save plain float32 ones")
    broken = [name for name, tensor in floating.items() if not tensor.isfinite().all()]
    if broken:
        raise WeightsError(f"{path}: values that are not finite in {listed(broken)}; the file is damaged")
    return found


def _one_line(error: Exception) -> str:
    return shortened(quoted(str(error))[1:-1], _REASON_CHARACTERS) or type(error).__name__


def fill_strictly(network: nn.Module, state: Path, what: str) -> None:
    """Load a safetensors file with exactly the tensors of `network`, in place.

    what  the network, for the message
    Raises WeightsError naming the file if names or shapes differ.
    """
    tensors, own = read_checkpoint(state), network.state_dict()
    wrong = [
        name
        for name in sorted({*tensors, *own})
        if name not in tensors or name not in own or tensors[name].shape != own[name].shape
    ]
    if wrong:
        raise WeightsError(f"{state}: not the tensors of this {what}; they differ in {listed(wrong)}")
    network.load_state_dict(tensors, strict=True)
