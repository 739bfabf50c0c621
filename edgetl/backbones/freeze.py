"""Chooses the parameters that keep their pretrained values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from edgetl.backbones.text.classifier import TextClassifier
from edgetl.errors import UsageError
from edgetl.files.text import nearest


@dataclass(frozen=True)
class Depth:
    """How much of a network is trained, besides the head.

    cut_after  the last part of an unbroken frozen beginning; empty if there is none
    by_block   names of what is trained, from input to output: a whole block, or what is free of it
    """

    title: str
    cut_after: str
    by_block: tuple[tuple[str, ...], ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The names without the blocks."""
        return tuple(name for block in self.by_block for name in block)


def last_parts(network: nn.Module, head: str, count: int) -> Depth:
    """Train the last `count` parts (`blocks`), or all if there are fewer."""
    names = blocks(network, head)
    count = min(count, len(names))
    frozen, trained = names[: len(names) - count], names[len(names) - count :]
    title = f"last {count} of {len(names)} parts" if frozen else f"all {len(names)} parts"
    return Depth(title, frozen[-1] if frozen else "", tuple((name,) for name in trained))


def all_but(network: nn.Module, head: str, patterns: Sequence[str]) -> Depth:
    """Train all parameters that no pattern names: a component prefix (`blocks.0`) or a wildcard (`*.conv_dw.*`,
    fnmatch).

    Raises UsageError for a pattern that names no parameter (nearest named), and if only the head is left.
    """
    names = [name for name, _ in network.named_parameters()]
    for pattern in patterns:
        if not any(matches(name, [pattern]) for name in names):
            near = nearest(pattern.rstrip("."), _valid(network, pattern))
            raise UsageError(f"adapt.freeze: no parameter under `{pattern}`; {near}")
    trained = [name for name in names if not matches(name, patterns) and not is_under(name, [head])]
    if not trained:
        raise UsageError("adapt.freeze: leaves no backbone parameter to fine-tune; use `strategy: probe` instead")
    by_block: list[tuple[str, ...]] = []
    cut_after, broken = "", False
    for part in blocks(network, head):
        inside = [name for name in names if is_under(name, [part])]
        free = [name for name in inside if name in set(trained)]
        if free:
            by_block.append((part,) if len(free) == len(inside) else tuple(free))
        broken = broken or bool(free)
        cut_after = cut_after if broken else part
    return Depth(f"all but {', '.join(patterns)}", cut_after, tuple(by_block))


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether `name` is under one of `patterns`, or matches a wildcard among them."""
    plain = [pattern.rstrip(".") for pattern in patterns]
    return is_under(name, plain) or any(fnmatchcase(name, pattern) for pattern in plain if set(pattern) & set("*?["))


def blocks(network: nn.Module, head: str) -> list[str]:
    """Names of the parts that carry parameters, in the order of the network's definition, containers opened once;
    of a network for texts, its layers.

    Parameters of the network itself (class tokens, position embeddings) come first: they belong to the stem.
    """
    if isinstance(network, TextClassifier):
        return list(network.parts)
    found = [name for name, _ in network.named_parameters(recurse=False)]
    for name, child in network.named_children():
        parts = [f"{name}.{inner}" for inner, _ in child.named_children()] if _is_container(child) else [name]
        found += [part for part in parts if _has_parameters(network, part) and not is_under(head, [part])]
    return found


def is_under(name: str, prefixes: Sequence[str]) -> bool:
    """Whether `name` is one of `prefixes` or below one: whole components, so `layer1` does not contain `layer10`."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def set_modes(network: nn.Module, *, train_batch_norm: bool = False) -> None:
    """Train mode, except for fully frozen modules and, unless requested, batch norms: their statistics stay."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        frozen = bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
        batch_norm = isinstance(module, nn.modules.batchnorm._NormBase)
        if frozen or (batch_norm and not train_batch_norm):
            module.eval()


def _is_container(module: nn.Module) -> bool:
    return isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)) and any(True for _ in module.children())


def _has_parameters(network: nn.Module, part: str) -> bool:
    return any(True for _ in network.get_submodule(part).parameters())


def _valid(network: nn.Module, prefix: str) -> list[str]:
    depth = prefix.count(".") + 1  # name what is as deep as the typo, so that the list stays short
    names = {name for name, module in network.named_modules() if name and any(True for _ in module.parameters())}
    return sorted(name for name in names if name.count(".") + 1 <= min(depth, 2))
