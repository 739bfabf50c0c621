"""Trains a backbone on examples without labels and writes it as a folder that `backbone.weights` names."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgetl.adapt.pretrain.examples import Examples, read_examples, statistics
from edgetl.adapt.pretrain.language_model import LanguageModel
from edgetl.adapt.pretrain.masked import Masked
from edgetl.adapt.pretrain.objective import Objective
from edgetl.adapt.pretrain.train import Epoch, Limits, best_of, train
from edgetl.adapt.snapshot import Snapshots
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.classifier import find_head
from edgetl.backbones.reproducible import choose_device
from edgetl.backbones.series.networks import MOST_STEPS
from edgetl.backbones.series.networks import construct as construct_series
from edgetl.backbones.series.windows import as_exported
from edgetl.backbones.text import recurrent
from edgetl.backbones.text.vocabulary import words_of
from edgetl.backbones.weights import MODEL_FILES, PRETRAINED_FILE
from edgetl.errors import DataError, UsageError
from edgetl.files.digest import file_digest, value_digest
from edgetl.files.durable import write_bytes, write_text
from edgetl.files.text import nearest
from edgetl.fronts.series.window import fitted
from edgetl.fronts.text.description import Description, write_description
from edgetl.store.results import Store, open_store
from edgetl.types import TOKENIZER, FrontName, Progress, SeriesPreprocessing

NETWORKS: Mapping[str, FrontName] = {
    **dict.fromkeys(recurrent.NAMES, "text"),
    **dict.fromkeys(("resnet_1d", "gru", "lstm"), "series"),
}
SCHEMA, _VERSION = 1, 1
_FEWEST_STEPS = 4
_CLASSES = 2  # of a head that is not kept


@dataclass(frozen=True)
class Request:
    """The request of `edgetl pretrain`. column  of the texts in a table; None for the usual one"""

    path: Path
    backbone: str
    out: Path
    limits: Limits
    column: str | None = None


@dataclass(frozen=True)
class Outcome:
    """document  the content of pretrained.json;  examples  what was read"""

    document: Mapping[str, Any]
    examples: Examples


def pretrain(request: Request, progress: Progress) -> Outcome:
    """Train and write model.safetensors, pretrained.json and, of texts, tokenizer.json into `request.out`.

    A stopped training resumes; the same request on the same data trains nothing again. Raises UsageError, DataError
    (too few examples, or held-out predictions no better than the trivial ones, in which case nothing is written),
    StoreError.
    """
    if request.backbone not in NETWORKS:
        near = nearest(request.backbone, NETWORKS)
        raise UsageError(f"--backbone {request.backbone}: not a network that can be pretrained; {near}")
    front = NETWORKS[request.backbone]
    with open_store(request.out, "pretrain", progress.note) as store:
        examples = read_examples(request.path, front, request.column, progress)
        settings = {"backbone": request.backbone, **asdict(request.limits)}
        inputs = {"examples": value_digest(sorted(examples.digests.values()))}
        snapshots = store.cache / "unfinished" / f"{value_digest([settings, inputs])[:32]}.safetensors"

        def run(folder: Path) -> None:
            objective, description = _objective(request, examples)
            history = train(objective, request.limits, choose_device(), Snapshots(snapshots), progress)
            _require_better(request.path, objective, history)
            _write(folder, objective, description, _document(request, objective, history))

        made = store.once("pretrain", _VERSION, settings, run, inputs=inputs)
        document = _publish(store, made.folder)
        shutil.rmtree(snapshots.parent, ignore_errors=True)
    return Outcome(document, examples)


def _objective(request: Request, examples: Examples) -> tuple[Objective, Description | None]:
    training, held_out = examples.parts(request.limits.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(request.limits.seed)
        if NETWORKS[request.backbone] == "text":
            description = words_of(training)
            encoder = recurrent.BothWays(description.size, recurrent.NAMES[request.backbone])
            return LanguageModel(encoder, description, training, held_out), description
        mean, std = statistics(training)
        steps = min(max(map(len, training)), MOST_STEPS)
        p = SeriesPreprocessing(max(steps, _FEWEST_STEPS), mean, std)
        network = construct_series(request.backbone, {"channels": len(mean), "steps": p.steps}, _CLASSES)
        parts = (
            as_exported(np.stack([fitted(window, p.steps) for window in part]), p) for part in (training, held_out)
        )
        return Masked(network, find_head(network, _CLASSES), *parts), None


def _require_better(path: Path, objective: Objective, history: tuple[Epoch, ...]) -> None:
    best = best_of(history).held_out_loss
    if not (math.isfinite(best) and best < objective.trivial):
        raise DataError(
            f"{path}: nothing was learned: expected a {objective.what} below "
            f"{objective.shown(objective.trivial):.4g} on held-out examples, found {objective.shown(best):.4g} after "
            f"{len(history)} epochs; give more examples or more epochs. No weights were written"
        )


def _document(request: Request, objective: Objective, history: tuple[Epoch, ...]) -> dict[str, Any]:
    best = best_of(history)
    return {
        "schema": SCHEMA,
        "backbone": request.backbone,
        "front": NETWORKS[request.backbone],
        "training": objective.training,
        "held_out": objective.held_out,
        "seed": request.limits.seed,
        "measure": objective.what,
        "trivial": objective.shown(objective.trivial),
        "reached": objective.shown(best.held_out_loss),
        "best_epoch": best.epoch,
        "epochs": [
            {"training": objective.shown(each.train_loss), "held_out": objective.shown(each.held_out_loss)}
            for each in history
        ],
    }


def _write(folder: Path, objective: Objective, description: Description | None, document: dict[str, Any]) -> None:
    write_checkpoint(objective.backbone(), folder / MODEL_FILES[0])
    if description is not None:
        write_description(folder / TOKENIZER, description)
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    text = json.dumps({**document, "files": files}, indent=1, allow_nan=False) + "\n"
    (folder / PRETRAINED_FILE).write_text(text, encoding="utf-8")


def _publish(store: Store, folder: Path) -> Mapping[str, Any]:
    """Copy a finished stage to the top of the output folder; its description, which has the digests, comes last."""
    text = (folder / PRETRAINED_FILE).read_text(encoding="utf-8")
    document: Mapping[str, Any] = json.loads(text)
    for name in document["files"]:
        write_bytes(store.out / name, (folder / name).read_bytes())
    write_text(store.out / PRETRAINED_FILE, text)
    return document
