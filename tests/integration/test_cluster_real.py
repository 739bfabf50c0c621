"""`edgetl cluster` on real images: groups near the classes nobody told it, labels where they are proven."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import normalized_mutual_info_score

from edgetl.explore.cluster.cluster import Outcome, Request, cluster
from edgetl.recipes.recipe import Backbone
from edgetl.types import Silent

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One output folder for all tests: the features in it are computed once."""
    return tmp_path_factory.mktemp("steel") / "out"


def _cluster(shared: Path, out: Path, labeled: tuple[Path, ...] = (), pseudo: int | None = None) -> Outcome:
    request = Request(
        folder=shared / "data" / "neu_steel" / "train",
        backbone=Backbone(name="mobilenetv2_100"),
        weights_dirs=(shared / "weights",),
        resize="squash",
        clusters=None,
        label_next=12,
        labeled=labeled,
        pseudo=pseudo,
        seed=0,
        out=out,
    )
    return cluster(request, Silent())


def _classes(outcome: Outcome) -> NDArray[np.str_]:
    return np.array([Path(sample.path).parent.name for sample in outcome.found.images])


def test_steel_defects_fall_into_their_six_classes(shared: Path, out: Path) -> None:
    outcome = _cluster(shared, out)
    classes = _classes(outcome)
    assert 4 <= len(outcome.sizes) <= 9
    # 0.90 was measured; chance is 0.03
    assert normalized_mutual_info_score(classes, outcome.clusters.labels) > 0.75
    pure = sum(
        np.unique(classes[outcome.clusters.labels == cluster], return_counts=True)[1].max()
        for cluster in range(len(outcome.sizes))
    )
    assert pure / len(classes) > 0.8
    # the first proposals show all, or nearly all, classes: one central image per cluster
    assert len({classes[each.index] for each in outcome.proposals[:6]}) >= 5


def test_pseudo_labels_on_real_images_are_right_or_absent(shared: Path, out: Path, tmp_path: Path) -> None:
    outcome = _cluster(shared, out)
    classes = _classes(outcome)
    chosen = np.random.default_rng(0).permutation(len(classes))[:150]
    labels = tmp_path / "labels.csv"
    with labels.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("path", "label"), *((outcome.found.images[index].path, classes[index]) for index in chosen.tolist())]
        )
    guided = _cluster(shared, out, (labels,), pseudo=10)
    assert guided.labeled is not None
    assert guided.pseudo is not None
    assert guided.pseudo.indices, guided.pseudo.reason
    given = np.array(guided.labeled.classes)[list(guided.pseudo.labels)]
    assert (given == classes[list(guided.pseudo.indices)]).mean() >= 0.95
    assert not set(guided.pseudo.indices) & set(chosen.tolist())
    assert (out / "pseudo-labels.csv").is_file()
