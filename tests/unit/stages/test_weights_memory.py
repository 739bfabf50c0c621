"""A finished build needs nothing again: where its weights lay, and what they were, is remembered in its folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.job import Job, make_job
from edgetl.recipes.recipe import Adapt, Backbone, Recipe
from edgetl.stages.pipeline import Outcome, run
from edgetl.stages.weights import MEMORY_FILE, Weights
from edgetl.types import Silent, WeightSource


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def folder_of_weights(place: Path, content: bytes = b"weights") -> Path:
    folder = place / "resnet18"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architecture": "resnet18"}')
    (folder / "model.safetensors").write_bytes(content)
    return place


def weights(
    tmp_path: Path, *dirs: Path, recipe: tuple[str, ...] = (), name: str = "resnet18", notes: Notes | None = None
) -> Weights:
    out = tmp_path / "build"
    out.mkdir(exist_ok=True)
    return Weights(Backbone(name=name, weights_dir=recipe), tmp_path, dirs, out, notes or Notes())


def test_a_folder_named_once_is_looked_into_again_and_named_when_it_is_used(tmp_path: Path) -> None:
    given = folder_of_weights(tmp_path / "w")
    first = weights(tmp_path, given).source
    notes = Notes()
    again = weights(tmp_path, notes=notes)
    assert again.source == first
    assert notes.said == []  # kept stages only need to know what it was
    again.to_open()
    again.to_open()
    assert notes.said == [f"weights: {given}/resnet18, as in an earlier run (weights.json)"]


def test_what_the_weights_were_is_known_when_their_folder_is_gone(tmp_path: Path) -> None:
    given = folder_of_weights(tmp_path / "w")
    first = weights(tmp_path, given).source
    shutil.rmtree(given)
    again = weights(tmp_path)
    assert again.source == first
    with pytest.raises(WeightsError, match=r"no longer exist; name their folder with --weights-dir"):
        again.to_open()


def test_a_recipe_names_folders_relative_to_itself(tmp_path: Path) -> None:
    folder_of_weights(tmp_path / "other" / "w")
    found = weights(tmp_path, recipe=("absent", "other/w")).source
    assert found.path == str(tmp_path / "other/w/resnet18")
    assert weights(tmp_path, recipe=("other/w",)).to_open() == found
    shutil.rmtree(tmp_path / "other")
    assert weights(tmp_path, recipe=("other/w",)).source == found


def test_the_command_line_comes_before_the_recipe_and_both_before_memory(tmp_path: Path) -> None:
    remembered = weights(tmp_path, folder_of_weights(tmp_path / "a", b"a")).source
    own = folder_of_weights(tmp_path / "b", b"b")
    given = folder_of_weights(tmp_path / "c", b"c")
    assert weights(tmp_path, given, recipe=("b",)).source.path == str(given / "resnet18")
    assert weights(tmp_path, recipe=("b",)).source.path == str(own / "resnet18")
    assert weights(tmp_path, own).source.digest != remembered.digest


def test_weights_that_changed_are_noticed(tmp_path: Path) -> None:
    given = folder_of_weights(tmp_path / "w", b"before")
    before = weights(tmp_path, given).source
    (given / "resnet18/model.safetensors").write_bytes(b"after!")
    assert weights(tmp_path).source.digest != before.digest


def test_a_folder_that_is_not_there_is_refused_by_the_name_it_was_given_by(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--weights-dir"):
        _ = weights(tmp_path, tmp_path / "absent").source
    with pytest.raises(UsageError, match=r"backbone\.weights_dir"):
        _ = weights(tmp_path, recipe=("absent",)).source


def test_without_any_folder_the_hub_is_left_to_whoever_opens(tmp_path: Path) -> None:
    notes = Notes()
    assert weights(tmp_path, notes=notes).to_open() == WeightSource("hub")
    assert len(notes.said) == 1
    assert not (tmp_path / "build" / MEMORY_FILE).exists()


def test_what_could_not_be_opened_is_not_tried_again_in_the_same_run(tmp_path: Path) -> None:
    one = weights(tmp_path)
    one.fail(WeightsError("no connection"))
    with pytest.raises(WeightsError, match="no connection"):
        one.to_open()


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"schema": 9}', '{"schema": 1, "dirs": 3, "sources": {}}', "[" * 9999]
)
def test_a_damaged_memory_is_an_empty_one(tmp_path: Path, damage: str) -> None:
    given = folder_of_weights(tmp_path / "w")
    found = weights(tmp_path, given).source
    (tmp_path / "build" / MEMORY_FILE).write_text(damage)
    assert weights(tmp_path).source == WeightSource("hub")
    assert weights(tmp_path, given).source == found
    assert json.loads((tmp_path / "build" / MEMORY_FILE).read_text())["dirs"] == [str(given)]


def test_cache_bit_flip_in_a_remembered_digest_forgets_it(tmp_path: Path) -> None:
    """Case cache-bit-flip: results would be kept under the digest of weights that do not exist."""
    found = weights(tmp_path, folder_of_weights(tmp_path / "w")).source
    memory = tmp_path / "build" / MEMORY_FILE
    flipped = chr(ord(found.digest[5]) ^ 1)
    memory.write_text(memory.read_text().replace(found.digest, f"{found.digest[:5]}{flipped}{found.digest[6:]}"))
    assert weights(tmp_path).source == WeightSource("hub")


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A build up to the adapted network, made with a folder of weights that the job does not name any more.

    Only the training itself is left out: what is asked here is when it would run.
    """
    monkeypatch.setattr(
        "edgetl.adapt.adapt.adapt_network",
        lambda run, source, out, plan: (out / "adapt.json").write_text(source.digest),
    )
    folder_of_weights(tmp_path / "w")
    rng = np.random.default_rng(0)
    for number in range(8):
        place = tmp_path / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(place / f"{number}.png")
    values = {"data": {"train": "photos", "shots": 2}, "check": {"features": False}, "backbone": {"name": "resnet18"}}
    recipe = Recipe.model_validate({"name": "pets", "targets": "x86-cpu", **values})
    job = make_job(recipe, tmp_path, weights_dirs=(tmp_path / "w",))
    assert not run(job, Silent(), "adapt").idle
    return replace(job, weights_dirs=())


def again(job: Job, **changes: object) -> Outcome:
    return run(replace(job, recipe=job.recipe.model_copy(update=changes)), Silent(), "adapt")


def test_a_finished_build_is_done_again_without_folder_and_network(finished: Job) -> None:
    folder, other = finished.base / "w", Adapt(seed=1)
    away = folder.rename(finished.base / "gone")
    assert again(finished).idle
    assert again(finished, backbone=Backbone(name="resnet18", weights_dir=("w",))).idle
    assert again(finished, targets=("intel-cpu",)).idle
    with pytest.raises(WeightsError, match="no longer exist"):
        again(finished, adapt=other)
    away.rename(folder)
    assert [result.reused for result in again(finished, adapt=other).results] == [True, True, False]
