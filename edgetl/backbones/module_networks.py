"""A torch network of the user's own: a function in a Python file, called with the number of classes.

    def make(num_classes: int) -> torch.nn.Module

The module takes normalized float32 (N, 3, height, width) and gives logits (N, num_classes). Its attributes may be:

    input_size  side in pixels, or (height, width); else `backbone.input_size` of the recipe says it
    mean, std   of pixels from 0 to 1, three numbers each; ImageNet's otherwise
    classifier  name of the linear layer that gives the logits, whose input are the features; else the last one is

The file is run, as the recipe asks. Its digest is part of every result; what it imports must be installed packages, not
files beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from torch import nn

from edgetl.backbones.plan import IMAGENET_MEAN, IMAGENET_STD, Native, Plan
from edgetl.errors import UsageError, WeightsError
from edgetl.files.digest import file_digest
from edgetl.recipes.recipe import Backbone

_PROBED_CLASSES = 2
_COLORS = 3


def plan_by_file(backbone: Backbone, path: Path) -> Plan:
    """path  of the file that `backbone.name` names. Raises UsageError for whatever the file raises."""
    function = backbone.name.rpartition(":")[2]
    arguments = {"file": str(path), "sha256": file_digest(path), "function": function}
    network = construct(path.name, arguments, _PROBED_CLASSES)
    return Plan("module", path.name, _native(network, backbone, f"{path}:{function}"), arguments)


def construct(architecture: str, model_args: Mapping[str, object], num_classes: int) -> nn.Module:
    """The network with a head of `num_classes`. Raises UsageError, WeightsError if the file is another one."""
    path, function = Path(str(model_args["file"])), str(model_args["function"])
    where = f"{path}:{function}"
    try:
        found = file_digest(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the network's file: {error.strerror or error}") from error
    if found != model_args["sha256"]:
        raise WeightsError(f"{path}: changed since the network was adapted; run the same command again")
    make = _function(path, function, where)
    try:
        network = make(num_classes)
    except Exception as error:  # the user's own code
        raise UsageError(f"{where}: {_said(error)}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{where}: expected a torch.nn.Module; found {type(network).__name__}")
    return network


def _function(path: Path, function: str, where: str) -> Callable[[int], Any]:
    name = f"edgetl_own_{file_digest(path)[:16]}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and torch look their module up
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # the user's own code
            del sys.modules[name]
            raise UsageError(f"{path}: {_said(error)} (backbone.module)") from error
    make = getattr(sys.modules[name], function, None)
    if not callable(make):
        raise UsageError(f"{path}: has no function `{function}` (backbone.module); define {function}(num_classes)")
    found: Callable[[int], Any] = make
    return found


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _native(network: nn.Module, backbone: Backbone, where: str) -> Native:
    stated = getattr(network, "input_size", None)
    size = backbone.height_and_width() or _pair(stated, where)
    mean, std = (
        _three(network, name, usual, where) for name, usual in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD))
    )
    return Native(*size, mean, std)


def _pair(stated: object, where: str) -> tuple[int, int]:
    sides = stated if isinstance(stated, tuple | list) else (stated, stated)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UsageError(
            f"{where}: expected the attribute input_size, pixels or (height, width); found {stated!r}; "
            "or set backbone.input_size"
        )
    return int(sides[0]), int(sides[1])


def _three(network: nn.Module, name: str, usual: tuple[float, float, float], where: str) -> tuple[float, float, float]:
    stated = getattr(network, name, usual)
    try:
        values = tuple(float(each) for each in stated)
    except (TypeError, ValueError):
        values = ()
    if len(values) != _COLORS:
        raise UsageError(f"{where}: {name}: expected three numbers, for red, green and blue; found {stated!r}")
    return values[0], values[1], values[2]
