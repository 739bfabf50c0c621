"""Networks of texts in INT8: ranges found when the network runs, tables of embeddings in int8."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tiny_texts import LABELS, LONGEST, PAD, PREPROCESSING, WIDTH, WORDS, float_pivot, reader, texts
from torch import Tensor, nn

from edgetl.backends.onnx_placement import operators
from edgetl.backends.onnx_rules import load_pivot
from edgetl.errors import BackendError
from edgetl.pivot.attach import attach
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.literal import infer, open_literal
from edgetl.pivot.serialize import serialize
from edgetl.quant.dynamic import to_dynamic
from edgetl.quant.embeddings import round_embeddings
from edgetl.types import Scheme


@cache
def _plain() -> onnx.ModelProto:
    return to_onnx(reader(), PREPROCESSING.network_shape)


def _scheme(*, pairs: bool = False) -> Scheme:
    return Scheme("dynamic", activation_symmetric=False, weight_pairs_in_int16=pairs, operators=("linear",))


def _logits(model: onnx.ModelProto, length: int) -> np.ndarray:
    return infer(open_literal(serialize(model)), [texts(8, length)])["logits"]


@pytest.mark.parametrize("length", [5, LONGEST])
def test_a_dynamic_network_is_close_to_the_float_one_at_every_length(length: int) -> None:
    model, counts = to_dynamic(_plain(), _scheme(pairs=True))
    assert counts == {"linear": 13, "embedding": 1}
    found, expected = _logits(attach(model, PREPROCESSING, LABELS), length), _logits(float_pivot(), length)
    assert 0 < np.abs(found - expected).max() < 0.03 * np.ptp(expected)


def test_layers_keep_their_names_and_stay_float_if_asked() -> None:
    model, counts = to_dynamic(_plain(), _scheme(), in_float=("first.query", "head"))
    assert counts["linear"] == 11
    kinds = {node.name: node.op_type for node in model.graph.node}
    assert kinds["first.query"] == "MatMul"
    assert kinds["second.widen"] == "MatMulInteger"


def test_without_vnni_two_neighboring_products_fit_int16() -> None:
    model, _ = to_dynamic(_plain(), _scheme(pairs=True))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = [constants[node.input[1]] for node in model.graph.node if node.op_type == "MatMulInteger"]
    assert len(weights) == 13
    assert max(int(np.abs(each.astype(int)).max()) for each in weights) <= 64


def test_the_same_network_gives_the_same_bytes() -> None:
    assert serialize(to_dynamic(_plain(), _scheme())[0]) == serialize(to_dynamic(_plain(), _scheme())[0])


def test_a_network_without_layers_to_quantize_is_refused() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(_plain())
    names = [node.name for node in model.graph.node]
    with pytest.raises(BackendError, match="can be quantized"):
        to_dynamic(model, _scheme(), in_float=names)


def test_rows_of_embeddings_have_their_own_scales() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(_plain())
    table = max((t for t in model.graph.initializer if tuple(t.dims) == (WORDS, WIDTH)), key=lambda t: t.name)
    exact = numpy_helper.to_array(table)
    assert round_embeddings(model) == 1
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert table.name not in constants
    rounded = constants[f"{table.name}/int8"] * constants[f"{table.name}/scales"]
    assert (np.abs(rounded - exact) <= 0.51 * constants[f"{table.name}/scales"]).all()
    onnx.checker.check_model(model)


def test_operators_that_quantize_their_input_themselves_count_as_int8() -> None:
    model, _ = to_dynamic(_plain(), _scheme())
    found = {each.name: each for each in operators(model, "cpu")}
    assert (found["first.query"].kind, found["first.query"].precision) == ("linear", "uint8")
    assert found["node_matmul"].precision == "float32"


class Recurrent(nn.Module):
    """Embeddings, an LSTM in both directions, mean over what is not padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.read = nn.Embedding(WORDS, 16), nn.LSTM(16, 24, batch_first=True, bidirectional=True)
        self.head = nn.Linear(48, len(LABELS))

    def forward(self, tokens: Tensor) -> Tensor:
        kept = (tokens != PAD).float()[:, :, None]
        states, _ = self.read(self.words(tokens))
        logits: Tensor = self.head((states * kept).sum(1) / kept.sum(1).clamp(min=1))
        return logits


def test_an_lstm_of_texts_computes_in_int8(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Recurrent().eval()
    model, counts = to_dynamic(to_onnx(network, PREPROCESSING.network_shape), _scheme(pairs=True))
    assert counts == {"linear": 1, "lstm": 1, "embedding": 1}
    attached = attach(model, PREPROCESSING, LABELS)
    onnx.save_model(attached, tmp_path / "lstm.onnx")
    assert load_pivot(tmp_path / "lstm.onnx")[1].quantized
    tokens = texts(1, 9)
    with torch.no_grad():
        expected = network(torch.from_numpy(tokens).long()).numpy()
    found = infer(open_literal(serialize(attached)), [tokens])["logits"]
    assert 0 < np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    kinds = {node.name: node.op_type for node in model.graph.node}
    (layer,) = (each for each in operators(model, "cpu") if kinds.get(each.name) == "DynamicQuantizeLSTM")
    assert (layer.kind, layer.precision) == ("linear", "int8")
