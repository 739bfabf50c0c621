"""Networks for texts by folder and by name: built, described, rebuilt without their folder, equal to the reference."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from tiny_transformers import CORPUS, KINDS, Kind, tiny_transformer
from torch import Tensor, nn

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.freeze import blocks
from edgetl.backbones.load import build, rebuild
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.backbones.text.classifier import TextClassifier
from edgetl.backbones.text.native import TextSource, buckets
from edgetl.backbones.weights import locate
from edgetl.errors import EdgetlError, UsageError, WeightsError
from edgetl.fronts.text.description import read_description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.pivot.from_torch import to_onnx
from edgetl.recipes.recipe import Backbone
from edgetl.types import TOKENIZER, NetworkSpec, TextPreprocessing
from edgetl.types.findings import Audit

transformers = pytest.importorskip("transformers", reason="needs the extra `text`")

TEXTS = ("the cat sat", "Once upon a time there was a little girl named Lily.", *CORPUS[:6])
SCRATCH = ("text_lstm", "text_gru")


def opened(
    name: str, cache: Path, *weights: Path, max_tokens: int | None = None
) -> tuple[TextClassifier, NetworkSpec, Audit]:
    """A network for three classes; from `weights`, folders of them, or with random weights if its name says so."""
    backbone = Backbone(name=name, pretrained=name not in SCRATCH)
    source = locate(backbone, Path(), weights)
    network, spec, audit = build(backbone, source, 3, TextSource(cache / "tokenizers", TEXTS, max_tokens))
    assert isinstance(network, TextClassifier)
    return network.requires_grad_(False), spec, audit


def read_by(spec: NetworkSpec, texts: tuple[str, ...] = TEXTS) -> Tensor:
    """Tokens of texts, filled up to the longest."""
    p = spec.preprocessing
    assert isinstance(p, TextPreprocessing)
    tokenizer = Tokenizer(read_description(Path(p.folder) / TOKENIZER))
    rows = [torch.tensor(tokenizer.encode(text)) for text in texts]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=p.pad)


def require_rebuilt(network: TextClassifier, spec: NetworkSpec, folder: Path) -> None:
    """Written, read and rebuilt, it computes the same; its description names no place."""
    tokens = read_by(spec)
    write_spec(spec, folder / "network.json")
    write_checkpoint(network.state_dict(), folder / "network.safetensors")
    assert str(folder) not in (folder / "network.json").read_text()
    again = read_spec(folder / "network.json")
    assert again == spec
    assert torch.equal(rebuild(again, folder / "network.safetensors")(tokens), network(tokens))


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_rebuilt_without_itself(tmp_path: Path, kind: Kind) -> None:
    source = tiny_transformer(tmp_path / "tiny", kind)
    network, spec, audit = opened(f"local-dir:{source}", tmp_path)
    assert (spec.library, spec.architecture, spec.classifier) == ("transformers", kind, "head")
    assert audit.new == ("head.bias", "head.weight")
    shutil.rmtree(source)
    require_rebuilt(network, spec, tmp_path)


@pytest.mark.parametrize("name", SCRATCH)
def test_recurrent_networks_begin_with_the_words_of_the_shots(tmp_path: Path, name: str) -> None:
    network, spec, audit = opened(name, tmp_path)
    tokens = read_by(spec)
    assert audit.matched == 0
    assert not (tokens == 1).any()  # every word of the shots is known
    assert (read_by(spec, ("ζ",)) == 1).any()
    require_rebuilt(network, spec, tmp_path)
    assert read_by(opened(name, tmp_path)[1]).equal(tokens)


@pytest.mark.parametrize("name", SCRATCH)
def test_recurrent_networks_do_not_see_padding(tmp_path: Path, name: str) -> None:
    network, spec, _ = opened(name, tmp_path)
    tokens = read_by(spec)
    alone = torch.cat([network(row[row != 0][None]) for row in tokens])
    assert torch.allclose(network(tokens), alone, atol=1e-6)
    assert torch.allclose(network(nn.functional.pad(tokens, (0, 30))), alone, atol=1e-6)
    turned = torch.stack([torch.cat((row[row != 0].flip(0), row[row == 0])) for row in tokens])
    assert not torch.allclose(network(turned), alone, atol=1e-4)  # order counts


@pytest.mark.parametrize("name", SCRATCH)
def test_recurrent_networks_are_exported_with_any_batch_and_length(tmp_path: Path, name: str) -> None:
    network, spec, _ = opened(name, tmp_path)
    tokens = read_by(spec)
    session = InferenceSession(to_onnx(network, spec.preprocessing.network_shape).SerializeToString())
    for some in (tokens, tokens[:3, :5]):
        (found,) = session.run(None, {session.get_inputs()[0].name: some.numpy()})
        np.testing.assert_allclose(found, network(some), atol=1e-6)


def published(shared: Path, name: str) -> tuple[Path, ModuleType]:
    """The folder of weights, and the definition beside them."""
    folder = shared / "weights"
    path = folder / name / "model.py"
    if not path.is_file():
        pytest.skip(f"no pretrained network here: {name}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return folder, module


@pytest.mark.parametrize("name", ["stories260k", "char_lstm"])
def test_published_networks_have_the_states_and_tokens_of_their_definition(
    tmp_path: Path, shared: Path, name: str
) -> None:
    folder, definition = published(shared, name)
    network, spec, _ = opened(name, tmp_path, folder)
    reference = definition.build()
    for text in TEXTS:
        tokens = read_by(spec, (text,))
        if name == "stories260k":
            ids = definition.Tokenizer().encode(text)
        else:
            ids = definition.to_ids(text, definition.vocabulary())
        assert tokens.tolist() == [ids]
        states = network.encoder(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
        assert torch.allclose(states, reference.features(tokens), atol=1e-4)
    require_rebuilt(network, spec, tmp_path)


def test_minilm_has_the_vectors_of_its_library(tmp_path: Path) -> None:
    place = os.environ.get("EDGETL_MINILM", "")
    if not Path(place).is_dir() or not place:
        pytest.skip("no all-MiniLM-L6-v2 here (EDGETL_MINILM)")
    network, spec, audit = opened(f"local-dir:{place}", tmp_path)
    assert (spec.licence, network.pooling, len(blocks(network, "head"))) == ("apache-2.0", "mean", 7)
    assert audit.matched == 101
    reference = transformers.AutoModel.from_pretrained(place, local_files_only=True).eval()
    words = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
    seen = words(list(TEXTS), return_tensors="pt", padding=True)
    assert seen["input_ids"].equal(read_by(spec))
    with torch.inference_mode():
        states = reference(**seen).last_hidden_state
        mask = seen["attention_mask"][..., None]
        expected = network.head((states * mask).sum(1) / mask.sum(1))
        assert torch.allclose(network(seen["input_ids"]), expected, atol=1e-5)


def test_the_recipe_shortens_what_is_read(tmp_path: Path) -> None:
    source = tiny_transformer(tmp_path / "tiny", "bert")
    lengths = {
        max_tokens: opened(f"local-dir:{source}", tmp_path, max_tokens=max_tokens)[1].preprocessing.network_shape
        for max_tokens in (None, 40, 64)
    }
    assert lengths == {None: (64,), 40: (40,), 64: (64,)}
    with pytest.raises(UsageError, match=r"text\.max_tokens: the network reads at most 64 tokens; found 65"):
        opened(f"local-dir:{source}", tmp_path, max_tokens=65)
    assert buckets(40, 40) == (16, 32, 40)
    assert buckets(100, 512) == (16, 32, 64, 128)


def test_a_tokenizer_of_another_network_is_refused(tmp_path: Path) -> None:
    source = tiny_transformer(tmp_path / "tiny", "bert")
    config = source / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "vocab_size": 20}))
    with pytest.raises(WeightsError, match="they belong to two networks") as refused:
        opened(f"local-dir:{source}", tmp_path)
    assert str(config) in str(refused.value)


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.safetensors"])
def test_a_folder_without_a_file_names_it(tmp_path: Path, missing: str) -> None:
    source = tiny_transformer(tmp_path / "tiny", "bert")
    (source / missing).unlink()
    with pytest.raises(WeightsError, match=missing.replace(".", r"\.")):
        opened(f"local-dir:{source}", tmp_path)


def test_another_tokenizer_is_another_source_of_weights(tmp_path: Path) -> None:
    source = tiny_transformer(tmp_path / "tiny", "bert")
    backbone = Backbone(name=f"local-dir:{source}")
    before = locate(backbone, Path(), ()).digest
    (source / "tokenizer.json").write_text("{}")
    assert locate(backbone, Path(), ()).digest != before


@pytest.mark.parametrize(
    ("name", "message"),
    [("char_lstn", "did you mean `char_lstm`"), ("stories260k", "no weights of `stories260k`"), ("resnet18", "text")],
)
def test_names_that_lead_nowhere_are_one_line(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(EdgetlError, match=message) as refused:
        opened(name, tmp_path)
    assert "\n" not in str(refused.value)
