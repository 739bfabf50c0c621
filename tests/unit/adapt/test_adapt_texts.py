"""The adapt stage on texts: fine-tuning of transformers, recurrent networks from scratch, and what is written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_calls import Shell
from small_runs import small_run
from tiny_transformers import tiny_transformer

from edgetl.adapt import episode
from edgetl.adapt.adapt import adapt_network
from edgetl.adapt.inputs import StateInputs
from edgetl.adapt.record import AdaptRecord, read_adapt
from edgetl.backbones.checkpoint import read_checkpoint
from edgetl.backbones.examples import load_raw, normalize
from edgetl.backbones.extract import Frozen, Point
from edgetl.backbones.load import rebuild
from edgetl.backbones.spec import read_spec
from edgetl.backbones.weights import locate
from edgetl.data.split import make_split
from edgetl.errors import DataError
from edgetl.recipes.data import Data
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.run import Run
from edgetl.types import TOKENIZER, Sample, Silent

pytestmark = pytest.mark.stage

WORDS = {"animals": ("cat", "dog", "ran", "sat"), "films": ("film", "plot", "good", "bad")}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twelve texts of each class, which differ in their words."""
    rows = [
        {
            "label": label,
            "text": f"the {words[i % 4]} was very {words[(i // 4 + 1) % 4]} on {words[i % 3]}" + " the" * i,
        }
        for label, words in WORDS.items()
        for i in range(12)
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "texts.jsonl"


def run_of(table: Path, backbone: Backbone, **adapt: Any) -> Run:
    data = Data(train=str(table), shots=8)
    split = make_split(data, table.parent, Silent(), front="text")
    return small_run(split, table.parent, front="text", data=data, backbone=backbone, adapt={"folds": 2, **adapt})


def adapted(run: Run, out: Path) -> AdaptRecord:
    out.mkdir()
    adapt_network(run, locate(run.job.recipe.backbone, run.job.base, []), out)
    return read_adapt(out)


def right(run: Run, out: Path) -> float:
    """The share of validation texts that the written network, rebuilt, has right."""
    spec, samples = read_spec(out / "network.json"), run.split.val
    logits = rebuild(spec, out / "network.safetensors")(
        normalize(load_raw(samples, spec.preprocessing), spec.preprocessing)
    )
    return float((logits.argmax(1) == torch.tensor([sample.label for sample in samples])).float().mean())


def test_a_transformer_is_tuned_without_its_embeddings(table: Path, tmp_path: Path) -> None:
    folder = tiny_transformer(tmp_path / "tiny", "bert")
    run = run_of(table, Backbone(name=f"local-dir:{folder}"), strategy="finetune", sanity="warn", epochs=3)
    record = adapted(run, tmp_path / "out")
    assert record.strategy == "finetune"
    assert record.trained_parts
    before = read_checkpoint(folder / "model.safetensors")
    after = read_checkpoint(tmp_path / "out" / "network.safetensors")
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after.get(f"encoder.{name}", tensor))}
    assert any(name.startswith("encoder.layer.1.") for name in moved)
    assert not any(name.startswith("embeddings.") for name in moved)
    assert (tmp_path / "out" / TOKENIZER).is_file()
    assert right(run, tmp_path / "out") > 0.5


def test_cached_states_of_frozen_layers_train_the_same_network(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_transformer(tmp_path / "tiny", "bert")
    run = run_of(
        table, Backbone(name=f"local-dir:{folder}"), strategy="finetune", sanity="warn", epochs=3, train_last=1
    )
    points: list[str] = []

    def spied(frozen: Frozen, samples: Sequence[Sample], point: Point) -> StateInputs:
        points.append(point.name)
        return StateInputs(frozen, samples, point)

    monkeypatch.setattr(episode, "StateInputs", spied)
    adapted(run, tmp_path / "cut")
    assert points == ["encoder.encoder.layer.0"]
    monkeypatch.setattr(episode, "MOST_BYTES", 0)  # no room for them
    shutil.rmtree(run.store.cache)
    adapted(run, tmp_path / "whole")
    one, two = (read_checkpoint(tmp_path / name / "network.safetensors") for name in ("cut", "whole"))
    assert len(points) == 1
    assert max(float((one[name].float() - two[name].float()).abs().max()) for name in one) < 1e-5


def test_the_same_run_gives_the_same_bytes(table: Path, tmp_path: Path) -> None:
    folder = tiny_transformer(tmp_path / "tiny", "bert")
    made = []
    for name in ("one", "two"):
        (here := tmp_path / name).mkdir()
        (here / table.name).write_bytes(table.read_bytes())
        backbone = Backbone(name=f"local-dir:{folder}")
        adapted(run_of(here / table.name, backbone, strategy="finetune", sanity="warn", epochs=2), here / "out")
        made.append({file: (here / "out" / file).read_bytes() for file in ("network.safetensors", "network.json")})
    assert made[0] == made[1]


def test_a_recurrent_network_learns_from_nothing(table: Path, tmp_path: Path) -> None:
    run = run_of(table, Backbone(name="text_lstm", pretrained=False), strategy="finetune", epochs=20)
    record = adapted(run, tmp_path / "out")
    assert record.trained_parts == ("encoder.embedding", "encoder.onward", "encoder.back")
    assert right(run, tmp_path / "out") == 1.0
    guard = next(each for each in record.guards if each.guard == "negative transfer")
    assert "texts" in guard.sentence


def test_a_tokenizer_that_differs_stops_before_training(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgetl.fronts.text import prove

    monkeypatch.setattr(prove, "reference_of", lambda _: lambda texts: [[7] for _ in texts])
    folder = tiny_transformer(tmp_path / "tiny", "bert")
    run = run_of(table, Backbone(name=f"local-dir:{folder}"))
    with pytest.raises(DataError, match=r"texts\.jsonl:\d+: edgetl's tokenizer differs from the model's own"):
        adapted(run, tmp_path / "out")


@pytest.mark.slow
def test_one_command_adapts_minilm_to_news(shared: Path, tmp_path: Path, shell: Shell) -> None:
    place = os.environ.get("EDGETL_MINILM", "")
    if not place or not Path(place).is_dir():
        pytest.skip("no all-MiniLM-L6-v2 here (EDGETL_MINILM)")
    sides = {side: str(shared / "data" / "text" / f"agnews_{side}.csv") for side in ("train", "val")}
    recipe = {
        "name": "news",
        "front": "text",
        "data": {**sides, "shots": 8, "max_val_images": 60},
        "check": {"features": False, "allow_leak": True},
        "backbone": {"name": f"local-dir:{place}"},
        "adapt": {"strategy": "probe"},
        "targets": ["x86-cpu"],
    }
    (tmp_path / "news.yaml").write_text(json.dumps(recipe))
    done = shell("adapt", tmp_path / "news.yaml", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    (made,) = (folder for folder in (tmp_path / "out" / "stages").glob("adapt-*") if folder.is_dir())
    assert read_adapt(made).licence == "apache-2.0"
    chosen = read_adapt(made).chosen
    assert chosen is not None
    assert chosen.top1 is not None
    assert chosen.top1 > 0.6
