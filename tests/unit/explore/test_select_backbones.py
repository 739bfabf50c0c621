"""Which backbones are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.errors import UsageError
from edgetl.explore.select.backbones import candidates
from edgetl.recipes.recipe import Backbone

OWN = Backbone(name="b_own", input_size=64)


def _weights(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
        (folder / name / "model.safetensors").write_bytes(b"")
    return folder


def test_without_names_the_own_one_and_all_timm_folders_are_compared(tmp_path: Path) -> None:
    folder = _weights(tmp_path, ["net10", "net9", "b_own"])
    (folder / "no_config").mkdir()
    (folder / "no_config" / "model.safetensors").write_bytes(b"")
    (folder / "README.md").write_text("weights")
    found = candidates(OWN, [], [folder])
    assert [each.name for each in found] == ["b_own", "net9", "net10"]
    assert found[0] is OWN


def test_named_backbones_are_compared_alone_and_once(tmp_path: Path) -> None:
    folder = _weights(tmp_path, ["net9"])
    found = candidates(OWN, ["net10", "b_own", "net10"], [folder])
    assert [each.name for each in found] == ["net10", "b_own"]
    assert found[1] is OWN


def test_a_folder_of_weights_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: no such folder"):
        candidates(OWN, [], [tmp_path / "nowhere"])


def test_detectors_are_compared_at_the_input_size_of_the_recipe() -> None:
    own = Backbone(name="a", input_size=224)
    assert [each.input_size for each in candidates(own, ("a", "b"), (), "detection")] == [224, 224]
    assert [each.input_size for each in candidates(own, ("a", "b"), ())] == [224, None]
    assert candidates(Backbone(name="a"), ("b",), (), "detection") == (Backbone(name="b"),)
