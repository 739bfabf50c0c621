"""Which parameters stay as they were pretrained."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from edgetl.errors import UsageError
from edgetl.recipe import nearest

_FEW_SHOTS = 50  # per class; above, all of the network has data to learn from


def freeze(network: nn.Module, prefixes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Stop gradients for parameters under `prefixes`, allow them elsewhere. Names of (frozen, trained) parameters."""
    frozen: list[str] = []
    trained: list[str] = []
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not is_under(name, prefixes))
        (trained if parameter.requires_grad else frozen).append(name)
    return frozen, trained


def choose_prefixes(
    network: nn.Module, wanted: str | Sequence[str], *, head: str, shots_per_class: float
) -> tuple[str, ...]:
    """Prefixes to freeze. `auto`: the first half of the network's blocks when shots per class are few, else nothing.

    Raises UsageError for a prefix that matches no parameter (nearest named), and when nothing but the head is left.
    """
    if wanted == "auto":
        return _first_half(network, head) if shots_per_class < _FEW_SHOTS else ()
    prefixes = tuple(prefix.rstrip(".") for prefix in wanted)
    names = [name for name, _ in network.named_parameters()]
    for prefix in prefixes:
        if not any(is_under(name, [prefix]) for name in names):
            raise UsageError(f"adapt.freeze: no parameter under `{prefix}`; {nearest(prefix, _valid(network, prefix))}")
    if all(is_under(name, prefixes) for name in names if not is_under(name, [head])):
        raise UsageError("adapt.freeze: leaves no backbone parameter to fine-tune; use `strategy: probe` for that")
    return prefixes


def blocks(network: nn.Module, head: str) -> list[str]:
    """Names of the parts that carry parameters, in the order of the network's definition, containers opened once.

    Parameters of the network itself (class tokens, position embeddings) come first: they belong to the stem.
    """
    found = [name for name, _ in network.named_parameters(recurse=False)]
    for name, child in network.named_children():
        parts = [f"{name}.{inner}" for inner, _ in child.named_children()] if _is_container(child) else [name]
        found += [part for part in parts if _has_parameters(network, part) and not is_under(head, [part])]
    return found


def is_under(name: str, prefixes: Sequence[str]) -> bool:
    """True when `name` is one of `prefixes` or below one: whole components, so `layer1` does not hold `layer10`."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def set_modes(network: nn.Module) -> None:
    """Train mode, except for batch norms (their statistics stay) and modules that are frozen as a whole."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        frozen = bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
        if frozen or isinstance(module, nn.modules.batchnorm._NormBase):
            module.eval()


def _first_half(network: nn.Module, head: str) -> tuple[str, ...]:
    names = blocks(network, head)
    return tuple(names[: len(names) // 2])


def _is_container(module: nn.Module) -> bool:
    return isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)) and any(True for _ in module.children())


def _has_parameters(network: nn.Module, part: str) -> bool:
    return any(True for _ in network.get_submodule(part).parameters())


def _valid(network: nn.Module, prefix: str) -> list[str]:
    depth = prefix.count(".") + 1  # name what is as deep as the typo, so that the list stays short
    names = {name for name, module in network.named_modules() if name and any(True for _ in module.parameters())}
    return sorted(name for name in names if name.count(".") + 1 <= min(depth, 2))
