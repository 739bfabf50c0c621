"""The weight-load audit: every tensor of a checkpoint is accounted for, or nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from edgetl.backbones.checkpoint import listed
from edgetl.errors import WeightsError
from edgetl.types.findings import Audit

_COUNTER = "num_batches_tracked"  # of a batch norm; not used in eval mode


def load_audited(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    head: str,
    droppable: Sequence[str] = (),
    where: str,
    name: str,
) -> Audit:
    """Fill `network` in place from `tensors`, except for the classifier `head`, which stays fresh.

    `droppable` are further name prefixes that the checkpoint may have but the network does not (auxiliary heads).
    `where` and `name` (of the architecture) go into the error. Floating tensors take the network's dtype. Raises
    WeightsError, and changes nothing, when a tensor is missing, unexpected, of another shape or of another kind.
    """
    state = network.state_dict()
    in_head = {name for name in {*state, *tensors} if _under(name, head)}
    expected = {name for name in tensors if name in in_head or name.startswith(tuple(droppable))}
    problems = [*_wrong(state, tensors, in_head), *_absent(state, tensors, in_head, expected)]
    if problems:
        raise WeightsError(_refusal(where, name, problems, total=len(state)))
    shared = [name for name in state if name in tensors and name not in in_head]
    with torch.no_grad():
        for name in shared:
            state[name].copy_(tensors[name])  # casts float16 to the network's float32
    return Audit(
        matched=len(shared),
        dropped=tuple(sorted(name for name in tensors if name not in shared)),
        new=tuple(sorted(set(state) - set(shared))),
    )


def _wrong(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor], in_head: set[str]) -> list[str]:
    found = []
    for name in (name for name in state if name in tensors):
        have, want = tensors[name], state[name]
        skip = 1 if name in in_head else 0  # the old classifier may differ in its number of classes, in nothing else
        if have.ndim != want.ndim or have.shape[skip:] != want.shape[skip:]:
            found.append(f"{name} has shape {_shape(have)}, the network {_shape(want)}")
        elif have.is_floating_point() != want.is_floating_point():
            found.append(f"{name} is {have.dtype}, the network's {want.dtype}")
    return found


def _absent(
    state: Mapping[str, Tensor], tensors: Mapping[str, Tensor], in_head: set[str], expected: set[str]
) -> list[str]:
    missing = [name for name in state if name not in tensors and name not in in_head and not name.endswith(_COUNTER)]
    unexpected = [
        name for name in tensors if name not in state and name not in expected and not name.endswith(_COUNTER)
    ]
    return [f"{name} is missing" for name in missing] + [f"{name} is not in the network" for name in unexpected]


def _refusal(where: str, name: str, problems: list[str], total: int) -> str:
    return (
        f"{where}: these weights do not fit `{name}`: {len(problems)} problems against its {total} "
        f"tensors: {listed(problems)}. They may belong to another architecture, or have been trained with other "
        f"arguments: "
        "name the right architecture, or use `local-dir:PATH`, whose config.json has it"
    )


def _under(name: str, prefix: str) -> bool:
    return name.startswith(prefix + ".")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "()"
