"""Builds a backbone with a new head from audited weights, and describes it so that it can be rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.backbones import module_networks, timm_networks, torchvision_networks
from edgetl.backbones.audio import networks as sound_networks
from edgetl.backbones.audio.native import ClipSource
from edgetl.backbones.audit import load_audited
from edgetl.backbones.checkpoint import fill_strictly, read_sets
from edgetl.backbones.classifier import find_head
from edgetl.backbones.fitting import fit, spread_stem
from edgetl.backbones.hub import download
from edgetl.backbones.own_ways import JOINED_HEAD, SECOND_HEADS
from edgetl.backbones.plan import Native, Plan
from edgetl.backbones.replaceable import operate
from edgetl.backbones.series import networks as series_networks
from edgetl.backbones.series.native import WindowSource
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.backbones.text import networks as text_networks
from edgetl.backbones.text import transformer
from edgetl.backbones.text.native import TextSource
from edgetl.backbones.weights import TORCHVISION_PREFIX, model_file
from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.types import ImagePreprocessing, NetworkSpec, ResizePolicy, TextPreprocessing, WeightSource
from edgetl.types.findings import Audit

_LIBRARIES: Mapping[str, ModuleType] = {
    "timm": timm_networks,
    "torchvision": torchvision_networks,
    "transformers": transformer,
    "module": module_networks,
}
_OWN: Sequence[ModuleType] = (sound_networks, series_networks, text_networks)
Choice = ResizePolicy | ClipSource | WindowSource | TextSource
_FRESH_SEED = 0  # fresh heads (and random weights, where asked for) are the same in every run


def build(
    backbone: Backbone, source: WeightSource, num_classes: int, choice: Choice
) -> tuple[nn.Module, NetworkSpec, Audit]:
    """The network in eval mode on the CPU, float32: normalized (N, 3, height, width), mel frames
    (N, 1, frames, features), scaled channels (N, channels, steps) or tokens (N, length) -> logits (N, num_classes).

    `choice` says how images are resized, or what clips, windows or texts are like; `source` is what `weights.locate`
    found. The old classifier is always replaced. Raises UsageError (unknown name, unsuitable input size) and
    WeightsError (missing, unsafe or foreign weights).
    """
    plan = _plan(backbone, source, choice)
    network = _create(plan.library, plan.architecture, plan.model_args, num_classes)
    head = find_head(network, num_classes)
    if source.kind == "none" or not backbone.pretrained:
        audit = Audit(matched=0, dropped=(), new=tuple(sorted(network.state_dict())))
    else:
        audit = _fill(network, plan, source, head)
    spec = _describe(plan, backbone, num_classes, head, choice)
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


def _plan(backbone: Backbone, source: WeightSource, choice: Choice) -> Plan:
    if isinstance(choice, ClipSource):
        return sound_networks.plan_by_name(backbone, source, choice)
    if isinstance(choice, WindowSource):
        return series_networks.plan_by_name(backbone, choice)
    if isinstance(choice, TextSource):
        return text_networks.plan_by_name(backbone, source, choice)
    for front, networks in (("audio", sound_networks), ("series", series_networks), ("text", text_networks)):
        if backbone.name in networks.NETWORKS:
            raise UsageError(f"backbone.name: `{backbone.name}` is for front: {front}, not for front: image")
    if source.module:
        return module_networks.plan_by_file(backbone, Path(source.module))
    if source.kind == "local-dir":
        return timm_networks.plan_by_folder(Path(source.path))
    if backbone.name.startswith(TORCHVISION_PREFIX):
        return torchvision_networks.plan_by_name(backbone.name.removeprefix(TORCHVISION_PREFIX))
    return timm_networks.plan_by_name(backbone.name)


def _create(library: str, architecture: str, model_args: Mapping[str, object], num_classes: int) -> nn.Module:
    owners = [networks for networks in _OWN if library == "edgetl" and architecture in networks.NETWORKS]
    construct_one = (owners[0] if owners else _LIBRARIES[library]).construct
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_FRESH_SEED)
        network: nn.Module = construct_one(architecture, model_args, num_classes).float().eval()
        return network


def _fill(network: nn.Module, plan: Plan, source: WeightSource, head: str) -> Audit:
    sets, where = _sets(plan, source)
    if isinstance(plan.native, TextPreprocessing):
        return text_networks.fill(network, plan, sets, head, where)
    fitted = fit(network, sets, head, where)
    tensors, notes = spread_stem(network, fitted.tensors, plan, where)
    counted: Callable[[Audit], Audit] = _as_it_is
    if plan.architecture in series_networks.NETWORKS and plan.library == "edgetl":
        tensors, counted = series_networks.with_own_channels(plan.architecture, network, tensors)
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
    return counted(replace(audit, dropped=dropped, notes=(*fitted.notes, *notes)))


def _as_it_is(audit: Audit) -> Audit:
    return audit


def _sets(plan: Plan, source: WeightSource) -> tuple[Sequence[TensorSet], str]:
    if source.kind == "hub" and plan.library == "edgetl":
        raise sound_networks.no_hub(plan.architecture, source.held)
    if source.kind == "hub":
        return [TensorSet("", _hub_tensors(plan, source.held))], f"{plan.library} `{plan.architecture}` from the hub"
    path = model_file(Path(source.path)) if source.kind == "local-dir" else Path(source.path)
    return read_sets(path), str(path)


def _hub_tensors(plan: Plan, held: str) -> dict[str, Tensor]:
    with download(f"{plan.library} `{plan.architecture}`", held):
        if plan.library == "timm":
            return timm_networks.hub_tensors(plan.architecture, plan.model_args)
        return torchvision_networks.hub_tensors(plan.architecture)


def _describe(plan: Plan, backbone: Backbone, num_classes: int, head: str, choice: Choice) -> NetworkSpec:
    preprocessing = _image_input(plan, backbone, choice) if isinstance(choice, str) else plan.native
    assert not isinstance(preprocessing, Native)
    return NetworkSpec(
        plan.library, plan.architecture, plan.model_args, num_classes, head, preprocessing, licence=plan.licence
    )


def _image_input(plan: Plan, backbone: Backbone, resize: ResizePolicy) -> ImagePreprocessing:
    native = plan.native
    assert isinstance(native, Native)
    height, width = backbone.height_and_width() or (native.height, native.width)
    return ImagePreprocessing(
        height=height,
        width=width,
        resize=resize,
        mean=native.mean,
        std=native.std,
        crop_pct=native.crop_pct,
        interpolation=native.interpolation,
    )


def _fit_input(network: nn.Module, spec: NetworkSpec) -> None:
    if spec.library == "timm":
        native = timm_networks.native_size(spec.architecture, spec.model_args)
        size = (spec.image.height, spec.image.width)
        timm_networks.fit_input(network, spec.architecture, *size, native)
    network.eval()


def _prove(network: nn.Module, spec: NetworkSpec) -> None:
    if spec.preprocessing.front != "image":
        return  # the plan has proven that it fits
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
