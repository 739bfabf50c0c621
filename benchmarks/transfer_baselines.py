"""The baselines of `transfer.py`: three common few-shot methods on the same shots.

logistic    scikit-learn's logistic regression on center-crop features of the frozen network
last_layer  the PyTorch transfer-learning tutorial with the network as a fixed feature extractor
tutorial    the same tutorial's fine-tuning of all layers, with AdamW and frozen batch-norm statistics

All see pictures as the tutorial does: shorter side resized, center crop, and in training random resized crops and
flips; with the network's own mean and std.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision import transforms

from edgetl.backbones.classifier import features, get_head
from edgetl.backbones.load import build
from edgetl.backbones.pixels import normalize
from edgetl.files.digest import value_digest
from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.resize import resize
from edgetl.recipes.recipe import Backbone
from edgetl.types import ImagePreprocessing, NetworkSpec, Sample, Split, WeightSource

Kind = TypeVar("Kind", bound=np.generic)

_BATCH = 32  # of forward passes without gradients


@dataclass(frozen=True)
class Pretrained:
    """Where a method finds its network, and the folder for results that do not depend on the draw."""

    backbone: Backbone
    source: WeightSource
    cache: Path

    def open(self, classes: int) -> tuple[nn.Module, NetworkSpec]:
        """A fresh copy with a new head, in the memory format that is fastest on a CPU."""
        network, spec, _ = build(self.backbone, self.source, classes, "crop")
        # torch's own initialization: the tutorial replaces the head by a plain nn.Linear
        head = get_head(network, spec.classifier)
        head.reset_parameters()
        return network.to(memory_format=torch.channels_last), spec


@dataclass(frozen=True)
class Training:
    """rate  peak learning rate, annealed to zero by a cosine over all steps; batch  images per step"""

    epochs: int
    batch: int
    rate: float

    def words(self) -> str:
        return f"{self.epochs} epochs, batches of {self.batch}, rate {self.rate:g} annealed by a cosine"


@dataclass(frozen=True)
class Answer:
    """Class indices (N,) for the validation images in their order, and the seconds that learning took."""

    predicted: NDArray[np.int64]
    seconds: float


Baseline = Callable[[Pretrained, Split, int], Answer]

LAST_LAYER = Training(epochs=30, batch=8, rate=1e-3)
FULL = Training(epochs=30, batch=8, rate=3e-4)


def logistic(pretrained: Pretrained, split: Split, seed: int) -> Answer:
    """scikit-learn's defaults (C = 1) on the unchanged features. `seed` has no effect: nothing is drawn."""
    start = time.perf_counter()
    network, spec = pretrained.open(len(split.classes))
    crops = center_crops(split.shots, spec.image)
    probe = LogisticRegression(max_iter=5000).fit(pooled(network, spec, crops), _labels(split.shots))
    seconds = time.perf_counter() - start
    return Answer(probe.predict(_val_features(pretrained, network, spec, split.val)).astype(np.int64), seconds)


def last_layer(pretrained: Pretrained, split: Split, seed: int, training: Training = LAST_LAYER) -> Answer:
    """Adam on a new last layer; everything below stays as it is, batch-norm statistics included."""
    start = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, spec = pretrained.open(len(split.classes))
        head = nn.Linear(get_head(network, spec.classifier).weight.shape[1], len(split.classes))
        optimizer = torch.optim.Adam(head.parameters(), lr=training.rate)
        schedule = _schedule(optimizer, training, len(split.shots))
        views = Views(split.shots, spec.image)
        labels = torch.from_numpy(_labels(split.shots))
        for _ in range(training.epochs):
            entering = torch.from_numpy(pooled(network, spec, views(range(len(labels)))))
            for rows in torch.split(torch.randperm(len(labels)), training.batch):
                _step(optimizer, functional.cross_entropy(head(entering[rows]), labels[rows]))
                schedule.step()
    seconds = time.perf_counter() - start
    with torch.inference_mode():
        logits = head(torch.from_numpy(_val_features(pretrained, network, spec, split.val)))
    return Answer(logits.argmax(1).numpy(), seconds)


def tutorial(pretrained: Pretrained, split: Split, seed: int, training: Training = FULL) -> Answer:
    """AdamW on all parameters; batch-norm statistics stay those of the pretrained network."""
    start = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, spec = pretrained.open(len(split.classes))
        optimizer = torch.optim.AdamW(network.parameters(), lr=training.rate)
        schedule = _schedule(optimizer, training, len(split.shots))
        views = Views(split.shots, spec.image)
        labels = torch.from_numpy(_labels(split.shots))
        _train_mode(network)
        for _ in range(training.epochs):
            for rows in torch.split(torch.randperm(len(labels)), training.batch):
                inputs = normalize(_channels_first(views(rows.tolist())), spec.image)
                _step(optimizer, functional.cross_entropy(network(inputs), labels[rows]))
                schedule.step()
    seconds = time.perf_counter() - start
    return Answer(predict(network.eval(), spec.image, kept_crops(pretrained.cache, split.val, spec)), seconds)


BASELINES: dict[str, Baseline] = {"logistic": logistic, "last_layer": last_layer, "tutorial": tutorial}
VERSIONS = {"logistic": "1", "last_layer": "1", "tutorial": "1"}
"""To be raised when a method's code or settings change: finished cells of older versions then no longer count."""


class Views:
    """Random crops and flips of images that stay decoded: the training transforms of the tutorial.

    Draws from torch's global generator, as torchvision does.
    """

    def __init__(self, samples: Sequence[Sample], preprocessing: ImagePreprocessing) -> None:
        self._pictures = [Image.fromarray(decode(Path(sample.path))) for sample in samples]
        size = (preprocessing.height, preprocessing.width)
        self._draw = transforms.Compose([transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()])

    def __call__(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 (n, height, width, 3): a new view of each."""
        return np.stack([np.asarray(self._draw(self._pictures[index])) for index in indices])


def center_crops(samples: Sequence[Sample], preprocessing: ImagePreprocessing) -> NDArray[np.uint8]:
    """uint8 (N, height, width, 3): as `preprocessing` says."""
    return np.stack([resize(decode(Path(sample.path)), preprocessing) for sample in samples])


def kept_crops(cache: Path, samples: Sequence[Sample], spec: NetworkSpec) -> NDArray[np.uint8]:
    """`center_crops`, made once per set of images, in whatever order, and memory-mapped from then on."""
    order, ordered = _by_content(samples)
    name = value_digest({"images": [sample.sha256 for sample in ordered], "as": asdict(spec.preprocessing)})
    path = cache / f"pixels-{name[:16]}.npy"
    return _kept(path, lambda: center_crops(ordered, spec.image))[order]


@torch.inference_mode()
def pooled(network: nn.Module, spec: NetworkSpec, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, F): what enters the classifier, for uint8 (N, height, width, 3)."""
    network.eval()
    parts = [features(network, spec.classifier, normalize(part, spec.image))[0].numpy() for part in _batches(pixels)]
    return np.concatenate(parts)


@torch.inference_mode()
def predict(network: nn.Module, preprocessing: ImagePreprocessing, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N,) class indices for uint8 (N, height, width, 3). `network` is in eval mode."""
    parts = [network(normalize(part, preprocessing)).argmax(1).numpy() for part in _batches(pixels)]
    return np.concatenate(parts)


def _val_features(
    pretrained: Pretrained, network: nn.Module, spec: NetworkSpec, val: Sequence[Sample]
) -> NDArray[np.float32]:
    order, ordered = _by_content(val)
    content = {
        "weights": [pretrained.backbone.name, pretrained.source.digest],
        "images": [sample.sha256 for sample in ordered],
        "as": asdict(spec.preprocessing),
    }
    path = pretrained.cache / f"features-{value_digest(content)[:16]}.npy"
    return _kept(path, lambda: pooled(network, spec, kept_crops(pretrained.cache, ordered, spec)))[order]


def _kept(path: Path, make: Callable[[], NDArray[Kind]]) -> NDArray[Kind]:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.stem}-{time.time_ns()}.part.npy")  # another worker may be making it too
        np.save(aside, make())
        aside.replace(path)
    kept: NDArray[Kind] = np.load(path, mmap_mode="r")
    return kept


def _by_content(samples: Sequence[Sample]) -> tuple[NDArray[np.intp], list[Sample]]:
    """The samples sorted by digest, and the place of each given sample among them: draws order the same images
    differently."""
    ordered = sorted(samples, key=lambda sample: sample.sha256)
    place = {sample.sha256: index for index, sample in enumerate(ordered)}
    return np.array([place[sample.sha256] for sample in samples], dtype=np.intp), ordered


def _batches(pixels: NDArray[np.uint8]) -> Iterator[Tensor]:
    for start in range(0, len(pixels), _BATCH):
        yield _channels_first(np.array(pixels[start : start + _BATCH]))


def _channels_first(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)  # a view: channels stay last in memory


def _labels(samples: Sequence[Sample]) -> NDArray[np.int64]:
    return np.array([sample.label for sample in samples], dtype=np.int64)


def _schedule(
    optimizer: torch.optim.Optimizer, training: Training, images: int
) -> torch.optim.lr_scheduler.CosineAnnealingLR:
    steps = training.epochs * -(-images // training.batch)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimizer.step()


def _train_mode(network: nn.Module) -> None:
    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
