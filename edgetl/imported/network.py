"""The import stage: the user's file in the form of edgetl's own networks, proven equal on the shots, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.errors import ParityError, UsageError, WeightsError
from edgetl.fronts.batches import batches
from edgetl.fronts.image.normalize import normalize
from edgetl.imported.absorb import Affine
from edgetl.imported.normal_form import NETWORK_INPUT, to_normal_form
from edgetl.imported.original import Original
from edgetl.imported.read import Opened, network_digest, open_network
from edgetl.imported.record import Imported, write_imported
from edgetl.imported.sanity import IMAGES, judge
from edgetl.pivot.literal import open_literal
from edgetl.pivot.serialize import serialize
from edgetl.quant.draw import draw_samples
from edgetl.recipes.network import Network, Normalization
from edgetl.recipes.run import Run
from edgetl.types import ImagePreprocessing, ResizePolicy, Split

NETWORK_FILE = "network.onnx"
_MOST_SHOTS = 256
_MOST_RELATIVE = 1e-3
_NAMED = 3


def import_network(run: Run, out: Path) -> None:
    """Write the network and import.json into the existing folder `out`.

    network.onnx  float32 `input` (batch, 3, H, W) normalized RGB -> `logits` (batch, classes), with its own opset

    raises  UsageError for a setting that does not fit the file or the classes, WeightsError for a file that cannot be
            imported, or for a network that does not recognize the shots (`adapt.sanity`), ParityError if the rewritten
            network differs from the file.
    """
    settings, split = _settings(run), run.split
    path = path_of(run)
    opened = open_network(path, settings)
    how = normalization_of(opened, settings)
    form = to_normal_form(opened, how)
    _refuse_other_classes(form.classes, split, path, settings)
    asked = run.job.recipe.data.resize
    resize: ResizePolicy = ("crop" if split.croppable else "squash") if asked == "auto" else asked
    p = preprocessing_of(settings, opened, how, form.arithmetic, resize)
    shots = draw_samples(split.shots, replace(run.job.profile, images=_MOST_SHOTS))
    network = Original(opened)
    looked = list(batches(shots, p))
    with run.progress.task("import: prove", total=len(looked)) as advance:
        logits, difference = [], 0.0
        session = open_literal(serialize(form.model))
        for batch in looked:
            scores = network.scores(batch, how).reshape(len(batch), -1)
            (found,) = session.run(None, {NETWORK_INPUT: normalize(batch, p)})
            difference = max(difference, _difference(found, scores))
            logits.append(found)
            advance()
    if not difference <= _MOST_RELATIVE:
        raise ParityError(
            f"{path}: the network as rewritten here differs from the file by {difference:.2g} of its largest score "
            f"(allowed {_MOST_RELATIVE:g}); please check that the file gives equal scores for equal images"
        )
    labels = np.array([sample.label for sample in shots], np.int64)
    few = looked[: -(-min(IMAGES, len(shots)) // len(looked[0]))]
    judged = judge(network, np.concatenate(logits), few, labels, how, split.classes, opened)
    (out / NETWORK_FILE).write_bytes(serialize(form.model))
    record = Imported(
        file=path.name,
        sha256=network_digest(path),
        opset=opened.opset,
        producer=f"{opened.model.producer_name} {opened.model.producer_version}".strip()[:100],
        classes=form.classes,
        layout=opened.layout,
        channels=opened.channels,
        takes_bytes=opened.takes_bytes,
        fixed_batch=opened.batch,
        softmax=form.softmax,
        norms_folded=form.norms[0],
        norms_left=form.norms[1],
        arithmetic=form.arithmetic.steps,
        normalization=how,
        preprocessing=p,
        images=len(shots),
        relative_difference=difference,
        scored=judged.scored,
        others=judged.others,
        sentence=judged.sentence,
    )
    write_imported(record, out)
    if judged.lost and run.job.recipe.adapt.sanity == "refuse":
        raise WeightsError(f"{path}: {judged.sentence}; --set adapt.sanity=warn continues anyway")
    if judged.sentence:
        run.progress.note(judged.sentence)


def path_of(run: Run) -> Path:
    """The user's file."""
    return (run.job.base / Path(_settings(run).file).expanduser()).resolve()


def read_network(folder: Path) -> onnx.ModelProto:
    """The network that an import stage left in `folder`."""
    return onnx.load_model(folder / NETWORK_FILE)


def normalization_of(opened: Opened, settings: Network) -> Normalization:
    """Raises UsageError for one that does not suit the file: an input of bytes, or of gray images."""
    gray = opened.channels == 1
    how = settings.normalization(takes_bytes=opened.takes_bytes, gray=gray)
    if gray and not how.suits_gray():
        raise UsageError(
            f"{opened.path}: the network takes gray images, so mean and std are one number each, and color is left "
            "out; use normalize: unit, tf or bytes, or --mean and --std"
        )
    if opened.takes_bytes and (how.scale, set(how.mean), set(how.std)) != (1.0, {0.0}, {1.0}):
        raise UsageError(
            f"{opened.path}: the network takes bytes, so its graph normalizes them itself; leave normalize, scale, "
            "mean and std out"
        )
    return how


def _settings(run: Run) -> Network:
    settings = run.job.recipe.network
    assert settings is not None
    return settings


def _difference(found: NDArray[np.float32], scores: NDArray[np.float32]) -> float:
    """Largest difference as a share of the largest logit."""
    return float(np.abs(found - scores).max() / max(float(np.abs(scores).max()), 1e-6))


def preprocessing_of(
    settings: Network, opened: Opened, how: Normalization, arithmetic: Affine, resize: ResizePolicy
) -> ImagePreprocessing:
    """(x / 255 - mean) / std in RGB that includes the arithmetic of the graph: it comes after the recipe's."""
    factor, offset = np.array(arithmetic.factor), np.array(arithmetic.offset)
    unit = how.scale / 255
    std = np.array(how.std) / factor
    mean = np.array(how.mean) - offset * std
    mean, std = mean * unit, std * unit
    if how.color == "bgr":
        mean, std = mean[::-1], std[::-1]
    return ImagePreprocessing(
        height=opened.height,
        width=opened.width,
        resize=resize,
        mean=_three(mean),
        std=_three(std),
        crop_pct=settings.crop_pct,
        interpolation=settings.interpolation,
    )


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _refuse_other_classes(scores: int, split: Split, path: Path, settings: Network) -> None:
    if scores == len(split.classes):
        return
    named = _listed(split.classes)
    if settings.classes:
        raise UsageError(
            f"{path}: the network gives {scores} scores, but {settings.classes} names {len(split.classes)} classes "
            f"({named}); name all {scores} in their order"
        )
    raise UsageError(
        f"{path}: the network gives {scores} scores, but the data has {len(split.classes)} classes ({named}); name all "
        f"{scores} in their order with --classes FILE, one a line"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
