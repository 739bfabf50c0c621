"""Builds a backbone with a new head from audited weights, and describes it so that it can be rebuilt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.backbones import timm_networks, torchvision_networks
from edgetl.backbones.audit import load_audited
from edgetl.backbones.checkpoint import fill_strictly, read_sets
from edgetl.backbones.classifier import find_head
from edgetl.backbones.findings import Audit
from edgetl.backbones.fitting import fit
from edgetl.backbones.gray import spread_stem
from edgetl.backbones.hub import download
from edgetl.backbones.own_ways import JOINED_HEAD, SECOND_HEADS
from edgetl.backbones.plan import Plan
from edgetl.backbones.replaceable import operate
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.backbones.weights import TORCHVISION_PREFIX, model_file
from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.types import ImagePreprocessing, NetworkSpec, ResizePolicy, WeightSource

_FRESH_SEED = 0  # fresh heads (and random weights, where asked for) are the same in every run


def build(
    backbone: Backbone, source: WeightSource, num_classes: int, resize: ResizePolicy
) -> tuple[nn.Module, NetworkSpec, Audit]:
    """The network in eval mode on the CPU, float32: normalized (N, 3, height, width) -> logits (N, num_classes).

    `source` is what `weights.locate` found for `backbone`. The old classifier is always replaced. Raises UsageError
    (unknown name, unsuitable input size) and WeightsError (missing, unsafe or foreign weights).
    """
    plan = _plan(backbone, source)
    network = _create(plan.library, plan.architecture, plan.model_args, num_classes)
    head = find_head(network, num_classes)
    if source.kind == "none" or not backbone.pretrained:
        audit = Audit(matched=0, dropped=(), new=tuple(sorted(network.state_dict())))
    else:
        audit = _fill(network, plan, source, head)
    spec = _describe(plan, backbone, num_classes, head, resize)
    _fit_input(network, spec)
    _prove(network, spec)
    return network, spec, audit


def rebuild(spec: NetworkSpec, state: Path) -> nn.Module:
    """The network exactly as it was saved: built from `spec`, filled strictly from a safetensors file. In eval mode.

    Needs no network access. Raises WeightsError naming the file if tensors and description do not belong together.
    """
    network = construct(spec)
    fill_strictly(network, state, spec.architecture)
    return network


def construct(spec: NetworkSpec) -> nn.Module:
    """The network of `spec` with fresh weights, in eval mode."""
    network = _create(spec.library, spec.architecture, spec.model_args, spec.num_classes)
    _fit_input(network, spec)
    return operate(network, spec.surgery, spec.preprocessing.network_shape)


def _plan(backbone: Backbone, source: WeightSource) -> Plan:
    if source.kind == "local-dir":
        return timm_networks.plan_by_folder(Path(source.path))
    if backbone.name.startswith(TORCHVISION_PREFIX):
        return torchvision_networks.plan_by_name(backbone.name.removeprefix(TORCHVISION_PREFIX))
    return timm_networks.plan_by_name(backbone.name)


def _create(library: str, architecture: str, model_args: Mapping[str, object], num_classes: int) -> nn.Module:
    construct_one = timm_networks.construct if library == "timm" else torchvision_networks.construct
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_FRESH_SEED)
        return construct_one(architecture, model_args, num_classes).float().eval()


def _fill(network: nn.Module, plan: Plan, source: WeightSource, head: str) -> Audit:
    sets, where = _sets(plan, source)
    fitted = fit(network, sets, head, where)
    tensors, notes = spread_stem(network, fitted.tensors, plan, where)
    droppable = (*plan.droppable, *(SECOND_HEADS if head == JOINED_HEAD else ()))
    settings: dict[str, Any] = {"head": head, "droppable": droppable, "name": plan.architecture}
    try:
        audit = load_audited(network, tensors, where=where, **settings)
    except WeightsError:
        converted = timm_networks.renamed(plan.architecture, network, tensors) if plan.library == "timm" else None
        if converted is None or converted.keys() == tensors.keys():
            raise
        audit = load_audited(network, converted, where=f"{where}, converted by timm", **settings)
    dropped = tuple(sorted({*audit.dropped, *fitted.outside}))
    return replace(audit, dropped=dropped, notes=(*fitted.notes, *notes))


def _sets(plan: Plan, source: WeightSource) -> tuple[Sequence[TensorSet], str]:
    if source.kind == "hub":
        return [TensorSet("", _hub_tensors(plan, source.held))], f"{plan.library} `{plan.architecture}` from the hub"
    path = model_file(Path(source.path)) if source.kind == "local-dir" else Path(source.path)
    return read_sets(path), str(path)


def _hub_tensors(plan: Plan, held: str) -> dict[str, Tensor]:
    with download(f"{plan.library} `{plan.architecture}`", held):
        if plan.library == "timm":
            return timm_networks.hub_tensors(plan.architecture, plan.model_args)
        return torchvision_networks.hub_tensors(plan.architecture)


def _describe(plan: Plan, backbone: Backbone, num_classes: int, head: str, resize: ResizePolicy) -> NetworkSpec:
    native = plan.native
    height, width = backbone.height_and_width() or (native.height, native.width)
    preprocessing = ImagePreprocessing(
        height=height,
        width=width,
        resize=resize,
        mean=native.mean,
        std=native.std,
        crop_pct=native.crop_pct,
        interpolation=native.interpolation,
    )
    return NetworkSpec(
        plan.library, plan.architecture, plan.model_args, num_classes, head, preprocessing, licence=plan.licence
    )


def _fit_input(network: nn.Module, spec: NetworkSpec) -> None:
    if spec.library == "timm":
        native = timm_networks.native_size(spec.architecture, spec.model_args)
        size = (spec.image.height, spec.image.width)
        timm_networks.fit_input(network, spec.architecture, *size, native)
    network.eval()


def _prove(network: nn.Module, spec: NetworkSpec) -> None:
    height, width = spec.image.height, spec.image.width
    try:
        with torch.inference_mode():
            shape = tuple(network(torch.zeros(1, 3, height, width)).shape)
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise UsageError(
            f"backbone.input_size: `{spec.architecture}` cannot take {height}x{width} pixels "
            f"({(str(error).strip().splitlines() or ['refused'])[0][:200]}); leave `input_size` out or enlarge it"
        ) from error
    if shape != (1, spec.num_classes):
        raise UsageError(
            f"`{spec.architecture}` returns an output of shape {shape} for one image; expected one row of "
            f"{spec.num_classes} logits: not a classification network"
        )
