"""What is kept of pictures is kept per decoder: another Pillow gives other pixels, or none at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, features

from edgetl.fronts.image.decoder_versions import decoder_versions
from edgetl.recipes.job import Job, make_job
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.run import Run
from edgetl.stages.check import check_stage
from edgetl.stages.split import split_stage
from edgetl.store.results import open_store
from edgetl.types import Silent


def test_pillow_its_libraries_and_numpy_are_named() -> None:
    versions = decoder_versions()
    assert versions["pillow"] == PIL.__version__
    assert versions["numpy"] == np.__version__
    assert set(versions) >= {"jpg", "webp", "avif"}
    assert all(versions.values())


def without_avif(monkeypatch: pytest.MonkeyPatch) -> None:
    version = features.version
    monkeypatch.setattr(features, "version", lambda name: None if name == "avif" else version(name))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    for name, gray in (("a", 50), ("b", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(3):
            Image.new("L", (9, 9), gray + index).save(tmp_path / "photos" / name / f"{index}.png")
    raw = {
        "name": "grays",
        "data": {"train": "photos", "shots": 1},
        "check": {"features": False},
        "backbone": {"name": "edgetl:printed_characters"},
        "targets": ["null"],
    }
    return make_job(Recipe.model_validate(raw), tmp_path)


def test_another_decoder_draws_and_checks_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def reused() -> list[bool]:
        with open_store(job.out) as store:
            split, drawn = split_stage(store, job, Silent())
            return [drawn.reused, check_stage(Run(store, job, split, Silent())).reused]

    assert reused() == [False, False]
    assert reused() == [True, True]
    prints = set(job.out.glob("cache/prints-*.kept"))
    assert len(prints) == 1
    without_avif(monkeypatch)
    assert reused() == [False, False]
    assert len(set(job.out.glob("cache/prints-*.kept")) - prints) == 1
