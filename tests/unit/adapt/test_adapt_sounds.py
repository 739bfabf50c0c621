"""The adapt stage on clips of sound."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import small_run

from edgetl.adapt import verdicts
from edgetl.adapt.adapt import adapt_network
from edgetl.adapt.record import read_adapt
from edgetl.backbones.weights import locate
from edgetl.data.split import make_split
from edgetl.recipes.data import Data
from edgetl.recipes.recipe import Backbone
from edgetl.types import Silent

pytestmark = pytest.mark.stage


def test_pretraining_is_compared_with_a_network_from_scratch_on_mel_spectra(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "scratch_macs", lambda *_: 0)  # as in a long adaptation, where it is affordable
    clips = shared / "data" / "keywords"
    data = Data(train=str(clips / "train"), val=str(clips / "val"), shots=4, max_val_images=6)
    backbone = Backbone(name="speech_embedding", weights_dir=(str(shared / "weights"),))
    split = make_split(data, tmp_path, Silent(), front="audio")
    adapt = {"strategy": "probe", "folds": 2}
    run = small_run(split, tmp_path, front="audio", data=data, backbone=backbone, adapt=adapt)
    (out := tmp_path / "out").mkdir()
    adapt_network(run, locate(backbone, tmp_path, [shared / "weights"]), out)
    record = read_adapt(out)
    assert record.augment == "speech"
    assert record.head == "views"
    assert record.resize is None
    guard = next(each for each in record.guards if each.guard == "negative transfer")
    assert "a small network trained from scratch" in guard.sentence.lower()
    assert "12 held-out clips right" in guard.sentence
