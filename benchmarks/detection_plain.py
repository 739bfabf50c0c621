"""Plain fine-tuning of a detector as the network's own library does it: the whole network, SGD, one schedule.

Sources: `references/detection` of torchvision, whose FCOS is the nearest to our anchor-free detector (rate 0.01 for 16
images, 26 epochs, a tenth of the rate from epoch 16 and again from 22, flips); YOLOX's `yolox_base.py` and
`yolox_nano.py` (rate 0.01 for 64 images, 300 epochs, a cosine, mosaic).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from edgetl.adapt.detection.shots import Shots
from edgetl.backbones.pixels import normalize
from edgetl.tasks.detection.networks.base import Detector, Targets
from edgetl.tasks.detection.networks.yolox import Yolox
from edgetl.tasks.detection.spec import DetectorSpec, Family

VERSION = "1"
"""To be raised when something here changes: finished cells of older versions then no longer count."""
BATCH = 8
_GRAY = 114
_LEAST_SIDE = 2.0

Annotated = tuple[Tensor, tv_tensors.BoundingBoxes, Tensor]
"""An image uint8 (3, H, W), its boxes and its labels."""
View = Callable[[int, bool], Annotated]
"""A view of the image `index`; the second is True in the last part of a training, which shows images as they are."""


@dataclass(frozen=True)
class Recipe:
    """rate        peak, for one image;  nesterov, weight_decay  of SGD with momentum 0.9
    schedule       share of the training that is done -> share of the peak rate
    plain_from     share from which images are shown as they are
    live_norms     whether pretrained batch norms use the statistics of the batch
    decays_all     whether batch norms and biases decay too
    """

    rate: float
    weight_decay: float
    nesterov: bool
    schedule: Callable[[float], float]
    plain_from: float
    live_norms: bool
    decays_all: bool


def _steps_down(done: float) -> float:
    warm = min(1.0, 1e-3 + done * 26)  # over the first epoch
    return warm * (0.1 if done >= 16 / 26 else 1.0) * (0.1 if done >= 22 / 26 else 1.0)


def _cosine(done: float) -> float:
    warm, last, least = 5 / 300, 15 / 300, 0.05
    if done < warm:
        return (done / warm) ** 2
    along = min(1.0, (done - warm) / (1 - warm - last))
    return least + (1 - least) * (1 + math.cos(math.pi * along)) / 2


RECIPES: Mapping[Family, Recipe] = {
    "anchor-free": Recipe(0.01 / 16, 1e-4, False, _steps_down, 1.0, live_norms=False, decays_all=True),
    "yolox": Recipe(0.01 / 64, 5e-4, True, _cosine, 1 - 15 / 300, live_norms=True, decays_all=False),
}


def train_plainly(
    detector: Detector, spec: DetectorSpec, new: Sequence[str], shots: Shots, steps: int, seed: int
) -> str:
    """Train in place; ends in eval mode. Says how it ended.

    new  names of layers without pretrained values
    """
    recipe = RECIPES[spec.family]
    torch.manual_seed(seed)
    if isinstance(detector, Yolox):
        detector.assignment = "simota"
    _set_modes(detector, frozenset(new), recipe)
    views = _Views(shots, mosaic=spec.family == "yolox")
    optimizer = _optimizer(detector, recipe)
    order: list[int] = []
    loss = math.nan
    for step in range(steps):
        done = step / steps
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * BATCH * recipe.schedule(done)
        while len(order) < BATCH:
            order += torch.randperm(len(shots)).tolist()
        batch, order = order[:BATCH], order[BATCH:]
        shown = [views(index, done >= recipe.plain_from) for index in batch]
        images = normalize(torch.stack([image for image, _, _ in shown]).float(), spec.preprocessing)
        found = detector.training_loss(
            images.contiguous(memory_format=torch.channels_last), [_targets(each) for each in shown]
        )
        optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss = float(found.detach())
        if not math.isfinite(loss):
            break
    detector.eval().requires_grad_(False)
    return f"{step + 1} steps of {BATCH}, loss {loss:.2f}"


def _set_modes(detector: Detector, new: frozenset[str], recipe: Recipe) -> None:
    detector.train().requires_grad_(True)
    for name, module in detector.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            if recipe.live_norms:
                module.momentum = 0.03  # YOLOX
            elif not any(each.startswith(f"{name}.") for each in new):
                module.eval().requires_grad_(False)  # torchvision: frozen where pretrained


def _optimizer(detector: Detector, recipe: Recipe) -> torch.optim.SGD:
    trained = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    decay = [each for each in trained if recipe.decays_all or each.ndim > 1]
    others = [each for each in trained if not (recipe.decays_all or each.ndim > 1)]
    groups = [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    filled = [group for group in groups if group["params"]]
    return torch.optim.SGD(filled, lr=recipe.rate, momentum=0.9, nesterov=recipe.nesterov)


class _Views:
    """torchvision's flips, or YOLOX's: a mosaic of four for half of the images, turned, scaled, sheared, shifted;
    hue, saturation and brightness; flips."""

    def __init__(self, shots: Shots, *, mosaic: bool) -> None:
        p = shots.preprocessing
        self._shots, self._mosaic, self._side = shots, mosaic, p.height
        self._flip = v2.RandomHorizontalFlip(0.5)
        self._color = v2.ColorJitter(brightness=0.15, saturation=0.15, hue=0.028)
        self._affine = v2.RandomAffine(10, (0.05, 0.05), (0.5, 1.5), (-2, 2, -2, 2), fill=_GRAY)
        self._crop = v2.CenterCrop(p.height)
        self._clean = v2.SanitizeBoundingBoxes(min_size=_LEAST_SIDE, labels_getter=lambda shown: shown[2])

    def __call__(self, index: int, plain: bool) -> Annotated:
        shown = self._plain(index)
        if self._mosaic:
            if not plain and torch.rand(()) < 0.5:
                shown = self._crop(self._affine(self._four(index)))
            shown = self._color(shown)
        cleaned: Annotated = self._clean(self._flip(shown))
        return cleaned

    def _plain(self, index: int) -> Annotated:
        targets = self._shots.targets[index]
        image = tv_tensors.Image(self._shots.images([index])[0])
        size = (image.shape[1], image.shape[2])
        return image, tv_tensors.BoundingBoxes(targets.boxes, format="XYXY", canvas_size=size), targets.labels

    def _four(self, index: int) -> Annotated:
        """Around a random point of a canvas of twice the side; each image touches it with a corner."""
        side = self._side
        canvas = torch.full((3, 2 * side, 2 * side), _GRAY, dtype=torch.uint8)
        at_x, at_y = ((0.5 + torch.rand(2)) * side).int().tolist()
        others = torch.randint(len(self._shots), (3,)).tolist()
        boxes, labels = [], []
        for corner, each in enumerate([index, *others]):
            frame = self._shots.frames[each]
            image, own, own_labels = self._plain(each)
            height, width = min(frame.rows, side), min(frame.columns, side)
            x, y = at_x - (width if corner % 2 == 0 else 0), at_y - (height if corner < 2 else 0)
            x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, 2 * side), min(y + height, 2 * side)
            canvas[:, y0:y1, x0:x1] = image[:, y0 - y : y1 - y, x0 - x : x1 - x]
            boxes.append(own.as_subclass(Tensor) + torch.tensor([x, y, x, y]))
            labels.append(own_labels)
        size = (2 * side, 2 * side)
        placed = tv_tensors.BoundingBoxes(torch.cat(boxes), format="XYXY", canvas_size=size)
        return tv_tensors.Image(canvas), v2.functional.clamp_bounding_boxes(placed), torch.cat(labels)


def _targets(shown: Annotated) -> Targets:
    _, boxes, labels = shown
    return Targets(boxes.as_subclass(Tensor).float(), labels, torch.zeros(len(labels), dtype=torch.bool))
