"""Builds a YOLOX network by name, from published weights or fresh ones."""

from __future__ import annotations

from edgetl.backbones.plan import unknown_name
from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks.loading import RARE, fill, fresh, sets_of, start_at
from edgetl.tasks.detection.networks.yolox import Yolox
from edgetl.tasks.detection.networks.yolox_network import SIZES, STRIDES
from edgetl.tasks.detection.networks.yolox_weights import NORMALIZED, PixelRange, converted
from edgetl.tasks.detection.spec import DetectorSpec
from edgetl.types import ImagePreprocessing, ResizePolicy, WeightSource
from edgetl.types.findings import Audit

_CLASS_LAYERS = "head.predict.cls_preds"
_GRAY = (114, 114, 114)


def build(
    backbone: Backbone,
    settings: Settings,
    source: WeightSource,
    num_classes: int,
    resize: ResizePolicy,
    *,
    keep_classes: bool = False,
) -> tuple[Yolox, DetectorSpec, Audit]:
    """See `networks.build.build`. Images are fitted as for the published weights, whatever `resize` is.

    The class layers are new, unless `keep_classes`: then those of the weights are loaded, which must have
    `num_classes` classes.
    """
    spec = _describe(backbone, num_classes, NORMALIZED)
    network = construct(spec)
    if source.kind == "none" or not backbone.pretrained:
        return network, spec, Audit(0, (), tuple(sorted(network.state_dict())))
    if source.kind == "hub":
        raise WeightsError(
            f"backbone.weights: `{backbone.name}` has no automatic download; expected a file with its weights: "
            f"{backbone.name}.pth of the releases of github.com/Megvii-BaseDetection/YOLOX, or `pretrained: false`"
        )
    found, where = sets_of(source)
    sets, ranges = zip(*(converted(each) for each in found), strict=True)
    audit = fill(network.network, sets, "" if keep_classes else _CLASS_LAYERS, where, backbone.name)
    return network, _describe(backbone, num_classes, ranges[0]), audit


def construct(spec: DetectorSpec) -> Yolox:
    """The network of `spec` with fresh weights, in eval mode. Equal specs give equal weights."""
    p = spec.preprocessing
    with fresh():
        network = Yolox(SIZES[spec.architecture], spec.num_classes, p.height, p.width)
        start_at(network.network.head.predict.obj_preds, RARE)
        # classes are only asked for where there is an object
        start_at(network.network.head.predict.cls_preds, 1 / (spec.num_classes + 1))
    return network.eval()


def _describe(backbone: Backbone, num_classes: int, pixels: PixelRange) -> DetectorSpec:
    if backbone.name not in SIZES:
        raise unknown_name(backbone.name, SIZES, "YOLOX", f"one of {', '.join(SIZES)}")
    side = SIZES[backbone.name].side
    height, width = backbone.height_and_width() or (side, side)
    if height % STRIDES[-1] or width % STRIDES[-1]:
        raise UsageError(
            f"backbone.input_size: `{backbone.name}` takes multiples of {STRIDES[-1]} pixels; found {height}x{width}"
        )
    preprocessing = ImagePreprocessing(height, width, "letterbox-corner", pixels.mean, pixels.std, fill=_GRAY)
    return DetectorSpec("yolox", "edgetl", backbone.name, {}, {}, num_classes, preprocessing)
