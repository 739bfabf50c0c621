"""One candidate of fine-tuning on one fold, cached on disk so that a killed search resumes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl.adapt.episode import MOST_VIEWS, Prepared, Task
from edgetl.adapt.finetune import Epoch, Plan, Trained, finetune
from edgetl.adapt.kept import contents
from edgetl.backbones.classifier import set_head
from edgetl.files.digest import value_digest
from edgetl.store.cache import Cache
from edgetl.tasks.classification.folds import Fold
from edgetl.tasks.classification.heads import views
from edgetl.tasks.classification.heads.by_name import fit_head
from edgetl.tasks.classification.heads.by_name import prepare as prepare_shots
from edgetl.tasks.classification.heads.head import Head
from edgetl.types import described

_VERSION = 2  # of the trial


@dataclass(frozen=True)
class HeadChoice:
    """A head of `heads.by_name`, fitted on the plain view alone or on all views."""

    name: str
    augmented: bool

    def seen(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The views (V, N, F) of `features` that it is fitted on; the head `views` takes all that there are."""
        if not self.augmented:
            return features[:1]
        return features if self.name == views.NAME else features[:MOST_VIEWS]

    @property
    def title(self) -> str:
        return self.name if self.augmented else f"{self.name}, plain views"


@dataclass(frozen=True)
class HeadChoices:
    """What is fitted for each of several heads, in their order."""

    names: tuple[str, ...]
    choices: tuple[HeadChoice, ...]

    @property
    def title(self) -> str:
        return "; ".join(f"{name}: {each.title}" for name, each in zip(self.names, self.choices, strict=True))


@dataclass(frozen=True)
class Tuning:
    """A candidate: depth and learning rate of a training."""

    prepared: Prepared
    learning_rate: float

    @property
    def title(self) -> str:
        return f"finetune {self.setting}"

    @property
    def setting(self) -> str:
        return f"{self.prepared.depth.title}, rate {self.learning_rate:g}"


def fit_on(
    task: Task, features: NDArray[np.float32], choice: HeadChoice | HeadChoices, indices: NDArray[np.int64]
) -> Head:
    """The head fitted on the shots `indices`; features (V, N, F) of all. Several heads are fitted one by one, each on
    the shots that are labeled for it, and become one."""
    if isinstance(choice, HeadChoices):
        return _side_by_side(
            [
                fit_on(task.of_head(head), features[:, labels >= 0], each, _among(labels, indices))
                for head, each, labels in zip(task.heads, choice.choices, task.labels.T, strict=True)
            ]
        )
    return fit_head(
        choice.name,
        prepare_shots(choice.seen(features)[:, indices], task.labels[indices], task.num_classes),
        task.config.seed,
    )


def _among(labels: NDArray[np.int64], indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the labeled images the labeled ones of `indices` are."""
    return np.searchsorted(np.flatnonzero(labels >= 0), indices[labels[indices] >= 0])


def _side_by_side(heads: Sequence[Head]) -> Head:
    return Head(
        "; ".join(head.name for head in heads),
        np.concatenate([head.weight for head in heads]),
        np.concatenate([head.bias for head in heads]),
        "; ".join(head.setting for head in heads),
    )


def write_head(network: nn.Module, name: str, head: Head) -> None:
    """Put a fitted head into the classifier `name`."""
    device = next(network.parameters()).device
    weight, bias = (torch.from_numpy(part).float().to(device) for part in (head.weight, head.bias))
    set_head(network, name, weight, bias)


def plan_of(task: Task, tuning: Tuning) -> Plan:
    blocks, epochs = tuning.prepared.depth.by_block, task.config.epochs
    contrast = task.pretrained and task.is_of_texts
    return Plan(task.config, tuning.learning_rate, blocks, task.head, epochs, contrast, task.heads)


def run_trial(
    task: Task, tuning: Tuning, fold: Fold, head: Head, after_epoch: Callable[[Epoch], None] = lambda _: None
) -> Trained:
    """Train on the fold's other images, from `head`, and validate on the held-out ones after every epoch."""

    def compute() -> dict[str, Any]:
        network = copy.deepcopy(tuning.prepared.tail)
        write_head(network, task.head, head)
        inputs, plan = tuning.prepared.inputs, plan_of(task, tuning)
        return _jsonable(
            finetune(network, inputs, task.labels, fold.train, fold.held_out, plan, after_epoch=after_epoch)
        )

    cache = Cache(task.cache / "trials", task.progress.note)
    record = cache.json(trial_key(task, tuning, fold, head), compute)
    history = tuple(Epoch(**epoch) for epoch in record["history"])
    return Trained(history, np.array(record["logits"], np.float32))


def trial_key(task: Task, tuning: Tuning, fold: Fold, head: Head) -> dict[str, Any]:
    # settings of the search alone do not change a trial
    config = task.config.model_dump(
        mode="json", exclude={"strategy", "budget_minutes", "folds", "head", "freeze", "train_last", "sanity"}
    )
    return {
        "version": _VERSION,
        "tools": torch.__version__,
        "network": task.frozen.digest,
        "images": contents(task.samples),
        "preprocessing": described(task.frozen.spec.preprocessing),
        "policy": task.policy,
        "views": task.views,
        "config": config,
        "blocks": [list(block) for block in tuning.prepared.depth.by_block],
        "cut": tuning.prepared.depth.cut_after,
        "rate": tuning.learning_rate,
        "fold": asdict(fold),
        "head": _head_digest(head),
        **({"contrast": 2} if task.pretrained and task.is_of_texts else {}),
        **({"heads": [[head.name, len(head.classes)] for head in task.heads]} if task.heads else {}),
    }


def _head_digest(head: Head) -> str:
    arrays = {name: value.tolist() for name, value in vars(head).items() if isinstance(value, np.ndarray)}
    return value_digest([head.name, arrays])


def _jsonable(trained: Trained) -> dict[str, Any]:
    return {
        "history": [asdict(epoch) for epoch in trained.history],
        "logits": trained.logits.tolist(),
    }
