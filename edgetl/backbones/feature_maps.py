"""The feature maps of a classification network at several strides, as a network of its own: what a detector stands on.

The part after the last map, classifier included, is cut off. Layers keep the names they have in the whole network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import create_feature_extractor
from torch import Tensor, fx, nn

from edgetl.backbones.load import build, construct
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Backbone
from edgetl.types import NetworkSpec, ResizePolicy, WeightSource
from edgetl.types.findings import Audit

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLASSES = 2  # of a classifier that is cut off
_COUNTER = "num_batches_tracked"


class FeatureMaps(nn.Module):
    """Normalized images (N, 3, H, W) -> one map (N, C, H / stride, W / stride) for each of `strides`, ascending."""

    def __init__(self, body: fx.GraphModule, strides: tuple[int, ...], channels: tuple[int, ...]) -> None:
        super().__init__()
        self.body, self.strides, self.channels = body, strides, channels

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps: Mapping[str, Tensor] = self.body(images)
        return tuple(maps.values())

    def layers_until(self, stride: int) -> tuple[str, ...]:
        """Names of the parameters that the map of `stride` depends on."""
        outputs = next(node for node in self.body.graph.nodes if node.op == "output").args[0]
        assert isinstance(outputs, dict)
        seen = _ancestors(list(outputs.values())[self.strides.index(stride)])
        modules = {str(node.target) for node in seen if node.op == "call_module"}
        plain = {str(node.target) for node in seen if node.op == "get_attr"}
        return tuple(
            f"body.{name}"
            for name, _ in self.body.named_parameters()
            if name in plain or any(name.startswith(f"{module}.") for module in modules)
        )


def build_feature_maps(
    backbone: Backbone, source: WeightSource, resize: ResizePolicy, strides: Sequence[int]
) -> tuple[FeatureMaps, NetworkSpec, Audit]:
    """The maps of an audited classification network, in eval mode; `spec` describes the whole of it, for
    `construct_feature_maps`. Raises UsageError and WeightsError, as `load.build` does, and as `feature_maps` does."""
    network, spec, audit = build(backbone, source, _CLASSES, resize)
    loaded = set(network.state_dict()) - set(audit.new)
    maps = feature_maps(network, spec, strides)
    own = {name.removeprefix("body.") for name in maps.state_dict()}
    unused = sorted(name for name in loaded - own if not name.endswith(_COUNTER))
    return maps, spec, Audit(len(loaded & own), tuple(sorted({*audit.dropped, *unused})), (), audit.notes)


def construct_feature_maps(spec: NetworkSpec, strides: Sequence[int]) -> FeatureMaps:
    """The same network with random weights."""
    return feature_maps(construct(spec), spec, strides)


def feature_maps(network: nn.Module, spec: NetworkSpec, strides: Sequence[int]) -> FeatureMaps:
    """Cut the maps out of `network`, which shares its tensors with them. Raises UsageError if it has none of a stride,
    or if its code depends on the input in a way that torch.fx cannot follow."""
    height, width = spec.image.height, spec.image.width
    network = network.eval()
    taps = _taps(network, height, width)
    missing = [stride for stride in strides if stride not in taps]
    if missing:
        raise UsageError(
            f"backbone.name: `{spec.architecture}` has no feature maps of stride {', '.join(map(str, missing))} at "
            f"{height}x{width} pixels; expected a convolutional network, such as mobilenetv2_100 or resnet18"
        )
    names = {taps[stride]: f"stride{stride}" for stride in sorted(strides)}
    try:
        traced = create_feature_extractor(network, names)
        body = fx.GraphModule(traced, traced.graph, type(network).__name__)
        with torch.inference_mode():
            maps: Mapping[str, Tensor] = body(torch.zeros(1, 3, height, width))
    except (RuntimeError, ValueError, TypeError, AttributeError, fx.proxy.TraceError) as error:
        reason = (str(error).strip().splitlines() or ["refused"])[0][:200]
        raise UsageError(
            f"backbone.name: the feature maps of `{spec.architecture}` cannot be cut out of it ({reason}); expected a "
            "plain convolutional network, such as mobilenetv2_100 or resnet18"
        ) from error
    return FeatureMaps(body, tuple(sorted(strides)), tuple(each.shape[1] for each in maps.values())).eval()


def _taps(network: nn.Module, height: int, width: int) -> dict[int, str]:
    """Stride -> the module whose output is the last map of that stride: timm names it; otherwise the last of the
    network's parts (containers opened once) to finish."""
    info = getattr(network, "feature_info", None)
    if isinstance(info, list):
        return {each["reduction"]: each["module"] for each in info}
    shapes: dict[str, tuple[int, ...]] = {}
    with _watched(network, shapes), torch.inference_mode():
        network(torch.zeros(1, 3, height, width))
    strides = {name: height // shape[2] for name, shape in shapes.items()}
    return {
        stride: name
        for name, stride in strides.items()
        if (shapes[name][2] * stride, shapes[name][3] * stride) == (height, width)
    }


@contextmanager
def _watched(network: nn.Module, shapes: dict[str, tuple[int, ...]]) -> Iterator[None]:
    """Note the shape (1, C, h, w) of every part's output, in the order in which they finish."""

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            shapes.pop(name, None)
            shapes[name] = tuple(output.shape)

    parts = [
        (f"{name}.{inner}", part) if inner else (name, part)
        for name, child in network.named_children()
        for inner, part in (child.named_children() if isinstance(child, nn.Sequential) else [("", child)])
    ]
    handles = [part.register_forward_hook(lambda *run, name=name: note(name, run[2])) for name, part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _ancestors(node: fx.Node) -> set[fx.Node]:
    seen, ahead = {node}, [node]
    while ahead:
        for one in ahead.pop().all_input_nodes:
            if one not in seen:
                seen.add(one)
                ahead.append(one)
    return seen
