"""edgetl's own networks for series, by name; what each sees under a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType

from torch import Tensor, nn

from edgetl.backbones.plan import Plan
from edgetl.backbones.series import minirocket, recurrent, resnet_1d
from edgetl.backbones.series.native import NAMES, WindowSource
from edgetl.errors import UsageError
from edgetl.files.text import nearest
from edgetl.recipes.recipe import Backbone
from edgetl.types import SeriesPreprocessing
from edgetl.types.findings import Audit

NETWORKS: Mapping[str, ModuleType] = {
    "minirocket": minirocket,
    "resnet_1d": resnet_1d,
    "gru": recurrent,
    "lstm": recurrent,
}
_FIRST = {"resnet_1d": "stem.0.0.weight", "gru": "recurrent.weight_ih_l0", "lstm": "recurrent.weight_ih_l0"}
"""The tensor whose second size is the number of channels."""
MOST_STEPS = 4096  # of `auto`


def plan_by_name(backbone: Backbone, source: WindowSource) -> Plan:
    """The network that `backbone` names, and its input. Raises UsageError for a name that is not for series."""
    name = backbone.name
    if name not in NETWORKS:
        raise UsageError(f"backbone.name: no network for series is called `{name}`; {nearest(name, NAMES)}")
    if backbone.weights is not None and name == "minirocket":
        raise UsageError("backbone.weights: `minirocket` is not trained, so it has no weights; leave it out")
    windows = source.windows
    steps = min(max(windows.lengths), MOST_STEPS) if source.series.steps == "auto" else source.series.steps
    native = SeriesPreprocessing(max(steps, 4), windows.mean, windows.std)
    arguments = {"channels": len(windows.mean), "steps": native.steps}
    return Plan("edgetl", name, native, arguments)


def with_own_channels(
    architecture: str, network: nn.Module, tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], Callable[[Audit], Audit]]:
    """Tensors of a network that saw other channels, with this one's fresh first layer in place of theirs; and what
    counts it in an audit as dropped and as new."""
    first = _FIRST.get(architecture, "")
    own, theirs = network.state_dict().get(first), tensors.get(first)
    if own is None or theirs is None or own.shape == theirs.shape or own.shape[0] != theirs.shape[0]:
        return dict(tensors), lambda audit: audit
    note = f"they saw {theirs.shape[1]} channels, these windows have {own.shape[1]}: the first layer is new"

    def counted(audit: Audit) -> Audit:
        dropped, new = (tuple(sorted({*names, first})) for names in (audit.dropped, audit.new))
        return replace(audit, matched=audit.matched - 1, dropped=dropped, new=new, notes=(*audit.notes, note))

    return {**tensors, first: own.clone()}, counted


def construct(architecture: str, model_args: Mapping[str, object], num_classes: int) -> nn.Module:
    """The network with random weights and a head of `num_classes`."""
    network: nn.Module = NETWORKS[architecture].construct(architecture, num_classes, **model_args)
    return network
