"""Activations of a frozen network, computed once per image and view and cached on disk."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgetl.backbones.classifier import get_head
from edgetl.backbones.examples import load_raw, normalize, views
from edgetl.backbones.input_choice import InputChoice
from edgetl.backbones.load import build
from edgetl.backbones.reproducible import choose_device
from edgetl.backbones.rows import Rows, compute_rows
from edgetl.backbones.speed import channels_last, packed, side_by_side
from edgetl.files.digest import value_digest
from edgetl.fronts.base import load_front
from edgetl.recipes.recipe import Backbone
from edgetl.types import NetworkSpec, Preprocessing, Progress, Sample, WeightSource, described

_BATCH = 32
_AT_ONCE = 4  # images: activations of a whole batch do not fit the cache of a core, and took three times as long
_VERSION = 2  # increase it if a change below changes results


Made = TypeVar("Made")


@dataclass(frozen=True)
class Frozen:
    """A network in eval mode whose tensors do not change. `digest` covers the tensors and the function they belong to,
    so it names what is computed."""

    network: nn.Module
    spec: NetworkSpec
    digest: str
    device: torch.device


@dataclass(frozen=True)
class Point:
    """Where a network is tapped: the output of the module `name`, or, if `name` is empty, the input of the classifier,
    pooled to (N, F)."""

    name: str = ""


@dataclass(frozen=True)
class View:
    """One way of looking at images. `number` 0 is the plain view; every other number is a draw of its own from `seed`
    by the augmentation `policy`."""

    number: int = 0
    policy: str = "none"
    seed: int = 0


class _Reached(Exception):
    """The tapped module has run; the rest of the network is not needed."""


def open_frozen(backbone: Backbone, source: WeightSource, num_classes: int, choice: InputChoice) -> Frozen:
    """The pretrained network, audited, on the GPU if there is one. Raises UsageError, WeightsError."""
    network, spec, _ = build(backbone, source, num_classes, choice)
    return freeze_network(network, spec)


def freeze_network(network: nn.Module, spec: NetworkSpec) -> Frozen:
    """`network` itself, in eval mode and without gradients; it must not be changed afterwards."""
    device = choose_device()
    network.eval().requires_grad_(False).to(device)
    channels_last(network)
    return Frozen(network, spec, _function_digest(network, spec), device)


def _function_digest(network: nn.Module, spec: NetworkSpec) -> str:
    # equal tensors are not the same function: padding, activation, pooling and epsilon have none
    built = {
        "library": [spec.library, "" if spec.library == "module" else metadata.version(spec.library)],
        "architecture": spec.architecture,
        "model_args": dict(spec.model_args),
        "surgery": list(spec.surgery),
    }
    return value_digest([built, tensors_digest(network)])


def tensors_digest(network: nn.Module) -> str:
    """sha256 over names, shapes and bytes of all parameters and buffers. Hex."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def pooled_features(
    frozen: Frozen,
    samples: Sequence[Sample],
    cache: Path,
    *,
    progress: Progress,
    what: str = "images",
) -> Rows:
    """(N, F): what enters the classifier, averaged over positions, for the plain view of the images, in their order.

    Kept under `cache`, named by content: found again, and continued after a kill. Raises DataError for an image.
    `what` they are is said on the progress line.
    """
    return activations(frozen, samples, cache, (Point(),), View(), progress=progress, what=what)[0]


def activations(
    frozen: Frozen,
    samples: Sequence[Sample],
    cache: Path,
    points: Sequence[Point],
    view: View,
    *,
    progress: Progress,
    what: str = "images",
) -> list[Rows]:
    """(N, ...) activations at each of `points`, from one run of the network over one view of the images; see
    `pooled_features`."""
    preprocessing = frozen.spec.preprocessing
    shared = {
        "version": _VERSION,
        "decoders": load_front(preprocessing.front).versions(),
        "network": frozen.digest,
        "classifier": frozen.spec.classifier,
        "device": frozen.device.type,
        "preprocessing": described(preprocessing),
        "view": asdict(view),
        "images": [sample.sha256 for sample in samples],
    }
    paths = [cache / f"{value_digest({**shared, 'point': point.name})[:32]}.npy" for point in points]

    def produce(numbers: range) -> list[NDArray[np.floating]]:
        chosen = [samples[number] for number in numbers]
        shown = _look(load_raw(chosen, preprocessing), view, numbers.start, preprocessing)
        return [found.cpu().numpy() for found in run_to(frozen, points, shown)]

    with progress.task(f"features of {len(samples)} {what}", total=len(samples)) as advance:
        return compute_rows(paths, len(samples), produce, batch_size=_BATCH, advance=advance, note=progress.note)


def _look(examples: Tensor, view: View, start: int, preprocessing: Preprocessing) -> Tensor:
    """The view, float32, of examples as `load_raw` gives them, numbered from `start`."""
    # a generator per batch, so that a run that continues draws what a run in one go draws
    generator = torch.Generator().manual_seed(_hash_seed(view.seed, view.number, start))
    return views(view.policy, preprocessing)(examples, generator)


def _hash_seed(*numbers: int) -> int:
    """A seed below 2**63 from several numbers; different numbers give unrelated seeds."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8], "big") >> 1


@torch.inference_mode()
def run_to(frozen: Frozen, points: Sequence[Point], images: Tensor) -> list[Tensor]:
    """float32 activations at `points` of images (N, 3, H, W) in 0..255; the network runs no further than needed.

    Raises TypeError if the output of a point is not one tensor.
    """
    with _tapped(frozen, points) as caught:
        found = _in_parts(lambda part: _run_to(frozen, points, part, caught), images, frozen)
    return [torch.cat(rows) for rows in zip(*found, strict=True)]


@torch.inference_mode()
def _run_to(frozen: Frozen, points: Sequence[Point], images: Tensor, caught: _Caught) -> list[Tensor]:
    caught.values = {}
    with suppress(_Reached):
        _forward(frozen, images)
    return [caught.values[point].float() for point in points]


@torch.inference_mode()
def logits_of_pixels(frozen: Frozen, images: Tensor) -> Tensor:
    """Logits (N, C) of images (N, 3, H, W), values 0..255."""
    return torch.cat(_in_parts(torch.inference_mode()(lambda part: _forward(frozen, part)), images, frozen))


def _in_parts(run: Callable[[Tensor], Made], images: Tensor, frozen: Frozen) -> list[Made]:
    """`run` on a few images at a time, all at once on a GPU."""
    parts = torch.split(images, _AT_ONCE) if frozen.device.type == "cpu" else (images,)
    return list(side_by_side(run, parts, frozen.device))


def _forward(frozen: Frozen, images: Tensor) -> Tensor:
    inputs = normalize(images.to(frozen.device), frozen.spec.preprocessing)
    logits: Tensor = frozen.network(packed(inputs))
    return logits


class _Caught(threading.local):
    """What the taps caught in this thread's run."""

    values: dict[Point, Tensor]


@contextmanager
def _tapped(frozen: Frozen, points: Sequence[Point]) -> Iterator[_Caught]:
    caught = _Caught()
    head = get_head(frozen.network, frozen.spec.classifier)

    def catch(point: Point, value: object) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"expected one tensor from `{point.name}`; found {type(value).__name__}")
        caught.values[point] = value
        if len(caught.values) == len(set(points)):
            raise _Reached

    def before(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        catch(Point(), _pool(arguments[0], convolution=isinstance(head, nn.Conv2d)))

    def tap(point: Point) -> Callable[[], None]:
        if not point.name:
            return head.register_forward_pre_hook(before).remove
        module = frozen.network.get_submodule(point.name)
        return module.register_forward_hook(lambda _, __, output: catch(point, output)).remove

    removers = [tap(point) for point in dict.fromkeys(points)]
    try:
        yield caught
    finally:
        for remove in removers:
            remove()


def _pool(entering: Tensor, *, convolution: bool) -> Tensor:
    if entering.ndim == 2:
        return entering
    return entering.flatten(2).mean(2) if convolution else entering.flatten(1, -2).mean(1)
