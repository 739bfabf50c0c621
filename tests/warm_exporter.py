"""Importing this exports a tiny network: what torch prepares at a first export, in three seconds, is there then.

The table of operators, which torch builds anew at each export (a second), is built once; it is only read afterwards.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch
from torch.onnx._internal.exporter import _registration

_registry: Any = _registration.ONNXRegistry
_registry.from_torchlib = staticmethod(functools.cache(_registry.from_torchlib))


def _export() -> None:
    batch = torch.export.Dim("batch", min=1, max=4)
    network, images = torch.nn.Conv2d(3, 4, 3).eval(), torch.zeros(2, 3, 8, 8)
    sizes = ({0: batch},)
    torch.onnx.export(network, (images,), dynamic_shapes=sizes, dynamo=True, opset_version=21, verbose=False)


with warnings.catch_warnings(), torch.no_grad():
    warnings.simplefilter("ignore")
    _export()
