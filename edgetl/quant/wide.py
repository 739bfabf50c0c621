"""Finds values that one scale for a whole tensor cannot hold: what most channels say would be rounded away.

Batch norm lets a network give one channel a hundred times the range of another, and SiLU does not cut the large ones
off as ReLU6 does. In 8 bits the small channels then have a step or two. Such values stay float, and so do the layers
that read them (docs/decisions/0024-wide-channels.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from edgetl.pivot.parts import Inputs

LARGEST_NOISE = 0.04
"""Share of the variance of a layer's outputs, the mean over its channels, that rounding what it reads may add."""

_aten = torch.ops.aten
_LAYERS = (_aten.conv1d.default, _aten.conv2d.default, _aten.conv2d.padding)
_STEPS = 255
_SILENT = 1e-9  # variance of a channel that always gives the same


@torch.no_grad()
def too_wide(graph: GraphModule, look: Callable[[], Inputs]) -> frozenset[str]:
    """Names of the SiLUs in a captured float graph whose results are not to be rounded.

    look  gives inputs of the graph for a few images; called only if there is a SiLU
    """
    smooth = [node for node in graph.graph.nodes if node.target is _aten.silu.default]
    if not smooth:
        return frozenset()
    seen = _Seen(graph)
    seen.run(*look())
    return frozenset(node.name for node in smooth if _noise(node, seen) > LARGEST_NOISE)


class _Seen(Interpreter):
    """Runs a graph and keeps the range of each SiLU and the variances of each convolution's channels."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.lengths: dict[Node, float] = {}
        self.variances: dict[Node, Tensor] = {}

    def run_node(self, n: Node) -> Any:
        found = super().run_node(n)
        if n.target is _aten.silu.default:
            self.lengths[n] = float(found.max() - found.min())
        elif n.target in _LAYERS:
            self.variances[n] = found.transpose(0, 1).flatten(1).var(1)
        return found


def _noise(node: Node, seen: _Seen) -> float:
    """The largest mean share of rounding noise in what the convolutions that read `node` give.

    Rounding adds step^2 / 12 to the variance of each value, and a sum of them, weighted, w^2 times that.
    """
    noise = (seen.lengths[node] / _STEPS) ** 2 / 12
    shares = [0.0]
    for layer in node.users:
        weight: Any = layer.args[1] if layer in seen.variances else None
        if isinstance(weight, Node) and weight.op == "get_attr":
            variances = seen.variances[layer]
            alive = variances > _SILENT
            added = noise * seen.fetch_attr(str(weight.target)).square().flatten(1).sum(1)
            shares.append(float((added / variances)[alive].clamp(max=1).mean()) if alive.any() else 0.0)
    return max(shares)
