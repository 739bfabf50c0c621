"""Cross-layer equalization: scale channels between two layers so that both have weights of one size per channel.

Nagel et al. 2019, arXiv:1906.04721, section 4.1. Dividing channel i of the first layer (and its bias) by s_i and
multiplying what the second layer reads of it by s_i does not change the network if the operators between them commute
with a positive factor. ReLU does, and so does no operator at all. ReLU6 does not: relu6(x / s) * s clips at 6 s instead
of 6. The paper replaces it by ReLU, another function, whose larger range 8 bits then have to cover; here such pairs
stay as they are. Nor does a bias grow beyond the layer's largest one: the paper absorbs such biases into the next layer
afterwards, which is approximate too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from edgetl.errors import ParityError
from edgetl.pivot.compute import is_depthwise
from edgetl.pivot.from_torch import capture

SWEEPS = 20  # over all pairs: a depthwise layer is in two, whose factors settle together
MAX_RELATIVE_DIFFERENCE = 1e-4
_LARGEST_FACTOR = 1e3  # of a channel, over all sweeps; and the inverse of the smallest
_aten = torch.ops.aten
_CONVOLUTIONS = frozenset({_aten.conv2d.default, _aten.conv2d.padding})
_COMMUTES = frozenset({_aten.relu.default, _aten.clone.default, _aten.alias.default})


@dataclass(frozen=True)
class Equalized:
    """An equalized copy.

    pairs                how many pairs of layers it has
    places               of the convolutions in them among all `convolutions`, in the order of the captured graph
    relative_difference  largest difference of the outputs on random input as a share of the largest output
    """

    module: nn.Module
    pairs: int
    places: tuple[int, ...]
    convolutions: int
    relative_difference: float


@dataclass(frozen=True)
class Pair:
    """Two convolutions with at most a positively homogeneous function between them, by the names of their parameters.

    first_bias  empty if it has none
    groups      of the second
    places      of both among the convolutions of the graph
    """

    first: str
    first_bias: str
    second: str
    groups: int
    places: tuple[int, int]


@torch.no_grad()
def equalize(folded: nn.Module, height: int, width: int) -> Equalized:
    """A copy of a folded network, equalized wherever that is exact.

    folded  float32 (N, 3, height, width) -> (N, classes), batch norms folded, on the CPU; left untouched
    raises  BackendError if the network cannot be captured, ParityError if the copy is another function.
    """
    module = copy.deepcopy(folded).eval()
    parameters = dict(module.named_parameters())
    captured = capture(copy.deepcopy(module), height, width)
    found = [pair for pair in pairs(captured) if _usable(pair, parameters)]
    scalings = [_Scaling(pair, parameters) for pair in found]
    for _ in range(SWEEPS):
        for scaling in scalings:
            scaling.settle()
    difference = _difference(folded, module, height, width)
    if not difference <= MAX_RELATIVE_DIFFERENCE:
        raise ParityError(
            f"equalizing {len(found)} pairs of layers of {type(folded).__name__} changed it: outputs on random input "
            f"differ by {difference:.2g} of their range, allowed is {MAX_RELATIVE_DIFFERENCE:g}; "
            "set quantize.equalize: false"
        )
    places = sorted({place for pair in found for place in pair.places})
    return Equalized(module, len(found), tuple(places), len(_convolutions(captured)), difference)


def pairs(captured: GraphModule) -> Iterator[Pair]:
    """The pairs of convolutions of a captured network that can be equalized exactly, in the order of the graph."""
    shared = _used_more_than_once(captured)
    convolutions = _convolutions(captured)
    for place, node in enumerate(convolutions):
        second = _only_user(node)
        while second is not None and second.target in _COMMUTES:
            second = _only_user(second)
        if second is None or second.target not in _CONVOLUTIONS:
            continue
        first, bias, reading = _name(node, 1), _name(node, 2), _name(second, 1)
        groups = second.args[6] if len(second.args) > 6 else 1
        if not shared.intersection((first, bias, reading)):
            yield Pair(first, bias, reading, int(str(groups)), (place, convolutions.index(second)))


def _convolutions(captured: GraphModule) -> list[Node]:
    return [node for node in captured.graph.nodes if node.target in _CONVOLUTIONS]


class _Scaling:
    """The factors s of one pair, (channels,), and the bounds they keep over all sweeps.

    A channel that has hardly any weights would get a tiny s, and its bias and with it the range of all activations
    would grow without end: no |bias| / s may be larger than the layer's largest |bias| was.
    """

    def __init__(self, pair: Pair, parameters: dict[str, nn.Parameter]) -> None:
        self._first, self._second = parameters[pair.first], parameters[pair.second]
        self._bias = parameters[pair.first_bias] if pair.first_bias else None
        self._reading = 1 if pair.groups == 1 else 0  # the axis of the second's weight that counts the first's channels
        self._total = torch.ones(len(self._first))
        self._least = torch.full_like(self._total, 1 / _LARGEST_FACTOR)
        if self._bias is not None:
            magnitudes = self._bias.detach().abs()
            self._least = torch.maximum(self._least, magnitudes / magnitudes.max().clamp(min=1e-30))

    def settle(self) -> None:
        """Make the ranges of both layers equal as far as the bounds allow."""
        wanted = self._total * _factors(_ranges(self._first, 0), _ranges(self._second, self._reading))
        total = torch.maximum(wanted, self._least).clamp(max=_LARGEST_FACTOR)
        factors, self._total = total / self._total, total
        self._first.div_(factors.reshape(-1, 1, 1, 1))
        if self._bias is not None:
            self._bias.div_(factors)
        self._second.mul_(factors.reshape((1, -1, 1, 1) if self._reading else (-1, 1, 1, 1)))


def _factors(first: Tensor, second: Tensor) -> Tensor:
    """s = sqrt(first / second), which makes both sqrt(first * second): eq. 11 of the paper; 1 for dead channels."""
    dead = (first <= 0) | (second <= 0)
    return torch.where(dead, torch.ones_like(first), first / second.clamp(min=1e-30)).sqrt()


def _ranges(weight: Tensor, axis: int) -> Tensor:
    """Largest magnitude of the slices along an axis."""
    return weight.detach().abs().movedim(axis, 0).flatten(1).amax(1)


def _only_user(node: Node) -> Node | None:
    users = list(node.users)
    # a second use of the tensor would see the factor
    return users[0] if len(users) == 1 and users[0].args and users[0].args[0] is node else None


def _name(node: Node, position: int) -> str:
    """The name of an argument that is a parameter, or of the node that computes it; empty if there is none."""
    argument = node.args[position] if len(node.args) > position else None
    return str(argument.target) if isinstance(argument, Node) else ""


def _used_more_than_once(captured: GraphModule) -> set[str]:
    users: dict[str, int] = {}
    for node in captured.graph.nodes:
        if node.op == "get_attr":
            users[str(node.target)] = users.get(str(node.target), 0) + len(node.users)
    return {name for name, count in users.items() if count > 1}


def _usable(pair: Pair, parameters: dict[str, nn.Parameter]) -> bool:
    # a weight that is computed, or a parameter that the capture renamed, has no place to be written to
    names = (pair.first, pair.second, *([pair.first_bias] if pair.first_bias else []))
    if any(name not in parameters for name in names):
        return False
    return pair.groups == 1 or is_depthwise(parameters[pair.second].shape, pair.groups)


def _difference(before: nn.Module, after: nn.Module, height: int, width: int) -> float:
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    expected, found = before.eval()(x), after(x)
    return float((expected - found).abs().max() / expected.abs().max().clamp(min=1e-6))
