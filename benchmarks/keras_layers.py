"""Writes a trained torch classifier as a list of layers and their arrays, from which `keras_network.py` builds it.

Keras' own weights cannot be had offline; with those of a torch network, a file of tf2onnx has a real accuracy.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from timm.layers import BatchNormAct2d, Conv2dSame, SelectAdaptivePool2d
from torch import fx, nn
from torch.nn import functional

from edgetl.errors import EdgetlError

LAYERS_FILE, ARRAYS_FILE = "layers.json", "arrays.npz"
_LEAVES = (BatchNormAct2d, SelectAdaptivePool2d)
_ACTIVATIONS = {"ReLU": "relu", "ReLU6": "relu6", "Hardswish": "hard_swish", "HardSwish": "hard_swish"}
_ACTIVATIONS |= {"Hardsigmoid": "hard_sigmoid", "HardSigmoid": "hard_sigmoid"}
_CALLS: dict[Any, str] = {operator.add: "add", operator.mul: "multiply", torch.cat: "concatenate"}
_NOTHING = ("Identity", "Dropout", "Flatten")

Step = dict[str, Any]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _LEAVES) or not list(m.children())


def write_layers(network: nn.Module, size: int, folder: Path) -> None:
    """Write `layers.json` and `arrays.npz` into the existing `folder`. Raises EdgetlError for an unknown layer."""
    steps: list[Step] = []
    arrays: dict[str, NDArray[np.generic]] = {}
    names: dict[str, str] = {}  # of a node's value: that of the last step made for it
    parts = dict(network.named_modules())
    for node in _Tracer().trace(network).nodes:
        sources = [names[each.name] for each in node.all_input_nodes]
        if node.op in ("placeholder", "output"):
            names[node.name] = sources[0] if sources else "image"
            continue
        made = _of_module(parts[str(node.target)]) if node.op == "call_module" else [_of_call(node)]
        for number, (step, values) in enumerate(made):
            name = f"{node.name}_{number}"
            arrays |= {f"{name}/{key}": value.detach().numpy() for key, value in values.items()}
            steps.append({"name": name, "inputs": sources, **step})
            sources = [name]
        names[node.name] = sources[0]
    (folder / LAYERS_FILE).write_text(json.dumps({"size": size, "steps": steps}), encoding="utf-8")
    np.savez(folder / ARRAYS_FILE, **arrays)  # type: ignore[arg-type]  # its stub takes any keyword for `allow_pickle`


Made = tuple[Step, dict[str, torch.Tensor]]


def _of_module(part: nn.Module) -> list[Made]:
    kind = type(part).__name__
    if isinstance(part, nn.Conv2d):
        return [_convolution(part)]
    if isinstance(part, nn.BatchNorm2d):
        kept = {"weight": part.weight, "bias": part.bias, "mean": part.running_mean, "variance": part.running_var}
        norm: Made = ({"kind": "norm", "epsilon": part.eps}, {k: v for k, v in kept.items() if v is not None})
        return [norm, *(_of_module(part.act) if isinstance(part, BatchNormAct2d) else [])]
    if isinstance(part, nn.Linear):
        return [({"kind": "linear"}, {"weight": part.weight, "bias": part.bias})]
    if isinstance(part, nn.MaxPool2d):
        return [({"kind": "max_pool", "size": part.kernel_size, "stride": part.stride, "pad": part.padding}, {})]
    if isinstance(part, (SelectAdaptivePool2d, nn.AdaptiveAvgPool2d)):
        return [({"kind": "mean"}, {})]
    if kind in _ACTIVATIONS:
        return [({"kind": "activation", "function": _ACTIVATIONS[kind]}, {})]
    if kind in _NOTHING:
        return []
    raise EdgetlError(f"keras_layers.py: {kind}: no layer of Keras is known for it")


def _convolution(part: nn.Conv2d) -> Made:
    pad, side, stride = (int(each[0]) for each in (part.padding, part.kernel_size, part.stride))
    same = isinstance(part, Conv2dSame) or (stride == 1 and pad == side // 2)
    values = {"weight": part.weight} | ({} if part.bias is None else {"bias": part.bias})
    depthwise = part.groups == part.in_channels == part.out_channels
    return {"kind": "depthwise" if depthwise else "conv", "stride": stride, "pad": "same" if same else pad}, values


def _of_call(node: fx.Node) -> Made:
    target: str | Callable[..., Any] = node.target
    if target in _CALLS:
        return {"kind": _CALLS[target]}, {}
    if target == "mean":
        return {"kind": "mean"}, {}
    if target in (torch.flatten, "flatten"):
        return {"kind": "flatten"}, {}
    if target is operator.getitem:
        return {"kind": "thin"}, {}
    if target is functional.pad:
        return {"kind": "widen", "channels": list(node.args[1])[-2:]}, {}  # type: ignore[arg-type]
    raise EdgetlError(f"keras_layers.py: {target}: no layer of Keras is known for it")
