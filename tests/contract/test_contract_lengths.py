"""Every backend takes tokens of any length, one text after another, in float and in the INT8 of its target."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny_texts import LABELS, LONGEST, PREPROCESSING, reader, texts

from edgetl.backends.base import BACKENDS, about, load
from edgetl.errors import BackendError
from edgetl.pivot.attach import attach
from edgetl.pivot.from_torch import to_onnx
from edgetl.quant.dynamic import to_dynamic
from edgetl.quant.embeddings import round_embeddings
from edgetl.quant.prepare import convert, fix_ranges, prepare
from edgetl.recipes.targets import load_profile, load_target
from edgetl.types import FinishingBackend, Precision, Scheme

_TARGETS = {
    "null": "null",
    "onnxruntime": "x86-avx2",
    "openvino": "intel-avx2",
    "tensorrt": "jetson-orin-nano",
    "tensorrt_rtx": "nvidia-rtx",
}


@cache
def _plain() -> onnx.ModelProto:
    return to_onnx(reader(), PREPROCESSING.network_shape)


@cache
def _rounded(scheme: Scheme) -> onnx.ModelProto:
    """The network in the target's INT8."""
    if scheme.is_dynamic:
        return to_dynamic(_plain(), scheme)[0]
    prepared = prepare(copy.deepcopy(reader()), PREPROCESSING, scheme, load_profile("text"))
    with torch.no_grad():
        prepared(torch.from_numpy(texts(64, LONGEST, seed=1)).long())
    fix_ranges(prepared, PREPROCESSING)
    model = to_onnx(convert(prepared, PREPROCESSING), PREPROCESSING.network_shape)
    if scheme.activation_dtype == "uint8":
        round_embeddings(model)
    return model


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", BACKENDS)
def test_texts_of_any_length_give_the_logits_of_the_torch_network(
    name: str, precision: Precision, tmp_path: Path
) -> None:
    backend, target = load(name), load_target(_TARGETS[name], front="text")
    if missing := backend.missing():
        pytest.skip(f"{name}: {missing.reason}; {missing.remedy}")
    network = _plain() if precision == "float32" else _rounded(target.scheme)
    onnx.save_model(attach(network, PREPROCESSING, LABELS), tmp_path / "pivot.onnx")
    (tmp_path / "out").mkdir()
    compiled = backend.compile(tmp_path / "pivot.onnx", target, precision, tmp_path / "out")
    if obstacle := backend.cannot_run(target, precision):
        pytest.skip(f"{name}: {obstacle.reason}; {obstacle.remedy}")
    if isinstance(backend, FinishingBackend) and not compiled.finished:
        compiled = backend.finish(tmp_path / "out", compiled, target)
    with backend.open(tmp_path / "out", compiled, target, threads=1) as engine:
        for length, count in ((LONGEST, 1), (2, 1), (16, 3), (9, 1)):
            tokens = texts(count, length)
            found = engine.infer({"tokens": tokens})["logits"]
            with torch.no_grad():
                expected = reader()(torch.from_numpy(tokens).long()).numpy()
            assert found.shape == expected.shape
            if about(name).gives_zeros:
                continue
            allowed = 1e-4 if precision == "float32" else 0.05
            assert np.abs(found - expected).max() < allowed * np.abs(expected).max()
        with pytest.raises(BackendError, match=r"`tokens`, int32 \(N, length\); found shape \(4,\)"):
            engine.infer({"tokens": texts(1, 4)[0]})
        if precision == "int8" and not about(name).gives_zeros:
            layers = [each for each in engine.placement().compute() if not each.name.startswith("node_matmul")]
            assert len(layers) == 13
            assert {each.precision for each in layers} <= {"int8", "uint8"}
