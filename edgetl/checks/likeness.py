"""Checks that compare images: neighbors across the split, improbable labels. Numbers in, findings out."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.files import WORDS
from edgetl.checks.labels import find_mislabeled
from edgetl.checks.model import Finding, Suspect
from edgetl.checks.neighbours import find_neighbours
from edgetl.checks.subject import Subject, by_head, suspicion


def neighbours(
    subject: Subject,
    features: NDArray[np.float32],
    thumbnails: NDArray[np.uint8],
    known: Collection[tuple[str, str]],
) -> Finding:
    """Pairs across the split that seem to show one scene. `known`: pairs of paths that are already named as copies."""
    pairs = [
        pair
        for pair in find_neighbours(features, subject.is_val, thumbnails)
        if (subject.samples[pair.shot].path, subject.samples[pair.val].path) not in known
    ]
    if not pairs:
        return Finding(
            check="neighbours", verdict="pass", sentence="no training and validation image seem to show one scene"
        )
    suspects = [
        Suspect(
            pictures=(subject.picture(pair.shot), subject.picture(pair.val)),
            sentence=f"distance {pair.ratio:.2f} times that to the next image, aligned correlation "
            f"{pair.correlation:.2f}",
            score=pair.ratio,
        )
        for pair in pairs
    ]
    many = "pair of a training and a validation image seems" if len(pairs) == 1 else "pairs across the split seem"
    return suspicion(
        "neighbours",
        suspects,
        f"{len(pairs)} {many} to show one scene",
        remedy="look at them; images of one object, place or moment belong on one side (data.group_by)",
    )


def labels(subject: Subject, features: NDArray[np.float32], *, seed: int) -> Finding:
    """Images whose label is improbable, given all others; of several heads one by one."""
    if subject.heads:
        each = [(head.name, *subject.of_head(head)) for head in subject.heads]
        return by_head([(name, labels(own, features[rows], seed=seed)) for name, own, rows in each])
    found = find_mislabeled(features, subject.labels, seed=seed)
    if found is None:
        return Finding(
            check="labels", verdict="not checked", sentence=f"too few {subject.noun}s per class to judge labels by"
        )
    if not found:
        return Finding(check="labels", verdict="pass", sentence="no label is improbable")
    suspects = [
        Suspect(
            pictures=(subject.picture(item.index),),
            sentence=f"looks like `{subject.classes[item.suggested]}` ({100 * item.suggested_probability:.0f} %), "
            f"labeled `{subject.classes[item.label]}` ({100 * item.label_probability:.2g} %)",
            score=item.label_probability,
        )
        for item in found
    ]
    return suspicion(
        "labels",
        suspects,
        f"{len(found)} {subject.noun}{' is' if len(found) == 1 else 's are'} probably in the wrong class",
        remedy=f"{WORDS[subject.noun].at_them}; move wrong ones, keep those that are only unusual",
    )
