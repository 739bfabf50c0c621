"""Finds and replaces parts that INT8 runtimes compute in float: hard-swish and similar activations become ReLU or
ReLU6, squeeze-and-excitation gates become constants that are merged into an adjacent layer.

This module only changes the structure, as a pure function of network and input size, so that `rebuild` gives a network
that fits the saved state. `edgetl.quant.simplify` computes the values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgetl.errors import WeightsError
from edgetl.types.findings import Replaceable

RELU, RELU6, NO_GATES = "relu", "relu6", "no-gates"
SURGERIES = (RELU, RELU6, NO_GATES)

_SMOOTH = frozenset(
    [
        "Hardswish",
        "HardSwish",
        "HardSwishMe",
        "SiLU",
        "Swish",
        "SwishMe",
        "Mish",
        "HardMish",
        "HardMishMe",
        "MishMe",
        "GELU",
        "GELUTanh",
        "QuickGELU",
    ]
)
_GATES = frozenset(["SqueezeExcite", "SEModule", "EffectiveSEModule", "SqueezeExcitation"])
# these norms run in float themselves, and statistics measured again on the shots have no place to go
_OTHER_NORMS = (nn.LayerNorm, nn.GroupNorm)
# exact types: a subclass that computes its weights in forward (weight standardization) would undo a factor on them
_CONVOLUTIONS = frozenset({"Conv2d", "Conv2dSame"})


@dataclass(frozen=True)
class Fold:
    """Where a gate's constant goes: through the input channels of the convolution after it, into the batch norm before
    it, or nowhere (`layer` empty): then a multiplication stays. `channels` of the gate."""

    gate: str
    channels: int
    into: Literal["convolution", "norm", "nothing"]
    layer: str = ""


class ChannelScale(nn.Module):
    """(N, C, H, W) times a constant per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def replaceable(network: nn.Module) -> Replaceable:
    """The parts that `operate` would replace; nothing in networks without batch norms, or that also have layer or group
    norms."""
    return Replaceable(len(smooth_activations(network)), len(gates(network)))


def smooth_activations(network: nn.Module) -> list[str]:
    """Names of the activations that become ReLU or ReLU6. Those inside gates are treated with their gate."""
    inside = tuple(f"{gate}." for gate in gates(network))
    return [name for name in _named(network, _SMOOTH) if not name.startswith(inside)]


def gates(network: nn.Module) -> list[str]:
    """Names of the squeeze-and-excitation gates."""
    return _named(network, _GATES)


def folds(network: nn.Module, shape: tuple[int, ...]) -> list[Fold]:
    """Where the constant of each gate goes, found by following one input of `shape` through it, on the CPU."""
    names = gates(network)
    if not names:
        return []
    watch = _Watch(network, names)
    with torch.no_grad(), watch.hooked(), watch:
        network(torch.zeros(1, *shape))
    return [watch.fold(name) for name in names]


def operate(network: nn.Module, surgery: Sequence[str], shape: tuple[int, ...]) -> nn.Module:
    """Replace in `network` itself what `surgery` names, leave all weights; returns it.

    Raises WeightsError for a name that is none of `SURGERIES`.
    """
    unknown = sorted(set(surgery) - set(SURGERIES))
    if unknown:
        raise WeightsError(f"unknown surgery {', '.join(unknown)}; this version knows {', '.join(SURGERIES)}")
    if NO_GATES in surgery:
        drop_gates(network, folds(network, shape))
    plain = {RELU: nn.ReLU, RELU6: nn.ReLU6}
    for kind in (name for name in surgery if name in plain):
        for name in smooth_activations(network):
            network.set_submodule(name, plain[kind]())
    return network.eval()


def drop_gates(network: nn.Module, places: Sequence[Fold]) -> None:
    """Remove gates whose constant goes into another layer; replace the others by a multiplication."""
    for place in places:
        left = ChannelScale(place.channels) if place.into == "nothing" else nn.Identity()
        network.set_submodule(place.gate, left)


def _named(network: nn.Module, kinds: Collection[str]) -> list[str]:
    modules = list(network.named_modules(remove_duplicate=False))
    by_batch = any(isinstance(module, nn.BatchNorm2d) for _, module in modules)
    if not by_batch or any(isinstance(module, _OTHER_NORMS) for _, module in modules):
        return []
    return [name for name, module in modules if type(module).__name__ in kinds]


class _Watch(TorchFunctionMode):
    """Which modules write each gate's input and read its output, and whether any others do."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self._network, self._names = network, set(names)
        self._inside = 0
        self._norms: list[tuple[Tensor, str]] = []  # tensors are kept alive, so that identity means identity
        self._inputs: dict[str, Tensor] = {}
        self._outputs: dict[str, Tensor] = {}
        self._readers: dict[str, str] = {}
        self._calls: dict[str, int] = {}
        self._uses: dict[int, int] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        # reading a shape does not count as a use
        if not self._inside and getattr(func, "__name__", "") != "__get__":
            for value in (*_tensors(args), *_tensors(tuple((kwargs or {}).values()))):
                self._uses[id(value)] = self._uses.get(id(value), 0) + 1
        return func(*args, **(kwargs or {}))

    def fold(self, gate: str) -> Fold:
        channels = self._outputs[gate].shape[1]
        output, entering = self._outputs[gate], self._inputs[gate]
        reader = self._readers.get(gate, "")
        if reader and self._calls[reader] == self._calls[gate] == 1 and self._uses.get(id(output), 0) == 1:
            return Fold(gate, channels, "convolution", reader)
        norm = next((name for tensor, name in self._norms if tensor is entering), "")
        if norm and self._calls[norm] == self._calls[gate] == 1 and not self._uses.get(id(entering), 0):
            return Fold(gate, channels, "norm", norm)
        return Fold(gate, channels, "nothing")

    @contextmanager
    def hooked(self) -> Iterator[None]:
        removers: list[Callable[[], None]] = []
        for name, module in self._network.named_modules(remove_duplicate=False):
            if name in self._names:
                removers += [
                    module.register_forward_pre_hook(self._enter(name)).remove,
                    module.register_forward_hook(self._leave(name)).remove,
                ]
            elif type(module).__name__ in _CONVOLUTIONS:
                removers.append(module.register_forward_pre_hook(self._reader(name)).remove)
            elif isinstance(module, nn.BatchNorm2d) and module.affine and _is_bare(module):
                removers.append(module.register_forward_hook(self._norm(name)).remove)
        try:
            yield
        finally:
            for remove in removers:
                remove()

    def _enter(self, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._inside += 1
            self._inputs[name] = args[0]
            self._calls[name] = self._calls.get(name, 0) + 1

        return hook

    def _leave(self, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            self._inside -= 1
            self._outputs[name] = output
            self._uses[id(output)] = 0  # what lived there before had the same id

        return hook

    def _reader(self, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._calls[name] = self._calls.get(name, 0) + 1
            for gate, output in self._outputs.items():
                if output is args[0]:
                    self._readers[gate] = name

        return hook

    def _norm(self, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            self._calls[name] = self._calls.get(name, 0) + 1
            self._norms.append((output, name))
            self._uses[id(output)] = 0

        return hook


def _is_bare(norm: nn.Module) -> bool:
    # timm's BatchNormAct2d applies its activation itself
    return isinstance(getattr(norm, "act", None), nn.Identity | None)


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
