"""The inputs of one adaptation, and its frozen part, computed once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgetl.adapt.inputs import CachedInputs, Inputs, PixelInputs, StateInputs
from edgetl.adapt.suited import suited
from edgetl.backbones.classifier import get_head
from edgetl.backbones.cut import Cut, cut_network, whole_macs
from edgetl.backbones.extract import Frozen, Point, View, activations
from edgetl.backbones.freeze import Depth
from edgetl.data.split_heads import of_head
from edgetl.fronts.base import load_front
from edgetl.fronts.pixels import MOST_BYTES
from edgetl.fronts.views import augment_of
from edgetl.recipes.recipe import Adapt
from edgetl.recipes.run import Run
from edgetl.tasks.heads.scores import own_labels
from edgetl.types import HeadClasses, Progress, Sample
from edgetl.types.data import FrontName

MOST_VIEWS = 5  # for fitting a head; logistic regression on more takes too long, and gains only for sounds
_MAX_FEATURE_ROWS = 20_000  # images times views; beyond this, plain views are enough


@dataclass(frozen=True)
class Task:
    """One adaptation to the shots of `run`. `frozen` has the backbone and a fresh head.

    pretrained  whether the backbone has pretrained weights
    groups      of the shots, in their order (a video, a patient): what is held out together; None without any
    """

    run: Run
    frozen: Frozen
    pretrained: bool
    groups: tuple[str, ...] | None = None

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self.run.split.shots

    @property
    def num_classes(self) -> int:
        return len(self.run.split.classes)

    @property
    def policy(self) -> str:
        """One of `Augment`."""
        return augment_of(self.run)

    @property
    def noun(self) -> str:
        """One example, in sentences."""
        return load_front(self.front).noun

    @property
    def front(self) -> FrontName:
        """How the examples reach the network."""
        return self.run.job.recipe.front

    @property
    def is_of_texts(self) -> bool:
        """Whether the examples are texts."""
        return self.front == "text"

    @property
    def config(self) -> Adapt:
        return suited(self.run)

    @property
    def cache(self) -> Path:
        """Folder for features and for the trials of a search, named by content."""
        return self.run.store.cache

    @property
    def progress(self) -> Progress:
        return self.run.progress

    @property
    def heads(self) -> tuple[HeadClasses, ...]:
        """Empty if the network has only one."""
        return self.run.split.heads

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) of the shots; with several heads (N, heads), the index among a head's classes or -1."""
        if self.heads:
            return np.stack([own_labels(head, [sample.truth for sample in self.samples]) for head in self.heads], 1)
        return np.array([sample.label for sample in self.samples], np.int64)

    def of_head(self, head: HeadClasses) -> Task:
        """The same for the shots that are labeled for one head."""
        rows = np.flatnonzero(own_labels(head, [sample.truth for sample in self.samples]) >= 0)
        groups = None if self.groups is None else tuple(self.groups[row] for row in rows)
        return replace(self, run=replace(self.run, split=of_head(self.run.split, head)), groups=groups)

    @property
    def head(self) -> str:
        """Name of the classifier in the network."""
        return self.frozen.spec.classifier

    @property
    def views(self) -> int:
        """Augmented views per image with cached activations."""
        room = _MAX_FEATURE_ROWS // len(self.samples) - 1
        return 0 if self.policy == "none" else max(0, min(self.config.views, room))


@dataclass(frozen=True)
class Prepared:
    """The part of a network to train at one depth, not trained yet, and its inputs.

    macs  multiply-accumulates of one image through it
    """

    depth: Depth
    tail: nn.Module
    inputs: Inputs
    macs: int


@dataclass(frozen=True)
class Extracted:
    """features float32 (1 + views, N, F): the inputs of the classifier, view 0 plain; and the prepared depths."""

    features: NDArray[np.float32]
    depths: tuple[Prepared, ...]


def extract(task: Task, depths: Sequence[Depth], worth: Callable[[int], bool] = lambda macs: True) -> Extracted:
    """Run the frozen network once over every view: gives the features and the inputs of each depth.

    worth  whether a depth with these multiply-accumulates per image may be trained. Nothing is computed for the others;
           if no depth is worth it, only the views for a head are computed.
    """
    cuts = {depth: _cut(task, depth) for depth in depths}
    whole = whole_macs(task.frozen)
    trained = [depth for depth, cut in cuts.items() if worth(cut.macs if cut else whole)]
    inner = tuple(dict.fromkeys(cut.point for depth, cut in cuts.items() if cut and depth in trained))
    points = (Point(),) if task.is_of_texts else (Point(), *inner)
    folder = task.cache / "features"
    views = task.views if trained else views_of_head(task.run, task.views)
    shown = [View(number, task.policy, task.config.seed) if number else View() for number in range(1 + views)]
    names = [f"shots, view {view.number + 1} of {len(shown)}" for view in shown]
    found = [
        dict(zip(points, rows, strict=True))
        for rows in (
            activations(task.frozen, task.samples, folder, points, view, progress=task.progress, what=name)
            for view, name in zip(shown, names, strict=True)
        )
    ]
    features = np.stack([rows[Point()].read() for rows in found])
    fed: Mapping[Point, Inputs] = {
        point: StateInputs(task.frozen, task.samples, point)
        if task.is_of_texts
        else CachedInputs([rows[point] for rows in found], task.frozen.device)
        for point in inner
    }
    prepared = []
    for depth, cut in cuts.items():
        if cut:
            # over budget: it has no inputs and is only a row of the report
            inputs = fed[cut.point] if depth in trained else CachedInputs((), task.frozen.device)
            prepared.append(Prepared(depth, cut.tail, inputs, cut.macs))
        else:
            prepared.append(Prepared(depth, copy.deepcopy(task.frozen.network), _pixels(task), whole))
    return Extracted(features, tuple(prepared))


def views_of_head(run: Run, views: int) -> int:
    """Of `views` augmented views, those that a head alone needs."""
    return views if run.job.recipe.front == "audio" else min(views, MOST_VIEWS - 1)


def _pixels(task: Task) -> PixelInputs:
    return PixelInputs(task.samples, task.frozen.spec.preprocessing, task.policy, task.frozen.device)


def _cut(task: Task, depth: Depth) -> Cut | None:
    if task.is_of_texts and (task.policy != "none" or _states_bytes(task) > MOST_BYTES):
        return None  # every step sees other tokens, or they would not fit into memory
    modules = dict(task.frozen.network.named_modules())
    return cut_network(task.frozen, depth.cut_after) if depth.cut_after and depth.cut_after in modules else None


def _states_bytes(task: Task) -> int:
    """The states of all texts at one layer, at most."""
    width = get_head(task.frozen.network, task.head).weight.shape[1]
    return 4 * width * len(task.samples) * task.frozen.spec.preprocessing.network_shape[0]
