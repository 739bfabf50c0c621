"""Networks that read texts, exported: any batch and length, the tokens as int32."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from tiny_texts import LABELS, LONGEST, PAD, PREPROCESSING, float_pivot, reader, texts

from edgetl.pivot.facts import facts_of
from edgetl.pivot.fold import fold
from edgetl.pivot.from_torch import capture
from edgetl.pivot.literal import infer, open_literal


@pytest.mark.parametrize("length", [2, 5, LONGEST])
@pytest.mark.parametrize("count", [1, 3])
def test_the_exported_network_is_the_torch_network_at_every_length_and_batch(count: int, length: int) -> None:
    tokens = texts(count, length)
    with torch.no_grad():
        expected = reader()(torch.from_numpy(tokens).long()).numpy()
    found = infer(open_literal(float_pivot().SerializeToString()), [tokens])["logits"]
    assert found.shape == (count, len(LABELS))
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_padding_and_the_other_texts_of_a_batch_change_nothing() -> None:
    session = open_literal(float_pivot().SerializeToString())
    short = texts(1, 6)
    padded = np.full((2, LONGEST), PAD, np.int32)
    padded[0, :6] = short[0]
    padded[1] = texts(1, LONGEST, seed=1)[0]
    alone, together = infer(session, [short])["logits"], infer(session, [padded])["logits"]
    assert np.abs(alone[0] - together[0]).max() < 1e-5 * np.abs(alone).max()


def test_the_input_is_int32_of_open_batch_and_length() -> None:
    facts = facts_of(float_pivot(), "here")
    assert facts.input_shape == (None, None)
    assert facts.preprocessing == PREPROCESSING
    assert facts.labels == LABELS
    (given,) = float_pivot().graph.input
    assert (given.name, given.type.tensor_type.elem_type) == ("tokens", onnx.TensorProto.INT32)
    assert [each.dim_param for each in given.type.tensor_type.shape.dim] == ["batch", "length"]


def test_layers_of_the_exported_network_have_their_torch_names() -> None:
    names = {node.name for node in float_pivot().graph.node}
    assert {"first.query", "first.narrow", "second.widen", "head"} <= names


def test_the_captured_graph_takes_every_length() -> None:
    captured = capture(reader(), PREPROCESSING.network_shape)
    tokens = torch.from_numpy(texts(3, LONGEST)).long()
    with torch.no_grad():
        assert torch.allclose(captured(tokens), reader()(tokens), atol=1e-5)
        assert torch.allclose(captured(tokens[:1, :3]), reader()(tokens[:1, :3]), atol=1e-5)


def test_a_network_of_texts_folds_as_it_is() -> None:
    folded = fold(reader(), PREPROCESSING.network_shape)
    assert (folded.folded, folded.relative_difference) == (0, 0.0)
