"""A network that really reads: the words of a text vote for its class. As a pivot folder; needs no torch.

int32 (N, length) `tokens` -> the votes of each word -> their sum -> `logits` of bad, neutral and good.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from edgetl.files.digest import file_digest
from edgetl.fronts.text.description import Description, write_description
from edgetl.pivot.attach import attach
from edgetl.pivot.golden import write_examples
from edgetl.pivot.pivot import Parity, Pivot, PivotModel, write_pivot
from edgetl.types import TOKENIZER, Sample, TextPreprocessing

LABELS = ("bad", "neutral", "good")
VOTES = {"good": 2, "wonderful": 3, "superb": 4, "bad": -2, "boring": -3, "awful": -4, "好": 3, "رائع": 3}
REST = ("a", "film", "the", "and", "is", "it", "was", "not", "plot", ",", ".", "!", "電", "影", "فيلم")
LENGTHS = (8, 16, 32)
TEXTS = (
    "an awful film",
    "The film is a film.",
    "It was wonderful, the plot is good and the film is superb!",
    "這 電影 好",
)


def write_tokenizer(folder: Path) -> TextPreprocessing:
    """A WordPiece tokenizer of whole words in `folder`."""
    pieces = ("[PAD]", "[UNK]", *VOTES, *REST)
    steps = [{"step": name} for name in ("clean", "spaced_cjk", "lower")]
    description = Description.model_validate_json(
        json.dumps(
            {
                "schema": 1,
                "special": [],
                "normalize": steps,
                "cut": [{"step": "white"}, {"step": "punctuation"}],
                "model": {"kind": "wordpiece", "pieces": pieces, "unknown": 1, "prefix": "##", "longest": 100},
                "before": [],
                "after": [],
                "pad": 0,
            }
        )
    )
    write_description(folder / TOKENIZER, description)
    return TextPreprocessing(file_digest(folder / TOKENIZER), 0, LENGTHS, str(folder))


def network(p: TextPreprocessing) -> onnx.ModelProto:
    """The float model."""
    votes = np.zeros((2 + len(VOTES) + len(REST), 3), np.float32)
    for row, vote in zip(votes[2:], VOTES.values(), strict=False):
        row[0], row[2] = -vote, vote
    constants: dict[str, NDArray[Any]] = {
        "votes": votes,
        "axis": np.array([1], np.int64),
        "bias": np.array([0, 1, 0], np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["votes", "ids"], ["each"], "words"),
            helper.make_node("ReduceSum", ["each", "axis"], ["sum"], "sum", keepdims=0),
            helper.make_node("Add", ["sum", "bias"], ["logits"], "head"),
        ],
        "votes",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return attach(model, p, LABELS)


def run(model: onnx.ModelProto, tokens: NDArray[np.int32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"tokens": tokens})[0], np.float32)


def make_text_pivot(folder: Path) -> Path:
    """A pivot with the float model and four golden texts of three lengths, in the new `folder`."""
    folder.mkdir(parents=True)
    texts = folder.parent / f"{folder.name}-texts"
    texts.mkdir()
    p = write_tokenizer(folder)
    samples = []
    for index, text in enumerate(TEXTS):
        (texts / f"{index}.txt").write_text(text + "\n", encoding="utf-8")
        samples.append(Sample(str(texts / f"{index}.txt"), index % 3, "0" * 64))
    inputs, names = write_examples(samples, p, folder / "golden")
    model = network(p)
    onnx.save_model(model, folder / "float32.onnx")
    logits = np.concatenate([run(model, each) for each in inputs])
    save_file({"float32": logits}, folder / "golden" / "logits.safetensors")
    made = PivotModel(
        file="float32.onnx",
        precision="float32",
        scheme_id=None,
        sha256=file_digest(folder / "float32.onnx"),
        parity=Parity(images=4, max_abs_diff=0, top1_agreement=1, tolerance=1),
    )
    write_pivot(
        folder,
        Pivot(
            labels=LABELS,
            preprocessing=p,
            models=(made,),
            golden_files=names,
            source="a test",
            licence="CC0",
            digests={},
        ),
    )
    return folder
