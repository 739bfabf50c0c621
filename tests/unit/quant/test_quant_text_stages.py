"""A network of texts through the stages: quantized, exported, compiled and measured on its runtimes."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
import torch
from safetensors.torch import save_file
from small_runs import small_run
from tiny_transformers import CORPUS, tiny_transformer

from edgetl.backbones.spec import write_spec
from edgetl.backbones.text.transformer import construct, read_config
from edgetl.backends.base import load
from edgetl.bench.builds import Candidate, TargetBuilds
from edgetl.bench.measure_builds import measure_builds
from edgetl.bench.result import BENCH_FILE, TargetBench, read_bench
from edgetl.bundle.compile import compile_pivot
from edgetl.bundle.inference import verify
from edgetl.bundle.read import read_bundle
from edgetl.data.split import make_split
from edgetl.files.digest import file_digest
from edgetl.fronts.text.description import write_description
from edgetl.fronts.text.hugging_face import from_hf
from edgetl.pivot.adapted import NETWORK_SPEC, NETWORK_STATE
from edgetl.pivot.export import export_pivot
from edgetl.pivot.float_answers import REFERENCE_LOGITS, read_reference
from edgetl.pivot.layer_view import View
from edgetl.pivot.pivot import model_for, read_pivot
from edgetl.quant.quantize import quantize_network
from edgetl.quant.record import read_quantize
from edgetl.recipes.data import Data
from edgetl.recipes.job import schemes_of
from edgetl.recipes.run import Run
from edgetl.types import TOKENIZER, NetworkSpec, TextPreprocessing

pytestmark = pytest.mark.stage

TARGETS = ("x86-avx2", "intel-avx2")


@dataclass(frozen=True)
class Exported:
    run: Run
    pivot: Path
    quantized: dict[str, Path]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A BERT of two layers with a drawn head, as the adapt stage would leave it, and its pivot."""
    base = tmp_path_factory.mktemp("texts")
    rows = [{"label": ("cats", "dogs")["dog" in text], "text": f"{text} {at}"} for at, text in enumerate(CORPUS)]
    (base / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"train": "texts.jsonl", "shots": 12}
    run = small_run(
        make_split(Data.model_validate(settings), base, front="text"),
        base,
        front="text",
        data=settings,
        targets=list(TARGETS),
        quantize={"method": "ptq"},
        bench={"runs": 300, "warmup": 1},
    )
    adapted, pivot = base / "adapted", base / "pivot"
    adapted.mkdir()
    pivot.mkdir()
    _adapt(tiny_transformer(base / "bert", "bert"), adapted)
    quantized = {}
    for name, scheme in schemes_of(run.job).items():
        quantized[name] = base / name
        quantized[name].mkdir()
        quantize_network(run, adapted, scheme, run.job.recipe.gates, None, quantized[name])
    export_pivot(run, adapted, quantized, pivot)
    return Exported(run, pivot, quantized)


def _adapt(pretrained: Path, out: Path) -> None:
    (pretrained / "own").mkdir()
    kind, arguments = read_config(pretrained)
    description = from_hf(pretrained)
    write_description(pretrained / "own" / TOKENIZER, description)
    p = TextPreprocessing(
        file_digest(pretrained / "own" / TOKENIZER), description.pad, (16, 32), str(pretrained / "own")
    )
    model_args = {"config": arguments, "pad": description.pad, "pooling": "mean"}
    torch.manual_seed(0)
    network = construct(kind, model_args, 2)
    torch.nn.init.normal_(network.head.weight, std=2.0)  # type: ignore[union-attr, arg-type]
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, out / NETWORK_STATE)
    write_spec(NetworkSpec("transformers", kind, model_args, 2, "head", p), out / NETWORK_SPEC)


def test_each_target_gets_its_own_integers(exported: Exported) -> None:
    pivot = read_pivot(exported.pivot)
    kinds = {}
    for target in exported.run.job.targets:
        model = onnx.load_model(exported.pivot / model_for(pivot, target, "int8").file)
        kinds[target.name] = {node.op_type for node in model.graph.node}
    assert "MatMulInteger" in kinds["x86-avx2"]
    assert "QuantizeLinear" not in kinds["x86-avx2"]
    assert {"QuantizeLinear", "MatMul"} <= kinds["intel-avx2"]
    records = [read_quantize(folder) for folder in exported.quantized.values()]
    assert [record.operators["linear"] for record in records] == [13, 13]
    assert all(record.reference_agreement > 0.9 for record in records)


@pytest.mark.parametrize("name", TARGETS)
def test_a_bundle_of_texts_replays_its_golden_vectors(exported: Exported, name: str, tmp_path: Path) -> None:
    target = next(each for each in exported.run.job.targets if each.name == name)
    backend = load(target.backend)
    if missing := backend.missing():
        pytest.skip(f"{name}: {missing.reason}; {missing.remedy}")
    compile_pivot(exported.pivot, target, "int8", name, tmp_path)
    bundle = read_bundle(tmp_path)
    assert TOKENIZER in bundle.manifest.files
    if obstacle := backend.cannot_run(target, "int8"):
        pytest.skip(f"{name}: {obstacle.reason}; {obstacle.remedy}")
    assert all(check.passed for check in verify(bundle, threads=1))


@pytest.mark.parametrize("name", ["x86-avx2", "intel-avx2"])
def test_builds_are_measured_text_by_text_and_at_each_length(exported: Exported, name: str, tmp_path: Path) -> None:
    bench = _bench(exported, name, tmp_path)
    val = exported.run.split.val
    for build in bench.builds:
        assert build.error is None
        assert build.accuracy is not None
        assert build.accuracy.drop_points.value <= 100 * 3 / len(val)
        assert build.tokens == 16
        assert [row.tokens for row in build.by_length] == [16]
        assert sum(row.texts for row in build.by_length) == len(val)
    int8 = bench.build("int8")
    assert int8 is not None
    assert int8.not_integer == ()


def _bench(exported: Exported, name: str, folder: Path) -> TargetBench:
    target = next(each for each in exported.run.job.targets if each.name == name)
    backend = load(target.backend)
    if obstacle := backend.cannot_run(target, "int8"):
        pytest.skip(f"{name}: {obstacle.reason}; {obstacle.remedy}")
    candidates = []
    for precision in ("int8", "float32"):
        out = folder / precision
        out.mkdir()
        compile_pivot(exported.pivot, target, precision, name, out)
        candidates.append(Candidate(out, read_bundle(out).manifest.compiled))
    known = read_pivot(exported.pivot)
    reference = read_reference(exported.pivot / REFERENCE_LOGITS, "logits", len(exported.run.split.val))
    view = View(onnx.load_model(exported.pivot / model_for(known, target, "int8").file))
    in_float = view.meant_for_float() | view.products_of_values()
    builds = TargetBuilds(target, tuple(candidates), known.preprocessing, reference, in_float=in_float)
    measure_builds(exported.run, builds, folder)
    found = read_bench(folder / BENCH_FILE)
    shutil.rmtree(folder / "int8")
    return found
