"""Applies the guards of an adaptation to the result of the search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgetl.adapt.baselines import bag_of_words_logits, neighbor_logits
from edgetl.adapt.choose_head import JudgedHead
from edgetl.adapt.compare import mean_losses, subset
from edgetl.adapt.episode import Task
from edgetl.adapt.guards import (
    FEWEST_TO_BLAME,
    Judged,
    judged,
    negative_transfer,
    overfitting,
    sanity_probe,
    too_little_data,
)
from edgetl.adapt.kept import contents, load_or_compute
from edgetl.adapt.race import Finish
from edgetl.adapt.record import Guard
from edgetl.adapt.scratch import SCRATCH_VERSION, pixel_logits, scratch_logits, scratch_macs
from edgetl.adapt.trials import Tuning
from edgetl.backbones.examples import load_raw, pictures
from edgetl.backbones.extract import freeze_network, logits_of_pixels, pooled_features
from edgetl.backbones.load import construct
from edgetl.errors import WeightsError
from edgetl.fronts.batches import load_batch
from edgetl.fronts.text.read import read_example
from edgetl.tasks.classification.folds import Fold
from edgetl.types import TextPreprocessing, described

_AT_ONCE = 32
GUARD_SHARE = 0.2  # limit of a guard's cost, as a share of the adaptation
NEIGHBOR = "a nearest neighbor"
SCRATCH = "a small network trained from scratch"
PIXELS = {"image": "a linear classifier on small images", "clip": "a linear classifier on small mel spectra"}
WORDS = "a linear classifier on counts of words"
_MOST_IMAGES = 500  # for the baselines: more say nothing new and cost minutes


@dataclass(frozen=True)
class Adapted:
    """The resulting network, the evaluation of its candidate, and the shots' features from it.

    tuning  None for a new head on frozen features; epochs  of fine-tuning on all shots
    macs    estimated multiply-accumulates of the whole adaptation; guards may cost a share of them
    search_minutes  estimated, of the search alone
    """

    network: nn.Module
    heads: Sequence[JudgedHead]
    end: Finish | None
    tuning: Tuning | None
    epochs: int
    folds: Sequence[Fold]
    macs: float
    search_minutes: float = 0.0


def sanity(task: Task, features: NDArray[np.float32]) -> Guard:
    """Pretrained features compared with random ones; features (V, N, F), view 0 plain. Raises WeightsError for weights
    without information if the recipe refuses them."""
    if not task.pretrained:
        return Guard("sanity probe", "not measured", "The recipe asks for random weights.", {})
    # a view of all shots costs as much as each view of the features: limit it to a share of them
    share = max(FEWEST_TO_BLAME, GUARD_SHARE * (1 + task.views) * len(task.samples))
    few = _spread_out(int(min(len(task.samples), share)))
    samples = [task.samples[index] for index in few]
    fresh = freeze_network(construct(task.frozen.spec), task.frozen.spec)
    what = "shots, random weights (guard: sanity probe)"
    random = pooled_features(fresh, samples, task.cache / "features", progress=task.progress, what=what).read()
    verdict = sanity_probe(features[0, few], random, task.labels[few], task.num_classes, task.config.seed, task.noun)
    if verdict.verdict == "failed" and task.config.sanity == "refuse":
        raise WeightsError(
            f"{task.frozen.spec.architecture}: {verdict.sentence} (`adapt.sanity: warn` continues with them)"
        )
    return verdict


def verdicts(task: Task, adapted: Adapted) -> list[Guard]:
    """Negative transfer, overfitting, too little data."""
    best = adapted.heads[0].judged
    if best is None:
        reason = "A class has a single shot, or its shots are in one group, so nothing could be held out"
        more = f"{reason} for a choice: add a shot, from another group, to each such class."
        return [
            *(Guard(name, "not measured", f"{reason}.", {}) for name in ("negative transfer", "overfitting")),
            Guard("too little data", "warn", more, {}),
        ]
    end = adapted.end if adapted.tuning else None
    kept = end.judged if end else best
    return [
        _negative_transfer(task, adapted, best),
        _overfitting(task, adapted, kept),
        too_little_data(kept.right, task.num_classes),
    ]


def _negative_transfer(task: Task, adapted: Adapted, best: Judged) -> Guard:
    scratch = _scratch(task, adapted.folds, adapted.macs)
    end, asked_for = adapted.end, task.config.strategy == "finetune"
    if end is not None and adapted.tuning is not None:
        beside = subset(scratch, end.images) if scratch else None
        return negative_transfer(
            end.judged, (end.rival,), beside, asked_for=asked_for, pretrained=task.pretrained, noun=task.noun
        )
    shipped = negative_transfer(best, (), scratch, noun=task.noun)
    if end is None or shipped.verdict == "failed":
        return shipped
    tuned = negative_transfer(
        end.judged, (end.rival,), None, asked_for=asked_for, pretrained=task.pretrained, noun=task.noun
    )
    if tuned.verdict == "rolled back":
        return tuned
    sentence = "Fine-tuning on all shots ended worse than its trials, so it was rolled back."
    return replace(tuned, verdict="rolled back", sentence=sentence)


def _scratch(task: Task, folds: Sequence[Fold], macs: float) -> Judged | None:
    """The baseline without pretraining: a small network or, if training it would cost more than a fifth of the
    adaptation, a linear classifier on pixels; of windows a nearest neighbor, of texts a classifier on counts of
    words."""
    if task.noun == "window":
        return judged(
            NEIGHBOR,
            neighbor_logits(load_batch(task.samples, task.frozen.spec.preprocessing), task.labels, folds),
            task.labels,
        )
    if len(task.samples) > _MOST_IMAGES:
        return None
    p, labels, seed = task.frozen.spec.preprocessing, task.labels, task.config.seed
    if isinstance(p, TextPreprocessing):
        texts = [read_example(Path(sample.path)) for sample in task.samples]
        return judged(WORDS, bag_of_words_logits(texts, labels, folds, task.num_classes), labels)
    policy = task.policy if task.noun == "image" else "none"  # views of sounds are not made of their pictures
    pixels = pictures(task.samples, p)
    if scratch_macs(task.num_classes, len(folds)) > GUARD_SHARE * macs:
        name = PIXELS[task.noun]
        return judged(name, pixel_logits(pixels, labels, folds, task.num_classes, seed), labels)
    depends_on = {
        "what": "scratch",
        "version": SCRATCH_VERSION,
        "images": contents(task.samples),
        "preprocessing": described(p),
        "policy": policy,
        "seed": seed,
    }

    def keep(fold: Fold, compute: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        return load_or_compute(task.cache / "judged", {**depends_on, "fold": asdict(fold)}, compute, task.progress)

    with task.progress.task(f"guard: {SCRATCH}, folds", total=len(folds)) as advance:
        logits = scratch_logits(pixels, labels, folds, policy, seed, keep=keep, advance=advance)
    return judged(SCRATCH, logits, labels)


def _overfitting(task: Task, adapted: Adapted, kept: Judged) -> Guard:
    few = [task.samples[index] for index in _spread_out(len(task.samples))]
    frozen = freeze_network(adapted.network, task.frozen.spec)
    right = 0
    for start in range(0, len(few), _AT_ONCE):
        part = few[start : start + _AT_ONCE]
        pixels = load_raw(part, frozen.spec.preprocessing)
        right += int((logits_of_pixels(frozen, pixels).argmax(1).cpu().numpy() == [s.label for s in part]).sum())
    losses = mean_losses(adapted.end.runner.trials) if adapted.end and adapted.tuning else []
    return overfitting(right / len(few), kept.right, losses, adapted.epochs, task.noun)


def _spread_out(count: int) -> list[int]:
    """At most as many indices as the baselines use; the shots take classes in turn."""
    return list(range(min(count, _MOST_IMAGES)))
