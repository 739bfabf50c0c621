"""Turns a folder of unlabeled images into clusters, labeling proposals and, on request, pseudo-labels."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.data.fingerprint import hash_files
from edgetl.data.loose import Listed, list_examples
from edgetl.data.survey_objects import has_annotations
from edgetl.errors import EdgetlError, UsageError
from edgetl.explore.cluster.images import Found, read_found, read_images, write_found
from edgetl.explore.cluster.kmeans import Clusters, Directions, Readable, choose_count, spherical_kmeans
from edgetl.explore.cluster.labeled import Labeled, read_labeled
from edgetl.explore.cluster.propose import Proposal, propose
from edgetl.explore.cluster.pseudo import PseudoLabels, pseudo_labels
from edgetl.explore.cluster.sheet import write_sheet
from edgetl.explore.select.held_out import fit_probe
from edgetl.files.digest import file_digest
from edgetl.files.durable import write_text
from edgetl.files.yaml_file import read_yaml
from edgetl.recipes.recipe import Backbone
from edgetl.stages.weights import Weights
from edgetl.store.results import Store, disk_errors, open_store
from edgetl.types import Progress, ResizePolicy, Sample, WeightSource

CLUSTERS_FILE, NEXT_FILE, PSEUDO_FILE = "clusters.csv", "label-next.csv", "pseudo-labels.csv"
SHEET_FILE, JSON_FILE = "clusters.html", "clusters.json"
SCHEMA = 1

_DIGESTS = "sha256"  # in clusters.json: digests of the lists as written
_CLASSES = 2  # classes of the network's head, which is not used
_CHUNK = 2048


@dataclass(frozen=True)
class Request:
    """The request of `edgetl cluster`.

    clusters   number, or None: chosen by the silhouette
    pseudo     limit of pseudo-labels per class; None: none are made
    """

    folder: Path
    backbone: Backbone
    weights_dirs: tuple[Path, ...]
    resize: ResizePolicy
    clusters: int | None
    label_next: int
    labeled: tuple[Path, ...]
    pseudo: int | None
    seed: int
    out: Path


@dataclass(frozen=True)
class Outcome:
    """The result. `silhouettes` by number of clusters, if the number was chosen automatically."""

    found: Found
    clusters: Clusters
    silhouettes: dict[int, float]
    proposals: tuple[Proposal, ...]
    labeled: Labeled | None
    pseudo: PseudoLabels | None

    @property
    def sizes(self) -> list[int]:
        sizes: list[int] = np.bincount(self.clusters.labels, minlength=len(self.clusters.centers)).tolist()
        return sizes


def cluster(request: Request, progress: Progress) -> Outcome:
    """Cluster the images and write clusters.csv, label-next.csv, clusters.html, clusters.json, and pseudo-labels.csv
    if requested and proven, into `request.out`.

    Features are cached there. Raises UsageError, DataError, WeightsError, StoreError.
    """
    if request.pseudo is not None and not request.labeled:
        raise UsageError("--pseudo-label: needs labels for its proof; name a list with --labeled")
    _refuse_objects(request.folder, *request.labeled)
    listed = list_examples(request.folder)
    with open_store(request.out, "cluster", progress.note) as store:
        source = Weights(request.backbone, Path().resolve(), request.weights_dirs, request.out, progress).to_open()
        _protect(request.out)
        found = _images(store, listed, progress)
        if request.clusters is not None and request.clusters > len(found.images):
            raise UsageError(f"--clusters {request.clusters}: there are only {len(found.images)} different images")
        known = read_labeled(request.labeled, found.images, found.copies) if request.labeled else None
        rows = _directions(store, request, source, found.images, progress)
        count, silhouettes = (request.clusters, {}) if request.clusters else choose_count(rows, seed=request.seed)
        clusters = spherical_kmeans(rows, count, seed=request.seed)
        outcome = Outcome(
            found=found,
            clusters=clusters,
            silhouettes=silhouettes,
            proposals=propose(
                rows,
                clusters,
                request.label_next,
                labeled=known.indices if known else None,
                margins=probe_margins(rows, known) if known else None,
                seed=request.seed,
            ),
            labeled=known,
            pseudo=_pseudo(rows, known, request) if known else None,
        )
        with disk_errors(request.out):
            _protect(request.out)  # somebody may have filled it in meanwhile
            _write(outcome, request.out, progress)
    return outcome


def _refuse_objects(*places: Path) -> None:
    """Raise UsageError for annotations of objects, or a recipe that has them."""
    for place in places:
        if has_annotations(place) or _is_recipe_of_detector(place):
            raise UsageError(
                f"{place}: contains labeled objects, and `edgetl cluster` is for classification: it groups whole "
                "images; name a folder with only images, and lists `path,label`"
            )


def _is_recipe_of_detector(place: Path) -> bool:
    if place.suffix not in (".yaml", ".yml") or not place.is_file():
        return False
    try:
        read = read_yaml(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, EdgetlError):
        return False  # the next step says what is expected
    return isinstance(read, dict) and read.get("task") == "detection"


def probe_margins(rows: Readable, known: Labeled) -> NDArray[np.float64]:
    """(N,) best minus second best logit of a ridge probe fitted to the labeled rows."""
    probe = fit_probe(rows.read(known.indices.tolist()), known.labels, len(known.classes))
    margins = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        part = range(start, min(start + _CHUNK, len(rows)))
        logits = np.sort(probe.logits(rows.read(part)), axis=1)
        margins[part.start : part.stop] = logits[:, -1] - logits[:, -2]
    return margins


def _images(store: Store, listed: Listed, progress: Progress) -> Found:
    with progress.task("hashing images", total=len(listed.paths)) as advance:
        digests = hash_files(listed.paths)
        advance(len(listed.paths))

    def run(out: Path) -> None:
        write_found(read_images(digests, progress), out / "images.json")

    made = store.once("cluster-images", 1, {}, run, inputs=digests)
    found = read_found(made.folder / "images.json")
    return replace(found, skipped=(*listed.skipped, *found.skipped))


def _directions(
    store: Store, request: Request, source: WeightSource, images: Sequence[Sample], progress: Progress
) -> Directions:
    from edgetl.backbones.extract import open_frozen, pooled_features

    frozen = open_frozen(request.backbone, source, _CLASSES, request.resize)
    return Directions(pooled_features(frozen, images, store.cache / "features", progress=progress))


def _pseudo(rows: Readable, known: Labeled, request: Request) -> PseudoLabels | None:
    if request.pseudo is None:
        return None
    return pseudo_labels(rows, known.indices, known.labels, known.classes, per_class=request.pseudo, seed=request.seed)


def _protect(out: Path) -> None:
    """Labels that were filled in by hand must not be lost: only lists that edgetl wrote unchanged are replaced."""
    written = _written(out)
    for name in (NEXT_FILE, PSEUDO_FILE):
        path = out / name
        if path.exists() and (not path.is_file() or file_digest(path) != written.get(name)):
            raise UsageError(
                f"{path}: changed since edgetl wrote it, so it may contain your labels, which would be overwritten; "
                "move it, and name it with --labeled"
            )


def _written(out: Path) -> dict[str, str]:
    """Digests of the lists that an earlier run left in `out`, by name."""
    try:
        return dict(json.loads((out / JSON_FILE).read_text(encoding="utf-8"))[_DIGESTS])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(outcome: Outcome, out: Path, progress: Progress) -> None:
    images, clusters = outcome.found.images, outcome.clusters
    known = outcome.labeled
    names = (
        {
            index: known.classes[label]
            for index, label in zip(known.indices.tolist(), known.labels.tolist(), strict=True)
        }
        if known
        else {}
    )
    order = np.lexsort((-clusters.similarity, clusters.labels)).tolist()
    rows = ((images[i].path, str(clusters.labels[i]), f"{clusters.similarity[i]:.4f}", names.get(i, "")) for i in order)
    write_text(out / CLUSTERS_FILE, _csv(("path", "cluster", "similarity", "label"), rows))
    write_sheet(images, clusters, outcome.proposals, out / SHEET_FILE, progress)
    _write_lists(outcome, out)


def _write_lists(outcome: Outcome, out: Path) -> None:
    """The lists for people to work on, and clusters.json, which holds their digests."""
    images, known, pseudo = outcome.found.images, outcome.labeled, outcome.pseudo
    texts = {NEXT_FILE: _csv(("path", "label"), ((images[each.index].path, "") for each in outcome.proposals))}
    if known and pseudo and pseudo.indices:
        found = zip(pseudo.indices, pseudo.labels, pseudo.confidences, strict=True)
        lines = ((images[i].path, known.classes[label], f"{sure:.4f}") for i, label, sure in found)
        texts[PSEUDO_FILE] = _csv(("path", "label", "confidence"), lines)
    # even if this is killed, a list never exists without its digest
    for name in (NEXT_FILE, PSEUDO_FILE):
        (out / name).unlink(missing_ok=True)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    record = {**summary(outcome), _DIGESTS: digests}
    write_text(out / JSON_FILE, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    for name, text in texts.items():
        write_text(out / name, text)


def summary(outcome: Outcome) -> dict[str, object]:
    """The content of `--json` and clusters.json; the images themselves are in the CSV files."""
    pseudo = outcome.pseudo
    return {
        "schema": SCHEMA,
        "images": len(outcome.found.images),
        "copies": len(outcome.found.copies),
        "skipped": [asdict(skipped) for skipped in outcome.found.skipped],
        "sizes": outcome.sizes,
        "cohesion": outcome.clusters.cohesion,
        "silhouettes": {str(count): score for count, score in outcome.silhouettes.items()},
        "label_next": [
            {"path": outcome.found.images[each.index].path, "cluster": each.cluster, "reason": each.reason}
            for each in outcome.proposals
        ],
        "labelled": len(outcome.labeled.indices) if outcome.labeled else 0,
        "pseudo_labels": None
        if pseudo is None
        else {"count": len(pseudo.indices), "threshold": asdict(pseudo.threshold), "reason": pseudo.reason},
    }


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
