"""edgetl pretrain: networks learn from texts and windows without labels, and start an adaptation."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_calls import Shell
from small_runs import small_run
from windows import wave

from edgetl.adapt.adapt import adapt_network
from edgetl.adapt.pretrain.examples import read_examples
from edgetl.adapt.pretrain.masked import gaps
from edgetl.adapt.pretrain.pretrain import Request, pretrain
from edgetl.adapt.pretrain.train import Limits
from edgetl.adapt.record import read_adapt
from edgetl.backbones.load import build
from edgetl.backbones.series.native import WindowSource
from edgetl.backbones.text.native import TextSource
from edgetl.backbones.weights import locate
from edgetl.data.split import make_split
from edgetl.errors import WeightsError
from edgetl.recipes.data import Data
from edgetl.recipes.fronts import Series
from edgetl.recipes.recipe import Backbone
from edgetl.types import Silent, Windows
from edgetl.types.progress import Advance

pytestmark = pytest.mark.usefixtures("one_thread")

ANIMALS, DOINGS, PLACES = ("cat", "dog", "hen", "cow"), ("sat", "ran", "slept"), ("barn", "yard", "house", "field")


def sentence(draws: random.Random) -> str:
    animal, doing, place, time = (draws.choice(words) for words in (ANIMALS, DOINGS, PLACES, range(100)))
    return f"the {animal} {doing} in the {place} and then the {animal} went home at {time}"


def texts(path: Path, count: int = 120, ordered: bool = True) -> Path:
    """Sentences of one grammar; of the same words in any order if not `ordered`."""
    draws = random.Random(0)
    rows = [sentence(draws).split() for _ in range(count)]
    if not ordered:
        words = [word for row in rows for word in row]
        rows = [draws.choices(words, k=14) for _ in rows]
    path.write_text("".join(json.dumps({"text": " ".join(row)}) + "\n" for row in rows))
    return path


def windows(path: Path, count: int = 80) -> Path:
    """Waves of 40 steps, and as many more that are for validation."""
    both = np.stack([wave(40, 2, seed) for seed in range(2 * count)])
    np.savez(path, train_x=both[:count], val_x=both[count:])
    return path


def learned(path: Path, backbone: str, out: Path, epochs: int = 6) -> dict[str, object]:
    return dict(pretrain(Request(path, backbone, out, Limits(epochs, None, 0)), Silent()).document)


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    folder = tmp_path_factory.mktemp("language")
    learned(texts(folder / "texts.jsonl"), "text_lstm", folder / "lm")
    return folder / "lm"


def test_a_language_model_predicts_better_than_frequencies_and_is_described(language: Path) -> None:
    found = json.loads((language / "pretrained.json").read_text())
    assert found["reached"] < 0.7 * found["trivial"]
    assert (found["training"], found["held_out"], found["measure"]) == (108, 12, "perplexity")
    assert set(found["files"]) == {"model.safetensors", "tokenizer.json"}
    assert found["reached"] == min(epoch["held_out"] for epoch in found["epochs"])


def test_its_weights_fill_all_but_the_head_and_bring_their_words(language: Path, tmp_path: Path) -> None:
    backbone = Backbone(name="text_lstm", weights=str(language))
    source = TextSource(tmp_path / "tokenizers", ("a zebra",))
    network, spec, audit = build(backbone, locate(backbone, Path(), ()), 3, source)
    fresh, _, _ = build(Backbone(name="text_lstm", pretrained=False), locate(backbone, Path(), ()), 3, source)
    assert (audit.matched, audit.dropped, audit.new) == (9, (), ("head.bias", "head.weight"))
    words = json.loads((language / "tokenizer.json").read_text())["model"]["pieces"]
    assert "field" in words
    assert "zebra" not in words
    assert spec.model_args["rows"] == len(words)
    other = fresh.state_dict()["encoder.onward.weight_ih_l0"]
    assert not torch.equal(network.state_dict()["encoder.onward.weight_ih_l0"], other)


@pytest.mark.stage
def test_adaptation_starts_from_it(language: Path, tmp_path: Path) -> None:
    draws = random.Random(5)
    rows = [{"label": animal, "text": f"the {animal} {draws.choice(DOINGS)}" + " in" * i}
            for animal in ANIMALS[:2] for i in range(10)]  # fmt: skip
    table = tmp_path / "labeled.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = Data(train=str(table), shots=8)
    split = make_split(data, tmp_path, Silent(), front="text")
    backbone = Backbone(name="text_lstm", weights=str(language))
    settings = {"folds": 2, "strategy": "probe", "sanity": "warn"}
    run = small_run(split, tmp_path, front="text", data=data, backbone=backbone, adapt=settings)
    (tmp_path / "made").mkdir()
    adapt_network(run, locate(backbone, run.job.base, []), tmp_path / "made")
    assert read_adapt(tmp_path / "made").audit.matched == 9


@pytest.mark.parametrize("name", ["resnet_1d", "gru", "lstm"])
def test_networks_fill_gaps_of_windows_better_than_the_mean(name: str, tmp_path: Path) -> None:
    found = learned(windows(tmp_path / "waves.npz"), name, tmp_path / "net", epochs=12)
    assert found["training"] == 70
    assert found["held_out"] == 10  # windows for validation are not used
    backbone = Backbone(name=name, weights=str(tmp_path / "net"))
    for channels, new in ((2, 2), (5, 3)):
        seen = Windows(tuple("abcde"[:channels]), 0, (90,), (0.0,) * channels, (1.0,) * channels)
        _, _, audit = build(backbone, locate(backbone, Path(), ()), 7, WindowSource(seen, Series()))
        assert len([each for each in audit.new if "num_batches" not in each]) == new
        assert len(audit.notes) == len(audit.dropped) == new - 2


def test_gaps_hide_a_share_of_the_values_in_runs() -> None:
    hidden = gaps(torch.Size((200, 3, 160)), torch.Generator().manual_seed(1))
    assert 0.13 < float(hidden.float().mean()) < 0.17
    begins = hidden[:, :, 1:] & ~hidden[:, :, :-1]
    assert 8 < float(hidden.sum() / begins.sum()) < 13  # a 16th of a window on average, and some begin before it
    assert gaps(torch.Size((1, 1, 1)), torch.Generator()).any()


def test_a_network_that_learned_nothing_is_not_written(tmp_path: Path, shell: Shell) -> None:
    path = texts(tmp_path / "words.jsonl", ordered=False)
    done = shell("pretrain", path, "--backbone", "text_gru", "--out", tmp_path / "lm", "--epochs", "2", "-q")
    assert done.code == 1
    assert "nothing was learned: expected a perplexity below" in done.err
    assert not (tmp_path / "lm" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("backbone", "code", "message"),
    [("text_lstm", 1, "expected at least 50 different texts, found 7"), ("minirocket", 2, "cannot|not a network that")],
)
def test_what_cannot_be_pretrained_is_one_line(
    backbone: str, code: int, message: str, tmp_path: Path, shell: Shell
) -> None:
    path = texts(tmp_path / "few.jsonl", count=7)
    path.write_text(path.read_text() * 20)
    done = shell("pretrain", path, "--backbone", backbone, "--out", tmp_path / "lm", "-q")
    assert done.code == code
    assert any(part in done.err for part in message.split("|"))
    assert done.err.count("\n") == 1


def test_the_command_prints_what_a_recipe_needs(tmp_path: Path, shell: Shell) -> None:
    path = texts(tmp_path / "texts.jsonl", count=60)
    asked = ("pretrain", path, "--backbone", "text_gru", "--out", tmp_path / "lm", "--epochs", "4", "-q")
    done = shell(*asked)
    assert done.code == 0
    assert done.out.splitlines()[-1] == f"backbone: {{name: text_gru, weights: {tmp_path / 'lm'}}}"
    (record,) = (tmp_path / "lm" / "stages").glob("*.json")
    before = record.stat().st_mtime_ns
    again = json.loads(shell(*asked, "--json").out)
    assert record.stat().st_mtime_ns == before  # nothing is trained twice
    assert again["reached"] < again["trivial"]


class _Stops(Silent):
    """Stops a training after its second epoch, as Ctrl-C does."""

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        done = 0

        def advance(steps: int = 1, detail: str = "") -> None:
            nonlocal done
            done += steps
            if label.startswith("pretraining") and done == 2:
                raise KeyboardInterrupt

        yield advance


def test_a_stopped_training_resumes_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetl.adapt.snapshot._EVERY_S", 0.0)
    path, limits = texts(tmp_path / "texts.jsonl", count=60), Limits(4, None, 3)
    with pytest.raises(KeyboardInterrupt):
        pretrain(Request(path, "text_lstm", tmp_path / "stopped", limits), _Stops())
    assert list((tmp_path / "stopped").rglob("unfinished/*.safetensors"))
    for name in ("stopped", "whole"):
        pretrain(Request(path, "text_lstm", tmp_path / name, limits), Silent())
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("stopped", "whole"))
    assert one == other
    assert not list((tmp_path / "stopped").rglob("unfinished/*.safetensors"))


def test_rows_of_validation_and_copies_are_left_out(tmp_path: Path) -> None:
    draws = random.Random(1)
    rows = [f"{part},{sentence(draws)} {number}" for part in ("train", "val") for number in range(60)]
    (tmp_path / "both.csv").write_text("\n".join(["split,text", *rows, *rows[:5], "train, "]) + "\n")
    found = read_examples(tmp_path / "both.csv", "text", None, Silent())
    assert (len(found.values), found.other_parts, found.copies, len(found.skipped)) == (60, 60, 5, 1)
    training, held_out = found.parts(seed=0)
    assert (len(training), len(held_out)) == (50, 10)
    assert not set(training) & set(held_out)


def test_a_folder_of_weights_belongs_to_one_network_and_is_whole(language: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"weights of `text_lstm`; backbone\.name is `text_gru`"):
        locate(Backbone(name="text_gru", weights=str(language)), Path(), ())
    for name in ("model.safetensors", "tokenizer.json", "pretrained.json"):
        (tmp_path / name).write_bytes((language / name).read_bytes())
    backbone = Backbone(name="text_lstm", weights=str(tmp_path))
    assert (
        locate(backbone, Path(), ()).digest
        == locate(Backbone(name="text_lstm", weights=str(language)), Path(), ()).digest
    )
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"tokenizer\.json: not the file of pretrained\.json"):
        locate(backbone, Path(), ())
    (tmp_path / "pretrained.json").write_text("[]")
    with pytest.raises(WeightsError, match="not a description of pretrained weights"):
        locate(backbone, Path(), ())
