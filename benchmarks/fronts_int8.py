"""Time of a sound network and of an LSTM over texts in INT8 over float on ONNX Runtime, beside its own tools.

    python benchmarks/fronts_int8.py --data DATA --weights-dir WEIGHTS --work WORK --prepare
    python benchmarks/fronts_int8.py --data DATA --weights-dir WEIGHTS --work WORK [--write]

`--prepare` stops before anything is timed: models are kept in WORK, and the same command without it takes a minute.
The sound network is speech_embedding, calibrated on clips of DATA/keywords/train; every build has the same float
spectrum in front. The LSTM reads both ways and has random weights, which no time depends on.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from result_file import Result, add_write_option, deliver, machine_now, megabytes, table

from edgetl.backbones.audio.native import ClipSource
from edgetl.backbones.examples import load_raw, normalize
from edgetl.backbones.load import build
from edgetl.backbones.text.classifier import TextClassifier
from edgetl.backbones.text.recurrent import BothWays
from edgetl.backbones.weights import locate
from edgetl.backends.base import load
from edgetl.backends.onnxruntime import OnnxRuntimeEngine
from edgetl.bench.timed import Timing, by_length
from edgetl.files.digest import file_digest
from edgetl.files.durable import write_text
from edgetl.fronts.batches import load_batch
from edgetl.pivot.attach import attach
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.serialize import clean
from edgetl.quant.dynamic import to_dynamic
from edgetl.quant.prepare import convert, fix_ranges, prepare
from edgetl.recipes.fronts import Audio
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.targets import load_profile, load_target
from edgetl.types import Precision, Sample, Target, TextPreprocessing

_PREPARED = "prepared.json"
_LENGTHS, _WORDS, _STATES = (16, 64), 8000, 256
_CALIBRATED = 64

Models = dict[str, onnx.ModelProto]
Examples = list[NDArray[Any]]


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    rows: list[dict[str, Any]] = []
    for name, make in _NETWORKS.items():
        made = arguments.work / name / _PREPARED
        if not made.is_file():
            _prepare(arguments, name, make, made)
        if not arguments.prepare:
            rows += _timed(name, made)
    if rows:
        deliver(Result("fronts-int8", "Sounds and an LSTM in INT8", _sections(rows), {"rows": rows}), machine,
            arguments.write)  # fmt: skip
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with keywords")
    parser.add_argument("--weights-dir", type=Path, required=True, help="folder with speech_embedding")
    parser.add_argument("--work", type=Path, required=True, help="folder for models")
    parser.add_argument("--target", default="x86-avx2", help="a target of ONNX Runtime (default x86-avx2)")
    parser.add_argument("--prepare", action="store_true", help="time nothing")
    add_write_option(parser)
    return parser.parse_args()


def _sounds(arguments: argparse.Namespace, target: Target) -> tuple[Models, Examples]:
    folder = arguments.data / "keywords" / "train"
    words = sorted(path.name for path in folder.iterdir())
    clips = [Sample(str(path), words.index(path.parent.name), file_digest(path)) for path in sorted(folder.glob("*/*"))]
    backbone = Backbone(name="speech_embedding")
    source = locate(backbone, arguments.data, (arguments.weights_dir,))
    network, spec, _ = build(backbone, source, len(words), ClipSource(16000, Audio()))
    p = spec.preprocessing
    network.eval().requires_grad_(False)
    inputs = normalize(load_raw(clips[:: max(1, len(clips) // _CALIBRATED)], p), p)
    plain = to_onnx(network, p.network_shape)
    prepared = prepare(copy.deepcopy(network), p, target.scheme, load_profile("default"))
    with torch.no_grad():
        prepared(inputs)
    fix_ranges(prepared, p)
    reduced = target.scheme.weight_pairs_in_int16
    networks = {
        "float32": plain,
        "edgetl": to_onnx(convert(prepared, p), p.network_shape),
        "quantize_dynamic": _dynamic(plain, arguments.work, reduce_range=reduced),
        "quantize_static": _static(plain, inputs.numpy(), arguments.work, reduce_range=reduced),
    }
    return {name: attach(each, p, tuple(words)) for name, each in networks.items()}, list(load_batch(clips[:16], p))


def _texts(arguments: argparse.Namespace, target: Target) -> tuple[Models, Examples]:
    p = TextPreprocessing("0" * 64, 0, _LENGTHS)
    torch.manual_seed(0)
    network = TextClassifier(BothWays(_WORDS, torch.nn.LSTM), _STATES, 2, p.pad, "mean").eval().requires_grad_(False)
    plain = to_onnx(network, p.network_shape)
    networks = {
        "float32": plain,
        "edgetl": to_dynamic(plain, target.scheme)[0],
        "quantize_dynamic": _dynamic(plain, arguments.work, reduce_range=target.scheme.weight_pairs_in_int16),
    }
    words = np.random.default_rng(0).integers(1, _WORDS, _LENGTHS[-1]).astype(np.int32)
    models = {name: attach(each, p, ("negative", "positive")) for name, each in networks.items()}
    return models, [words[:length] for length in _LENGTHS]


_NETWORKS: Mapping[str, Callable[[argparse.Namespace, Target], tuple[Models, Examples]]] = {
    "speech_embedding": _sounds,
    "LSTM": _texts,
}
_FRONTS: Mapping[str, Any] = {"speech_embedding": "audio", "LSTM": "text"}


def _dynamic(plain: onnx.ModelProto, work: Path, *, reduce_range: bool) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source, made = work / "plain.onnx", work / "made.onnx"
    onnx.save_model(clean(plain), source)
    quantize_dynamic(source, made, per_channel=True, reduce_range=reduce_range, weight_type=QuantType.QInt8)
    return onnx.load_model(made)


def _static(plain: onnx.ModelProto, inputs: NDArray[np.float32], work: Path, *, reduce_range: bool) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    name = plain.graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            example = next(self._left, None)
            return None if example is None else {name: example[None]}

    source, made = work / "plain.onnx", work / "made.onnx"
    onnx.save_model(clean(plain), source)
    quantize_static(source, made, Reader(), per_channel=True, reduce_range=reduce_range, weight_type=QuantType.QInt8)
    return onnx.load_model(made)


def _prepare(
    arguments: argparse.Namespace,
    name: str,
    make: Callable[[argparse.Namespace, Target], tuple[Models, Examples]],
    made: Path,
) -> None:
    """Write the models that the runtime opens, and what they are timed on, beside `made`."""
    target = load_target(arguments.target, front=_FRONTS[name])
    made.parent.mkdir(parents=True, exist_ok=True)
    models, examples = make(arguments, target)
    files: dict[str, str] = {}
    for way, model in models.items():
        pivot, out = made.parent / f"{way}.onnx", made.parent / way
        onnx.save_model(model, pivot)
        if way in ("float32", "edgetl"):
            out.mkdir(exist_ok=True)
            precision: Precision = "int8" if way == "edgetl" else "float32"
            pivot = out / load(target.backend).compile(pivot, target, precision, out).model
        files[way] = pivot.relative_to(made.parent).as_posix()
    np.savez(made.with_suffix(".npz"), *examples)
    write_text(made, json.dumps({"target": target.name, "port": models["float32"].graph.input[0].name, "files": files}))


def _timed(network: str, made: Path) -> list[dict[str, Any]]:
    """One row for each model: size, error of its logits, and times in the same rounds."""
    kept = json.loads(made.read_text(encoding="utf-8"))
    examples = list(np.load(made.with_suffix(".npz")).values())
    with ExitStack() as stack:
        engines = {
            way: stack.enter_context(closing(OnnxRuntimeEngine(made.parent / path, 1)))
            for way, path in kept["files"].items()
        }
        logits = {
            way: np.concatenate([engine.infer({kept["port"]: each[None]})["logits"] for each in examples])
            for way, engine in engines.items()
        }
        times = by_length(engines, examples, Timing(300, 10, 1))
    exact = logits["float32"]
    return [
        {
            "network": network,
            "target": kept["target"],
            "made_by": way,
            "size_bytes": (made.parent / kept["files"][way]).stat().st_size,
            "rms": float(np.sqrt(np.mean((logits[way] - exact) ** 2)) / exact.std()),
            "times": [
                {
                    "length": each.tokens,
                    "p50_ms": each.p50_ms and vars(each.p50_ms),
                    "speedup": each.speedup and vars(each.speedup),
                }
                for each in times[way]
            ],
        }
        for way in kept["files"]
    ]


def _sections(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    cells = [
        [
            row["network"],
            f"{each['length']} {'samples' if row['network'] == 'speech_embedding' else 'tokens'}",
            row["made_by"],
            _time(each),
            f"{100 * row['rms']:.1f}",
            megabytes(row["size_bytes"]),
        ]
        for row in rows
        for each in row["times"]
    ]
    header = ("network", "input", "made by", "ms (over float)", "error of logits, %", "MB")
    note = (
        "Median wall clock of one thread in milliseconds; in brackets the time over float32 with its interval. 100 "
        "runs of each build and length in rounds of ten, all builds of a network in turn. The error of the logits is "
        "the root mean square of their difference from float, in percent of their spread; the classifiers are random."
    )
    return (note, table(header, cells, left=3))


def _time(found: Mapping[str, Any]) -> str:
    p50, speedup = found["p50_ms"], found["speedup"]
    if p50 is None:
        return "–"
    if speedup is None:
        return f"{p50['value']:.2f}"
    ratio, low, high = (1 / speedup[part] for part in ("value", "high", "low"))
    return f"{p50['value']:.2f} ({ratio:.2f}, {low:.2f} to {high:.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
