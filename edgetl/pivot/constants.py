"""Computes values of a captured graph that do not depend on the image once.

A reshaped layer scale, a relative position bias gathered from a table, a standardized weight: left as operators they
would look like activations and get ranges and rounding modules.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node, map_arg


@torch.no_grad()
def fold_constants(module: GraphModule) -> None:
    """Replace every tensor that is computed only from parameters and buffers by its own parameter or buffer.

    A value computed from a parameter becomes a parameter, so that it can be trained.
    """
    values: dict[Node, Any] = {}
    trained: set[Node] = set()
    for node in list(module.graph.nodes):
        if node.op == "get_attr":
            values[node] = _attribute(module, str(node.target))
            if isinstance(values[node], nn.Parameter):
                trained.add(node)
        elif node.op == "call_function" and _computable(node, values):
            values[node] = node.target(*map_arg(node.args, values.get), **map_arg(node.kwargs, values.get))
            if any(source in trained for source in node.all_input_nodes):
                trained.add(node)
    folded = [node for node in values if node.op != "get_attr" and any(user not in values for user in node.users)]
    for number, node in enumerate(folded):
        _replace(module, node, values[node], f"constant_{number}", parameter=node in trained)
    module.graph.eliminate_dead_code()
    module.recompile()


def _computable(node: Node, values: dict[Node, Any]) -> bool:
    sources = node.all_input_nodes
    return bool(sources) and not node.is_impure() and all(source in values for source in sources)


def _replace(module: GraphModule, node: Node, value: Any, name: str, *, parameter: bool) -> None:
    if not isinstance(value, Tensor):
        return  # several tensors: each that is taken out of them is replaced
    owned = value.detach().clone(memory_format=torch.contiguous_format)
    if parameter and owned.is_floating_point():
        module.register_parameter(name, nn.Parameter(owned))
    else:
        module.register_buffer(name, owned)
    with module.graph.inserting_before(node):
        constant = module.graph.get_attr(name)
    constant.meta = dict(node.meta)
    node.replace_all_uses_with(constant)


def _attribute(module: nn.Module, target: str) -> Any:
    owner, _, name = target.rpartition(".")
    return getattr(module.get_submodule(owner), name)
