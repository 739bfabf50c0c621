from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_adaptations import write_weights

from edgetl.backbones.checkpoint import read_checkpoint, write_checkpoint


@pytest.fixture
def short_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network from scratch has its own tests; elsewhere it only has to be there."""
    monkeypatch.setattr("edgetl.adapt.scratch._STEPS", 2)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")


@pytest.fixture(scope="session")
def drawing(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in a network with dropout and stochastic depth, as a timm folder."""
    folder: Path = tmp_path_factory.mktemp("drawing")
    chances = {"drop_rate": 0.3, "drop_path_rate": 0.2}
    config = {"architecture": "test_resnet", "model_args": chances, "num_classes": 1000}
    (folder / "config.json").write_text(json.dumps(config))
    write_checkpoint(read_checkpoint(weights), folder / "model.safetensors")
    return folder
