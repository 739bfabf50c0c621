"""Transformers from a folder in Hugging Face layout: the reference's states, padding that does not matter, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_transformers import KINDS, Kind, tiny_transformer
from torch import Tensor, nn

from edgetl.backbones.checkpoint import read_sets
from edgetl.backbones.text import transformer
from edgetl.backbones.text.classifier import TextClassifier
from edgetl.backbones.text.tail import TextTail, with_states
from edgetl.backbones.text.weights import fill_encoder, require_safetensors
from edgetl.errors import UsageError, WeightsError

transformers = pytest.importorskip("transformers", reason="needs the extra `text`")


def padded(pad: int, *lengths: int) -> Tensor:
    """Random tokens, a text of each length, filled up to the longest."""
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(5, 200, (length,), generator=generator) for length in lengths]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)


def built(folder: Path, pooling: str = "mean") -> tuple[TextClassifier, int, Any]:
    """The network of a folder with its weights, its padding token, and what became of the checkpoint."""
    kind, config = transformer.read_config(folder)
    pad = config["pad_token_id"]
    network = transformer.construct(kind, {"config": config, "pad": pad, "pooling": pooling}, 3).eval()
    assert isinstance(network, TextClassifier)
    audit = fill_encoder(network, read_sets(folder / "model.safetensors"), "head", str(folder), kind)
    return network.requires_grad_(False), pad, audit


@pytest.mark.parametrize("headed", [False, True], ids=["bare", "with its head"])
@pytest.mark.parametrize("kind", KINDS)
def test_states_are_those_of_the_library(tmp_path: Path, kind: Kind, headed: bool) -> None:
    folder = tiny_transformer(tmp_path, kind, headed=headed)
    network, pad, audit = built(folder)
    reference = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager", local_files_only=True)
    tokens = padded(pad, 9, 4, 1)
    mask = (tokens != pad).long()
    states = reference.eval()(input_ids=tokens, attention_mask=mask).last_hidden_state.detach()
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    assert torch.allclose(network(tokens), network.get_submodule("head")(mean), atol=1e-6)
    assert audit.new == ("head.bias", "head.weight")


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_to_another_length_changes_nothing(tmp_path: Path, kind: Kind, pooling: str) -> None:
    network, pad, _ = built(tiny_transformer(tmp_path, kind), pooling)
    tokens = padded(pad, 9, 4, 1)
    longer = nn.functional.pad(tokens, (0, 23), value=pad)
    alone = torch.cat([network(row[row != pad][None]) for row in tokens])
    assert torch.allclose(network(tokens), alone, atol=1e-5)
    assert torch.allclose(network(longer), alone, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_text_of_padding_only_gives_finite_logits(tmp_path: Path, kind: Kind) -> None:
    network, pad, _ = built(tiny_transformer(tmp_path, kind), "last")
    assert network(torch.full((2, 8), pad)).isfinite().all()


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_exports_with_any_batch_and_length(tmp_path: Path, kind: Kind) -> None:
    network, pad, _ = built(tiny_transformer(tmp_path, kind))
    sizes = (torch.export.Dim("batch"), torch.export.Dim("length", min=2, max=64))
    program = torch.export.export(network, (padded(pad, 9, 4),), dynamic_shapes=(sizes,))
    other = padded(pad, 33, 7, 2, 1, 12)
    assert torch.allclose(program.module()(other), network(other), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_parts_and_embeddings_are_the_stem(tmp_path: Path, kind: Kind) -> None:
    network, _, _ = built(tiny_transformer(tmp_path, kind))
    under = {part for part in network.parts for name, _ in network.named_parameters() if name.startswith(part + ".")}
    covered = [name for name, _ in network.named_parameters() if any(name.startswith(p + ".") for p in network.parts)]
    assert under == set(network.parts)
    assert len(covered) == len(list(network.named_parameters())) - 2  # the classifier's
    assert sum(part.endswith((".0", ".1")) for part in network.parts) == 2
    assert network.parts[: len(network.stem)] == network.stem


@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_stay_frozen_run_once_and_nothing_else_changes(tmp_path: Path, kind: Kind) -> None:
    whole, pad, _ = built(tiny_transformer(tmp_path, kind))
    first, last = (part for part in whole.parts if part.endswith((".0", ".1")))
    texts, other = padded(pad, 9, 4, 1), nn.functional.pad(padded(pad, 9, 4, 1), (0, 5), value=pad)
    caught: list[Tensor] = []
    whole.get_submodule(first).register_forward_hook(lambda _, __, states: caught.append(states))
    expected = trained(whole, last, texts)
    tail = TextTail(whole, first)
    inputs = with_states(other, nn.functional.pad(caught[0].detach(), (0, 0, 0, 5)))
    found = trained(tail, last, inputs)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in expected)
    assert not any(name.startswith(f"{first}.") for name, _ in tail.named_parameters())


def trained(network: nn.Module, part: str, inputs: Tensor) -> dict[str, Tensor]:
    """The logits, and the gradients of the layer `part` by name."""
    layer = network.get_submodule(part).requires_grad_(True)
    logits: Tensor = network(inputs)
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    found = {name: each.grad for name, each in layer.named_parameters() if each.grad is not None}
    assert found
    return {**found, "logits": logits.detach()}


def test_a_damaged_checkpoint_names_the_tensor(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny_transformer(tmp_path, "bert")
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"encoder\.layer\.1\.output\.dense\.weight is missing"):
        built(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 3}, "with `model_type`"),
        ({"model_type": "no-such-network"}, "has no network"),
        ({"model_type": "t5"}, "an encoder with a decoder"),
        ({"model_type": "resnet"}, "not a network for texts"),
        ({"model_type": "bert", "quantization_config": {"bits": 4}}, "quantized weights"),
        ({"model_type": "bert", "hidden_size": "wide"}, "not a configuration of"),
    ],
)
def test_what_is_not_a_network_for_texts_is_one_line(tmp_path: Path, values: dict[str, object], message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises((UsageError, WeightsError), match=message) as refused:
        transformer.read_config(tmp_path)
    assert str(tmp_path / "config.json") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"expected model\.safetensors"):
        require_safetensors(path)


def test_pooling_and_license_are_those_of_the_folder(tmp_path: Path) -> None:
    assert transformer.usual_pooling(tmp_path, "bert") == "mean"
    assert transformer.usual_pooling(tmp_path, "llama") == "last"
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert transformer.usual_pooling(tmp_path, "bert") == "first"
    assert transformer.licence_of(tmp_path) == ""
    (tmp_path / "README.md").write_text("---\ntags:\n- x\nlicense: apache-2.0\n---\n# Model\nlicense: other\n")
    assert transformer.licence_of(tmp_path) == "apache-2.0"
