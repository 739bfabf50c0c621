"""Groups (videos, patients) are held out as a whole: what is learned of a patient does not count as knowing a class."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from small_runs import small_run

from edgetl.adapt.adapt import adapt_network
from edgetl.adapt.record import AdaptRecord, read_adapt
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.weights import locate
from edgetl.recipes.recipe import Backbone
from edgetl.types import Sample, Split

SIZE = 32
PATIENTS, IMAGES = 6, 4  # of each class, of each patient


pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread", "short_baseline")]


def _patients(folder: Path) -> tuple[Sample, ...]:
    """Every patient has a texture of its own, which tells nothing of the class; its images differ by noise. Patients of
    a class are all of one site."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    samples = []
    for patient in range(2 * PATIENTS):
        texture = generator.uniform(0, 255, (8, 8, 3)).repeat(SIZE // 8, 0).repeat(SIZE // 8, 1)
        for image in range(IMAGES):
            pixels = texture + generator.normal(0, 4, texture.shape)
            path = folder / f"site{patient % 2}-patient{patient}-{image}.png"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
            samples.append(Sample(str(path), patient % 2, hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(samples)


def _record(tmp_path: Path, group_by: str | None, samples: tuple[Sample, ...], name: str) -> AdaptRecord:
    torch.manual_seed(0)
    weights = tmp_path / "w.safetensors"
    write_checkpoint(timm.create_model("test_resnet").state_dict(), weights)
    backbone = Backbone(name="test_resnet", weights=str(weights), input_size=SIZE)
    config = {"strategy": "probe", "head": "logistic", "sanity": "warn"}
    data = {"train": "images", "augment": "none", "group_by": group_by}
    split = Split(("healthy", "ill"), samples, samples[:2], (), "squash", "square", "digest")
    (out := tmp_path / name).mkdir()
    run = small_run(split, tmp_path, data=data, backbone=backbone, adapt=config)
    adapt_network(run, locate(backbone, tmp_path, []), out)
    return read_adapt(out)


def test_knowing_a_patient_is_not_taken_for_knowing_the_class(tmp_path: Path) -> None:
    samples = _patients(tmp_path / "images")
    seen, unseen = (_record(tmp_path, given, samples, name) for given, name in ((None, "a"), (r"patient\d+", "b")))

    def held_out(record: AdaptRecord) -> list[float]:
        assert record.resize is not None
        resized = [candidate.top1 for candidate in record.resize.candidates]
        return [*resized, record.chosen.top1 if record.chosen and record.chosen.top1 else 0.0]

    assert len(held_out(seen)) == 3
    assert min(held_out(seen)) > 0.9  # another image of the patient was among those that taught
    assert max(held_out(unseen)) < 0.75


def test_shots_of_one_group_alone_cannot_be_held_out(tmp_path: Path) -> None:
    record = _record(tmp_path, r"site\d", _patients(tmp_path / "images"), "out")
    assert record.folds == 0
    assert record.resize is not None
    assert record.resize.candidates == ()
    assert "or its shots are in one group" in record.resize.reason
