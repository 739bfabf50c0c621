"""Guards of an adaptation: pure functions from measurements to a verdict and a sentence that explains it.

noun  one example, in sentences
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.record import Guard
from edgetl.tasks.classification.heads import ridge
from edgetl.tasks.classification.heads.space import fit_space
from edgetl.tasks.classification.heads.temperature import cross_entropy
from edgetl.types import Interval
from edgetl.types.stats import paired_difference, wilson

# On mobilenetv2_100, resnet50 and tf_mobilenetv3_small_100 the spread of pretrained features is 2.3 to 70 times that of
# random ones; shuffled weights (first two; the third overflows) give 0.08 to 0.45 times.
_CLEARLY_MORE_SPREAD = 2.0
_LARGEST_FEATURE = 1e4  # trained networks have features around 1; float16 ends at 65504
_LEAST_LEAD, _LEAD_TIMES_IMAGES = 0.5, 30.0
_BEYOND_DOUBT = 2.0  # standard errors of a mean paired difference
FEWEST_TO_BLAME = 20  # images; with 12, good weights looked worse than random ones in 1 of 15 draws of one set

_LARGE_GAP = 30.0  # points between training and held-out accuracy, beyond the held-out interval
_WANTED_REACH = 10.0  # points to each side: the precision that the accuracy of the winner should have


@dataclass(frozen=True)
class Judged:
    """One candidate on the held-out images: right (N,) bool, loss (N,) cross entropy in nats; same order for all.

    images  of several heads: N is the number of their predictions, and these are the images that they are of, ascending
    """

    name: str
    right: NDArray[np.bool_]
    loss: NDArray[np.float64]
    images: NDArray[np.int64] | None = None


def judged(name: str, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> Judged:
    """From held-out logits (N, C) and labels (N,)."""
    return Judged(name, logits.argmax(axis=1) == labels, cross_entropy(logits, labels))


def lead(candidate: Judged, rival: Judged) -> float:
    """How far `candidate` is ahead of `rival`, in standard errors of the paired differences; the mean over accuracy,
    which counts, and cross entropy, which says more with few images."""
    right = candidate.right.astype(np.float64) - rival.right.astype(np.float64)
    return (_in_standard_errors(right) + _in_standard_errors(rival.loss - candidate.loss)) / 2


def clear_lead(images: int) -> float:
    """Standard errors (`lead`) by which fine-tuning must lead on this many images to be worth its risk.

    0.5 from 60 images on, 1.5 with 20: with fewer images there is less to learn from, and the best of several ways of
    training leads by luck more often.
    """
    return max(_LEAST_LEAD, _LEAD_TIMES_IMAGES / max(images, 1))


def worth_training(tuned: Judged, rival: Judged, images: int, *, pretrained: bool) -> bool:
    """Whether fine-tuning is kept, by what was judged on this many images. Pretrained weights stay unless it is clearly
    better than a head on them; random ones stay only if a head on them is clearly better."""
    ahead, clear = lead(tuned, rival), clear_lead(images)
    return ahead >= clear if pretrained else ahead > -clear


def negative_transfer(
    candidate: Judged,
    frozen: Sequence[Judged],
    scratch: Judged | None,
    *,
    asked_for: bool = False,
    pretrained: bool = True,
    noun: str = "image",
) -> Guard:
    """Does `candidate` beat the frozen-feature baselines and one without pretraining (`scratch`)?

    Rolled back if it is not worth its risk (`worth_training`) beside the best baseline in `frozen` (empty if the
    candidate is itself the best of them); a warning if the recipe keeps it anyway (`asked_for`). Failed if the baseline
    without pretraining is better beyond chance (95 % interval of the paired difference above zero): then pretraining
    does harm. A warning if that baseline is better but perhaps by chance, or if fine-tuning leads only by its loss and
    had fewer images right. A lead of zero, or one that may be chance, does no harm.
    """
    guard = "negative transfer"
    numbers = {"images": float(len(candidate.right)), "candidate_top1": _top1(candidate)}
    rival = max(frozen, key=_rank, default=None)
    clear = rival is None or worth_training(candidate, rival, len(candidate.right), pretrained=pretrained)
    if rival is not None:
        numbers |= _interval("candidate_minus_frozen_points", paired_difference(candidate.right, rival.right))
    if scratch is not None:
        points = paired_difference(scratch.right, candidate.right)
        numbers |= _interval("scratch_minus_candidate_points", points)
        facts = f"{_capital(scratch.name)}, without any pretraining, "
        compare = " (`edgetl select`)" if noun == "image" else ""
        if points.low > 0:
            sentence = (
                f"{facts}does better on these {noun}s ({_against(scratch, candidate, points, noun)}): the pretraining "
                f"of this backbone does not help here; choose another one{compare}."
            )
            return Guard(guard, "failed", sentence, numbers)
        if clear and points.value > 0:
            sentence = (
                f"{facts}had more held-out {noun}s right ({_against(scratch, candidate, points, noun)}). That may be "
                f"chance; another backbone may suit these {noun}s better{compare}."
            )
            return Guard(guard, "warn", sentence, numbers)
    if rival is not None:
        kept = "pretrained" if pretrained else "random"
        return _tuned(guard, candidate, rival, numbers, clear=clear, asked_for=asked_for, weights=kept, noun=noun)
    if scratch is None:
        sentence = f"{_capital(candidate.name)} was not compared with a baseline, because nothing could be held out."
        return Guard(guard, "not measured", sentence, numbers)
    points = paired_difference(candidate.right, scratch.right)
    sentence = f"Compared with {scratch.name}, pretraining does no harm ({_against(candidate, scratch, points, noun)})."
    return Guard(guard, "pass", sentence, numbers)


def _tuned(
    guard: str,
    candidate: Judged,
    rival: Judged,
    numbers: Mapping[str, float],
    *,
    clear: bool,
    asked_for: bool,
    weights: str,
    noun: str,
) -> Guard:
    """Fine-tuning compared with a new head alone on `weights`, pretrained or random."""
    points = paired_difference(candidate.right, rival.right)
    facts = _against(candidate, rival, points, noun)
    if not clear:
        verdict = "not clearly better" if weights == "pretrained" else "clearly worse"
        sentence = f"Fine-tuning is {verdict} than a new head alone ({facts}), " + (
            "and was kept because the recipe asks for it."
            if asked_for
            else f"so the backbone keeps its {weights} weights, with the new head."
        )
        return Guard(guard, "warn" if asked_for else "rolled back", sentence, numbers)
    if points.low > 0:
        return Guard(guard, "pass", f"Fine-tuning is better than a new head alone ({facts}).", numbers)
    if points.value > 0:
        sentence = f"Fine-tuning did better than a new head alone ({facts}); such a small lead may be chance."
        return Guard(guard, "pass", sentence, numbers)
    why = "it was more confident in the right classes" if weights == "pretrained" else "the other weights are random"
    if points.value == 0:
        sentence = (
            f"Fine-tuning and a new head alone had the same number of {len(candidate.right)} held-out {noun}s right "
            f"({_top1(candidate):.1%}); fine-tuning was kept because {why}."
        )
        return Guard(guard, "pass", sentence, numbers)
    sentence = (
        f"Fine-tuning had fewer held-out {noun}s right than a new head alone ({facts}), which may be chance; it was "
        f"kept because {why}."
    )
    return Guard(guard, "warn", sentence, numbers)


def overfitting(
    train_top1: float,
    held_out_right: NDArray[np.bool_],
    held_out_losses: Sequence[float],
    epochs: int,
    noun: str = "image",
) -> Guard:
    """Is the gap between training and held-out accuracy large, and did the trials pass their best epoch?

    train_top1       fraction of its own shots that the trained candidate has right
    held_out_right   (N,) bool, N >= 1: the same candidate on each image while that was held out
    held_out_losses  of the trials: the mean after epoch 1, 2, ...; empty for heads in closed form
    epochs           of the final training: fewer than in the trials if their loss rose again

    A few shots are always memorized, so a gap is a warning only above 30 points beyond the interval of the held-out
    accuracy. A loss that rose again is reported without a warning: training on all shots ended at its minimum.
    """
    held_out = wilson(int(held_out_right.sum()), len(held_out_right))
    gap, sure_gap = 100 * (train_top1 - held_out.value), 100 * (train_top1 - held_out.high)
    numbers = {"train_top1": train_top1, **_interval("held_out_top1", held_out), "gap_points": gap}
    facts = f"{train_top1:.0%} of its own shots right, {held_out.value:.0%} of held-out ones"
    rose = ""
    if 0 < epochs < len(held_out_losses):
        least, last = held_out_losses[epochs - 1], held_out_losses[-1]
        numbers |= {"best_epoch": float(epochs), "decline": last / max(least, 1e-12) - 1}
        rose = (
            f" In the trials the held-out loss rose again, from {least:.3g} after epoch {epochs} to {last:.3g} after "
            f"{len(held_out_losses)}, so training on all shots ended there."
        )
    if sure_gap > _LARGE_GAP:
        sentence = (
            f"The network has memorized its shots and generalizes little ({facts}); more {noun}s would help most."
        )
        return Guard("overfitting", "warn", sentence + rose, numbers)
    return Guard("overfitting", "pass", f"No sign of overfitting: {facts}.{rose}", numbers)


def too_little_data(right: NDArray[np.bool_], num_classes: int) -> Guard:
    """Do the shots determine the held-out accuracy of the winner to within 10 points, and if not, how many more would?

    right  (N,) bool, N >= 1. The Wilson interval is solved for the number of images at this accuracy.

    More shots do not help with the gate, which is a drop on the validation images: the check's finding `precision` says
    whether these are enough.
    """
    images, top1 = len(right), float(right.mean())
    interval, reach, more = wilson(int(right.sum()), images), _reach_points(top1, images), 0
    while _reach_points(top1, images + more * num_classes) > _WANTED_REACH:
        more += 1
    numbers = {
        "images": float(images),
        "reach_points": reach,
        "more_images_per_class": float(more),
        **_interval("held_out_top1", interval),
    }
    sentence = (
        f"The held-out accuracy of {top1:.0%} is known to within {reach:.1f} points "
        f"({interval.low:.0%} to {interval.high:.0%}) on {images} shots"
    )
    if more:
        sentence += f", too imprecise to choose by: about {more} more per class would bring it within {_WANTED_REACH:g}"
    return Guard("too little data", "warn" if more else "pass", f"{sentence}.", numbers)


def sanity_probe(
    pretrained: NDArray[np.floating],
    random: NDArray[np.floating],
    labels: NDArray[np.int64],
    num_classes: int,
    seed: int,
    noun: str = "image",
) -> Guard:
    """Do pretrained features (N, F) of the shots' plain views carry more information than those of the same network
    with random weights?

    Few shots alone are not enough evidence, so two kinds are used: (a) a ridge classifier on both sets of features,
    evaluated on held-out images by paired differences in accuracy and cross entropy; (b) the spread of the features:
    the share of their energy that differs from image to image, which needs no labels and collapses if weights are
    shuffled.

    Failed: features that are not finite or absurdly large; worse than random beyond chance by both measures of (a) on
    at least 20 images; or no more spread than random features without being better beyond chance. A warning: spread and
    labels disagree, or the spread is hardly larger and the labels are inconclusive.
    """
    guard = "sanity probe"
    size = float(np.abs(pretrained).max()) if np.isfinite(pretrained).all() else math.inf
    if size > _LARGEST_FEATURE:
        sentence = (
            f"The weights carry no information: features reach {size:.3g}, while trained networks have about 1. They "
            f"are "
            "damaged or belong to another network; get them again or choose another backbone."
        )
        return Guard(guard, "failed", sentence, {})
    spread, random_spread = _spread(pretrained), _spread(random)
    numbers = {"spread": spread, "random_spread": random_spread}
    better = worse = False
    facts = f"no class has a second {noun} to validate on"
    one, two = (_probe(features, labels, num_classes, seed) for features in (pretrained, random))
    if one is not None and two is not None:
        lead, sure = paired_difference(one.right, two.right), _standard_errors(two.loss - one.loss)
        better = lead.low > 0 and sure >= _BEYOND_DOUBT
        worse = lead.high < 0 and sure <= -_BEYOND_DOUBT and len(labels) >= FEWEST_TO_BLAME
        facts = _against(one, two, lead, noun)
        numbers |= {"top1": _top1(one), "random_top1": _top1(two), "standard_errors": sure}
        numbers |= _interval("pretrained_minus_random_points", lead)
    ratio = spread / random_spread if random_spread > 0 else math.inf
    varied = f"they differ from {noun} to {noun} {ratio:.2g} times as much"
    dull = spread <= random_spread
    if worse or (dull and not better):
        sentence = (
            f"The weights carry no information: pretrained features are no better than random ones ({facts}; "
            f"{varied}). They "
            "are damaged or belong to another network; get them again or choose another backbone."
        )
        return Guard(guard, "failed", sentence, numbers)
    if dull or (ratio < _CLEARLY_MORE_SPREAD and not better):
        sentence = f"Pretrained features are hardly better than random ones ({facts}; {varied}): check the weights."
        return Guard(guard, "warn", sentence, numbers)
    if better:
        return Guard(guard, "pass", f"Pretrained features beat random ones ({facts}; {varied}).", numbers)
    sentence = f"Too few shots to distinguish pretrained from random features by accuracy ({facts}), but {varied}."
    return Guard(guard, "pass", sentence, numbers)


def _probe(features: NDArray[np.floating], labels: NDArray[np.int64], num_classes: int, seed: int) -> Judged | None:
    if not np.isfinite(features).all():  # random weights may overflow; then any features beat them
        features = np.zeros_like(features)
    views = features[None]
    logits = ridge.judge(fit_space(views).compact(views), labels, num_classes, seed)
    return None if logits is None else judged("features", logits, labels)


def _spread(features: NDArray[np.floating]) -> float:
    """Share of the energy of features (N, F) around their mean, 0..1; 0 for features that are not finite."""
    wide = features.astype(np.float64)
    energy = float((wide**2).sum())
    if not math.isfinite(energy) or energy == 0.0:
        return 0.0
    return float(((wide - wide.mean(axis=0)) ** 2).sum()) / energy


def _standard_errors(differences: NDArray[np.float64]) -> float:
    """The mean of paired differences (N,), N >= 2, in its own standard errors."""
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    mean = float(differences.mean())
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0


def _in_standard_errors(differences: NDArray[np.float64]) -> float:
    """The same with a floor: one image more or less is never certain."""
    mean = float(differences.mean())
    deviation = max(float(differences.std(ddof=1)) if len(differences) > 1 else 0.0, 1 / len(differences))
    return mean / (deviation / math.sqrt(len(differences)))


def _rank(candidate: Judged) -> tuple[float, float]:
    return _top1(candidate), -float(candidate.loss.mean())


def _top1(candidate: Judged) -> float:
    return float(candidate.right.mean())


def _against(one: Judged, two: Judged, lead: Interval, noun: str) -> str:
    return (
        f"{_top1(one):.1%} against {_top1(two):.1%} of {len(one.right)} held-out {noun}s right, "
        f"{lead.value:+.1f} points, 95 % interval {lead.low:+.1f} to {lead.high:+.1f}"
    )


def _reach_points(top1: float, images: int) -> float:
    """Distance from an accuracy to the farther end of its interval if measured on this many images."""
    interval = wilson(round(top1 * images), images)
    return 100 * max(interval.high - interval.value, interval.value - interval.low)


def _interval(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
