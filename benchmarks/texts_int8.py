"""INT8 of a text classifier: accuracy lost and time over float, of edgetl's builds and of the runtimes' own tools.

    python benchmarks/texts_int8.py --model FOLDER --data DATA --work WORK [--nncf-python PYTHON] --prepare
    python benchmarks/texts_int8.py --model FOLDER --data DATA --work WORK [--nncf-python PYTHON] [--write]

`--prepare` stops before anything is timed: models and accuracies are kept in WORK, and the same command without it
takes two minutes. FOLDER is a sentence encoder in Hugging Face layout (all-MiniLM-L6-v2), DATA the folder with
sst2_train.csv and sst2_val.csv. The head is a logistic regression on frozen mean-pooled vectors of the first training
texts. Accuracy is taken text by text on the whole validation table, as a device runs them; times are interleaved on
texts of each length.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from result_file import Result, add_write_option, deliver, interval, machine_now, megabytes, table
from sklearn.linear_model import LogisticRegression

from edgetl.backbones.text.classifier import TextClassifier
from edgetl.backends.base import load
from edgetl.backends.onnxruntime import OnnxRuntimeEngine
from edgetl.backends.openvino import OpenVinoEngine
from edgetl.bench.timed import Timing, by_length
from edgetl.files.durable import write_text
from edgetl.pivot.attach import attach
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.serialize import clean
from edgetl.quant.dynamic import to_dynamic
from edgetl.quant.embeddings import round_embeddings
from edgetl.quant.prepare import convert, fix_ranges, prepare
from edgetl.recipes.targets import load_profile, load_target
from edgetl.tasks.classification.accuracy import compare
from edgetl.types import Engine, Precision, Target, TextPreprocessing

LENGTHS = (16, 32, 64, 128)
P = TextPreprocessing("0" * 64, 0, LENGTHS)
LABELS = ("negative", "positive")
CALIBRATED, TRAINED_ON = 64, 1000
_PREPARED = "prepared.json"
_NNCF = """
import nncf, numpy, openvino, sys
pivot, tokens, out = sys.argv[1:]
texts = [text for text in numpy.load(tokens).values()]
model = openvino.Core().read_model(pivot)
data = nncf.Dataset(texts, lambda text: {"tokens": text})
made = nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(texts))
openvino.save_model(made, out, compress_to_fp16=False)
"""

Tokens = list[NDArray[np.int32]]


@dataclass(frozen=True)
class Texts:
    """Each int32 (bucket,) with labels."""

    tokens: Tokens
    labels: NDArray[np.int64]


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    rows: list[dict[str, Any]] = []
    for target in (load_target(name, front="text") for name in arguments.targets):
        made = arguments.work / target.name / _PREPARED
        if not made.is_file():
            _prepare(arguments, target, made)
        if not arguments.prepare:
            rows += _with_times(target, made)
    if rows:
        sections = (_method(arguments, rows), _accuracy(rows), _times(rows))
        deliver(Result("texts-int8", "Texts in INT8", sections, {"rows": rows}), machine, arguments.write)
    return 0


def _prepare(arguments: argparse.Namespace, target: Target, made: Path) -> None:
    """Build the models of a target beside `made`, and write there the row of each without its times."""
    made.parent.mkdir(parents=True, exist_ok=True)
    train = _read(arguments.model, arguments.data / "sst2_train.csv", TRAINED_ON)
    val = _read(arguments.model, arguments.data / "sst2_val.csv", arguments.texts)
    network = _network(arguments.model, train)
    plain = to_onnx(network, P.network_shape)
    models = _models(arguments, target, network, plain, train.tokens[:CALIBRATED])
    logits: dict[str, NDArray[np.float32]] = {}
    for name, path in models.items():
        with _opened(path, target) as engine:
            logits[name] = np.concatenate([engine.infer({"tokens": text[None]})["logits"] for text in val.tokens])
    rows = [_row(target, name, path, logits, val) for name, path in models.items()]
    files = {name: path.relative_to(made.parent).as_posix() for name, path in models.items()}
    kept = {"rows": rows, "files": files, "words": _without_pad(val).tolist()}
    write_text(made, json.dumps(kept))


def _with_times(target: Target, made: Path) -> list[dict[str, Any]]:
    """The rows of a prepared target with the times of all its models in the same rounds."""
    kept = json.loads(made.read_text(encoding="utf-8"))
    words = np.array(kept["words"], np.int32)
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(_opened(made.parent / path, target)) for name, path in kept["files"].items()
        }
        times = by_length(engines, [np.resize(words, length) for length in LENGTHS], Timing(300, 10, 1))
    return [{**row, "times": [_facts(each) for each in times[row["made_by"]]]} for row in kept["rows"]]


def _facts(each: Any) -> dict[str, Any]:
    p50, speedup = each.p50_ms and vars(each.p50_ms), each.speedup and vars(each.speedup)
    return {"tokens": each.tokens, "p50_ms": p50, "speedup": speedup}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--targets", nargs="+", default=["x86-avx2", "intel-avx2"])
    parser.add_argument("--texts", type=int, default=10_000, help="validation texts at most")
    parser.add_argument("--nncf-python", type=Path, help="an interpreter that has nncf and openvino")
    parser.add_argument("--prepare", action="store_true", help="time nothing")
    add_write_option(parser)
    return parser.parse_args()


def _read(model: Path, path: Path, most: int) -> Texts:
    from transformers import AutoTokenizer

    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    found = [found[place] for place in np.random.default_rng(0).permutation(len(found))[:most]]
    tokenize = AutoTokenizer.from_pretrained(model, local_files_only=True)
    ids = tokenize([row["text"] for row in found], truncation=True, max_length=LENGTHS[-1])["input_ids"]
    return Texts([_filled(each) for each in ids], np.array([int(row["label"]) for row in found]))


def _filled(ids: list[int]) -> NDArray[np.int32]:
    length = next(length for length in LENGTHS if length >= len(ids))
    return np.array([*ids, *[P.pad] * (length - len(ids))], np.int32)


@torch.no_grad()
def _network(model: Path, train: Texts) -> TextClassifier:
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(
        model, local_files_only=True, attn_implementation="eager", add_pooling_layer=False
    )
    network = TextClassifier(encoder, encoder.config.hidden_size, len(LABELS), P.pad, "mean").eval()
    head, network.head = network.head, torch.nn.Identity()  # type: ignore[assignment]
    features = [network(torch.from_numpy(text[None]).long())[0].numpy() for text in train.tokens]
    found = LogisticRegression(C=1.0, max_iter=2000).fit(np.stack(features), train.labels)
    head.weight.copy_(torch.from_numpy(np.concatenate([-found.coef_, found.coef_]) / 2))
    head.bias.copy_(torch.from_numpy(np.concatenate([-found.intercept_, found.intercept_]) / 2))
    network.head = head
    return network


def _models(
    arguments: argparse.Namespace, target: Target, network: TextClassifier, plain: onnx.ModelProto, calibration: Tokens
) -> dict[str, Path]:
    """Files that the target's runtime opens, by the way they were made; float32 first."""
    folder = arguments.work / target.name
    folder.mkdir(exist_ok=True)
    pivots = {
        "float32": attach(plain, P, LABELS),
        "edgetl": attach(_edgetl(network, plain, target, calibration), P, LABELS),
    }
    made: dict[str, Path] = {}
    for name, model in pivots.items():
        pivot, out = folder / f"{name}.onnx", folder / name
        onnx.save_model(model, pivot)
        out.mkdir(exist_ok=True)
        precision: Precision = "float32" if name == "float32" else "int8"
        made[name] = out / load(target.backend).compile(pivot, target, precision, out).model
    if target.backend == "onnxruntime":
        made |= _of_onnxruntime(folder, calibration, reduce_range=target.scheme.weight_pairs_in_int16)
    elif arguments.nncf_python:
        np.savez(folder / "texts.npz", *[text[None] for text in calibration])
        made["nncf"] = folder / "nncf.xml"
        given = [folder / "float32.onnx", folder / "texts.npz", made["nncf"]]
        subprocess.run([arguments.nncf_python, "-c", _NNCF, *given], check=True, capture_output=True)
    return made


def _edgetl(network: TextClassifier, plain: onnx.ModelProto, target: Target, calibration: Tokens) -> onnx.ModelProto:
    scheme = target.scheme
    if scheme.is_dynamic:
        return to_dynamic(plain, scheme)[0]
    batches = [torch.from_numpy(text[None]).long() for text in calibration]
    prepared = prepare(copy.deepcopy(network), P, scheme, load_profile("text"))
    with torch.no_grad():
        for batch in batches:
            prepared(batch)
    fix_ranges(prepared, P)
    model = to_onnx(convert(prepared, P), P.network_shape)
    round_embeddings(model)
    return model


def _of_onnxruntime(folder: Path, calibration: Tokens, *, reduce_range: bool) -> dict[str, Path]:
    """ONNX Runtime's own tools, with what they need to work at all: no stored shapes, per-channel weights."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(calibration)

        def get_next(self) -> dict[str, NDArray[np.int32]] | None:
            text = next(self._left, None)
            return None if text is None else {"tokens": text[None]}

    source, dynamic, static = (folder / f"{name}.onnx" for name in ("plain", "quantize_dynamic", "quantize_static"))
    onnx.save_model(clean(onnx.load_model(folder / "float32.onnx")), source)
    quantize_dynamic(source, dynamic, per_channel=True, reduce_range=reduce_range, weight_type=QuantType.QInt8)
    quantize_static(
        source, static, Reader(), op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, reduce_range=reduce_range
    )
    return {"quantize_dynamic": dynamic, "quantize_static": static}


class _opened:
    """A file, opened by the runtime of a target as its backend opens it, on one thread."""

    def __init__(self, path: Path, target: Target) -> None:
        self._engine: Any = (
            OnnxRuntimeEngine(path, 1) if target.backend == "onnxruntime" else OpenVinoEngine(path, "int8", 1)
        )

    def __enter__(self) -> Engine:
        engine: Engine = self._engine
        return engine

    def __exit__(self, *_: object) -> None:
        self._engine.close()


def _without_pad(val: Texts) -> NDArray[np.int32]:
    """The words of all texts in a row: every length can be filled with them."""
    joined = np.concatenate(val.tokens[:64])
    found: NDArray[np.int32] = joined[joined != P.pad]
    return found


def _row(
    target: Target, name: str, path: Path, logits: Mapping[str, NDArray[np.float32]], val: Texts
) -> dict[str, Any]:
    exact, found = logits["float32"], logits[name]
    right, was_right = found.argmax(1) == val.labels, exact.argmax(1) == val.labels
    quality = compare(found, val.labels, exact)
    files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    return {
        "target": target.name,
        "made_by": name,
        "texts": len(val.tokens),
        "top1": vars(quality.top1),
        "drop_points": vars(quality.drop_points),
        "lost": int((was_right & ~right).sum()),
        "won": int((right & ~was_right).sum()),
        "rms": float(np.sqrt(np.mean((found - exact) ** 2))),
        "rms_of_logits": float(np.sqrt(np.mean(exact**2))),
        "size_bytes": sum(file.stat().st_size for file in files),
    }


def _method(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> str:
    return (
        f"The encoder is `{arguments.model.name}`; its head is a logistic regression on the vectors of {TRAINED_ON} "
        f"texts of sst2_train. Accuracy is that of {rows[0]['texts']} texts of sst2_val, one at a time, filled up to "
        f"{', '.join(map(str, LENGTHS))} tokens. Drop, lost and won are paired with the float build of the "
        f"same runtime. Calibration, where there is one, saw {CALIBRATED} training texts. Wall clock of one thread, "
        "100 runs of each build in rounds of ten, all builds of a runtime in turn."
    )


def _accuracy(rows: list[dict[str, Any]]) -> str:
    cells = [
        [
            row["target"],
            row["made_by"],
            f"{100 * row['top1']['value']:.1f}",
            interval(_interval(row["drop_points"]), 2),
            f"{row['lost']} / {row['won']}",
            f"{row['rms']:.3f} of {row['rms_of_logits']:.2f}",
            megabytes(row["size_bytes"], 1),
        ]
        for row in rows
    ]
    header = ("target", "made by", "accuracy %", "drop in points", "lost / won", "rms error of logits", "MB")
    return f"## Accuracy and size\n\n{table(header, cells, left=2)}"


def _times(rows: list[dict[str, Any]]) -> str:
    cells = []
    for row in rows:
        cells.append([row["target"], row["made_by"], *(_time(each) for each in row["times"])])
    header = ("target", "made by", *(f"{length} tokens" for length in LENGTHS))
    note = "Median in milliseconds; in brackets the time over float32, with its interval."
    return f"## Time\n\n{note}\n\n{table(header, cells, left=2)}"


def _time(found: dict[str, Any]) -> str:
    p50, speedup = found["p50_ms"], found["speedup"]
    if p50 is None:
        return "–"
    ms = f"{p50['value']:.1f}"
    if speedup is None:
        return ms
    return f"{ms} ({1 / speedup['value']:.2f}, {1 / speedup['high']:.2f} to {1 / speedup['low']:.2f})"


def _interval(found: dict[str, float]) -> Any:
    from edgetl.types import Interval

    return Interval(**found)


if __name__ == "__main__":
    raise SystemExit(main())
