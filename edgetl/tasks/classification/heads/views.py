"""Logistic regression on all views of an example alike: for sounds, whose views are like other recordings."""

from __future__ import annotations

from edgetl.tasks.classification.heads.firm import fit_firmly
from edgetl.tasks.classification.heads.head import Floats, Head, Labels
from edgetl.tasks.classification.heads.logistic import fit_all

NAME = "views"

STRENGTH = 1e-1  # inverse penalty; measured on held-out speakers of training (docs/decisions/0025-audio-front.md)


def fit(views: Floats, labels: Labels, num_classes: int, seed: int) -> Head:
    return fit_firmly(NAME, fit_all, STRENGTH, views, labels, num_classes, seed)
