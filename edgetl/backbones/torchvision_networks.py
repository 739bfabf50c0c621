"""torchvision's classification networks, with a fresh head and without auxiliary classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from torch import Tensor, nn
from torch.hub import get_dir
from torchvision import models

from edgetl.backbones.hub import require_reachable
from edgetl.backbones.plan import AUXILIARY, Native, Plan, unknown_name
from edgetl.errors import UsageError, WeightsError

_LISTING = '`python -c "import torchvision; print(torchvision.models.list_models(module=torchvision.models))"`'
_PLAIN: Mapping[str, object] = {"aux_logits": False, "transform_input": False, "init_weights": False}
_ARGUMENTS = {"inception_v3": _PLAIN, "googlenet": _PLAIN}
# Their weights come from TensorFlow and expect values in -1..1; torchvision hides that behind `transform_input`.
_MINUS_ONE_TO_ONE = {"inception_v3", "googlenet"}


def plan_by_name(name: str) -> Plan:
    """`name` without the `tv_` prefix. Raises UsageError naming the nearest."""
    known = models.list_models(module=models)
    if name not in known:
        raise unknown_name(name, known, "torchvision", _LISTING)
    return Plan("torchvision", name, _native(name), _ARGUMENTS.get(name, {}), AUXILIARY.get(name, ()))


def construct(architecture: str, model_args: Mapping[str, object], num_classes: int) -> nn.Module:
    """The network with random weights and a head of `num_classes`."""
    try:
        network: nn.Module = models.get_model(architecture, weights=None, num_classes=num_classes, **model_args)
    except (TypeError, ValueError) as error:
        raise UsageError(f"torchvision `{architecture}` cannot be built with {dict(model_args)}: {error}") from error
    if isinstance(network, models.SqueezeNet):
        # its ReLU after the classifier clips logits at zero: negative evidence is lost and a class can stop learning
        network.classifier[2] = nn.Identity()
    return network


def hub_tensors(architecture: str) -> dict[str, Tensor]:
    """Pretrained tensors through torchvision's own download and cache, with the original classifier."""
    weights = _weights(architecture)
    if weights is None:
        raise WeightsError(
            f"torchvision has no pretrained weights for `{architecture}`; give `backbone.weights`, "
            "or `pretrained: false`"
        )
    if not (Path(get_dir()) / "checkpoints" / Path(urlsplit(weights.url).path).name).is_file():
        require_reachable(weights.url)
    tensors: dict[str, Tensor] = dict(weights.get_state_dict(progress=False, check_hash=True))
    return tensors


def _native(name: str) -> Native:
    weights = _weights(name)
    if weights is None:
        return Native(224, 224)
    preset = weights.transforms()
    size = int(preset.crop_size[0])
    half = (0.5, 0.5, 0.5)
    own_range = name in _MINUS_ONE_TO_ONE
    return Native(
        size,
        size,
        half if own_range else tuple(preset.mean),
        half if own_range else tuple(preset.std),
        crop_pct=min(1.0, size / int(preset.resize_size[0])),
        interpolation="bicubic" if preset.interpolation.value == "bicubic" else "bilinear",
    )


def _weights(name: str) -> Any:
    return getattr(models.get_model_weights(name), "DEFAULT", None)
