"""Every benchmark that other pages cite still runs: its help, and once with as little work as its options allow."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from chain import ROOT, Chain, python
from cli_calls import Done
from native_build import RuntimeBuild, dependencies
from PIL import Image
from sound_chain import SoundChain
from this_cpu import X86_TARGET
from tiny_transformers import tiny_transformer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BENCHMARKS = ROOT / "benchmarks"
NETWORK = "edgetl:printed_characters"
SET = "rsscn7"  # the name under which the memory benchmarks look for pictures
PIXELS = 224
PER_CLASS = 6
TARGET = "x86-cpu"

Word = str | Path


@dataclass(frozen=True)
class Places:
    """What smallest runs work with; builds and weights are there once a benchmark asks for them.

    data  folder of one set: `rsscn7/{train,val}/{0,1,4}/*.jpg`
    work  an empty folder
    """

    data: Path
    work: Path
    request: pytest.FixtureRequest

    @property
    def chain(self) -> Chain:
        found = self.request.getfixturevalue("chain")
        assert isinstance(found, Chain)
        return found

    @property
    def detectors(self) -> Path:
        """What one benchmark of detectors has trained, for the other one."""
        folder = self.data.with_name("detectors")
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def words(self) -> SoundChain:
        found = self.request.getfixturevalue("sound_chain")
        assert isinstance(found, SoundChain)
        return found

    @property
    def weights(self) -> Path:
        shared = self.request.getfixturevalue("shared")
        assert isinstance(shared, Path)
        return shared / "weights"

    @property
    def runtime(self) -> RuntimeBuild:
        found = self.request.getfixturevalue("runtime_build")
        assert isinstance(found, RuntimeBuild)
        return found

    @property
    def on_sets(self) -> list[Word]:
        """Of a benchmark that takes no weights but those in the package."""
        return ["--data", self.data, "--weights-dir", self.data, "--work", self.work]

    @property
    def on_weights(self) -> list[Word]:
        return ["--data", self.data, "--weights-dir", self.weights, "--work", self.work]


def _architectures(places: Places) -> list[Word]:
    pictures = places.work / "pictures"
    pictures.mkdir()
    for index, path in enumerate(sorted((places.data / SET / "train").rglob("*.jpg"))):
        shutil.copyfile(path, pictures / f"{index}_picture.jpg")
    work: list[Word] = ["--pictures", pictures, "--weights-dir", places.data, "--work", places.work]
    return [*work, "--networks", "tv_squeezenet1_1", "--runs", "2", "--repeats", "2"]


def _detection(places: Places) -> list[Word]:
    work: list[Word] = [
        "--data",
        places.weights.parent / "data",
        "--weights-dir",
        places.weights,
        "--work",
        places.detectors,
    ]
    effort = [
        "--sets",
        "raccoon",
        "--shots",
        "2",
        *_BUDGET,
        "--set",
        "adapt.epochs=1",
        "--set",
        "data.max_val_images=8",
    ]
    return [*work, *effort]


def _detection_int8(places: Places) -> list[Word]:
    first = benchmark("detection.py", *_detection(places), "--draws", "1", "--ways", "auto")
    assert first.code == 0, first.err
    return [*_detection(places), "--methods", "quantize_static minmax", "--runs", "5", "--repeats", "2"]


def _native_overhead(places: Places) -> list[Word]:
    headers = dependencies() / "onnxruntime" / "include" / "onnxruntime"
    if not headers.is_dir():
        pytest.skip(f"no headers of ONNX Runtime in {headers}: scripts/native-deps {dependencies()}")
    effort = ["--rounds", "5", "--processes", "2", "--starts", "2"]
    return [places.chain.bundle(TARGET), "--onnxruntime-headers", headers, *effort]


def _startup(places: Places) -> list[Word]:
    places.chain.copy_out(places.work / "digits")
    return ["--work", places.work, "--recipe", places.chain.recipe, "--rounds", "2", "--idle-rounds", "1"]


_FEW = ("--sets", SET, "--shots", "2", "--draws", "1")
_BUDGET = ("--set", "adapt.budget_minutes=0.05")

SMALLEST: Mapping[str, Callable[[Places], list[Word]]] = {
    "architectures.py": _architectures,
    "build_chain.py": lambda places: ["--from", places.chain.out],
    "calibration_memory.py": lambda places: [*places.on_weights, "--counts", "4", "8"],
    "detection.py": lambda places: [*_detection(places), "--draws", "1", "--steps", "1"],
    "detection_int8.py": _detection_int8,
    "devices.py": lambda places: [
        *(
            places.chain.bundle(TARGET),
            "--program",
            places.runtime.bin / "edgetl-bench",
            "--pairs",
            "6",
            "--drops",
            "1",
        ),
    ],
    "feature_memory.py": lambda places: [*places.on_weights, "--counts", "28", "56"],
    "first_build.py": lambda places: [
        *(*places.on_sets, "--sets", SET, "--shots", "2", "--draws", "2", "--targets", TARGET, *_BUDGET),
        *("--set", f"backbone.name={NETWORK}", "--set", "bench.cold_starts=1"),
    ],
    "fronts.py": lambda places: [
        *("--data", places.weights.parent / "data", "--weights-dir", places.weights, "--work", places.work),
        *("--sets", "keywords", "--shots", "2", "--draws", "1", "--budget", "0.001"),
    ],
    "harnesses.py": lambda places: [
        *(places.chain.bundle(TARGET), "--program", places.runtime.bin / "edgetl-bench", "--pairs", "6"),
    ],
    "head_time.py": lambda places: [*places.on_weights, "--sets", SET, "--shots", "2", "--repeats", "2"],
    "loadgen.py": lambda places: [
        *(places.chain.bundle(TARGET), "--pairs", "6", "--seconds", "0.05", "--duration", "0.05", "--queries", "64"),
    ],
    "native_overhead.py": _native_overhead,
    "ap_coverage.py": lambda _: ["--series", "2", "--truth-images", "50"],
    "p99_coverage.py": lambda _: ["--series", "2", "--fast"],
    "postprocess.py": lambda places: ["--program", places.runtime.bin / "objects_tool", "--rounds", "20"],
    "quantization.py": lambda places: [
        *(*places.on_weights, *_FEW, "--networks", "squeezenet1_1", "--targets", TARGET, "--adapt", "probe"),
        *("--methods", "float32", "ptq", "--runs", "5", "--warmup", "1", "--repeats", "2"),
    ],
    "quantize_time.py": lambda places: [
        *(*places.on_sets, "--networks", NETWORK, "--dataset", SET, "--shots", "2", "--repeats", "1"),
    ],
    "series.py": lambda places: [
        *("--data", places.weights.parent / "data", "--work", places.work, "--sets", "smartwatch_motions"),
        *("--networks", "minirocket", "--shots", "2", "--draws", "1"),
    ],
    "startup.py": _startup,
    "streaming.py": lambda places: [
        *(places.words.bundle(X86_TARGET), "--program", places.runtime.bin / "edgetl-run", "--clips", places.words.val),
        *("--seconds", "20", "--runs", "1"),
    ],
    "texts.py": lambda places: [
        *("--data", places.weights.parent / "data" / "text", "--work", places.work, "--sets", "agnews"),
        *("--network", tiny_transformer(places.work / "network", "bert"), "--shots", "2", "--draws", "1"),
        *("--ways", "logistic", "--max-val", "8"),
    ],
    "throughput.py": lambda places: [
        *(places.chain.bundle(TARGET), "--seconds", "0.02", "--search-seconds", "0.02", "--repeats", "2"),
        *("--again-seconds", "0.02", "--batches", "1", "2", "--p99-limit-ms", "100000"),
    ],
    "transfer.py": lambda places: [*places.on_sets, *_FEW, "--backbone", NETWORK, *_BUDGET],
    "pretrain/digits_transfer.py": lambda _: [
        *(ROOT / "edgetl/_data/backbones/printed_characters", "--shots", "2", "--draws", "2", "--set", "epochs=1"),
    ],
}
KERAS = "keras_network.py"
NOT_RUN = {
    "fuzzing.py": "builds every fuzzer twice, which takes minutes; `make fuzz` runs them in CI",
    "fronts_int8.py": "exports and quantizes for half a minute; the parts that it calls have tests of their own",
    "imports.py": "exports and imports networks with 1000 classes, which takes minutes; the import has its own tests",
    KERAS: "needs TensorFlow; imports.py calls it",
    "pretraining.py": "adapts from random weights, which takes minutes; what it calls has tests of its own",
    "sweep.py": "runs 24 builds four times, which takes minutes; test_sweep.py does the same with four",
    "texts_int8.py": "needs all-MiniLM-L6-v2 and many minutes; the parts that it calls have tests of their own",
    "pretrain/pretrain.py": "needs the seventy packages of fonts in fonts.txt",
}
WRITES_NO_RESULT = ("pretrain/digits_transfer.py",)
MAY_DISAGREE = (
    "harnesses.py",
    "devices.py",
    "loadgen.py",
    "throughput.py",
)  # end with 1 where times differ by more than they allow


def scripts() -> list[str]:
    """All files in benchmarks/ that are programs."""
    files = sorted(BENCHMARKS.rglob("*.py"))
    return [path.relative_to(BENCHMARKS).as_posix() for path in files if "__main__" in path.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def data(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few of the scans of the small build, as large as photographs."""
    folder = tmp_path_factory.mktemp("data")
    for scans in sorted((chain.recipe.parent / "scans").iterdir()):
        for index, path in enumerate(sorted(scans.iterdir())[: 2 * PER_CLASS]):
            place = folder / SET / ("val" if index % 2 else "train") / scans.name / f"{index}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as scan:
                scan.convert("RGB").resize((PIXELS, PIXELS)).save(place)
    return folder


@pytest.fixture
def places(data: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Places:
    (tmp_path / "work").mkdir()
    return Places(data, tmp_path / "work", request)


def benchmark(name: str, *arguments: Word) -> Done:
    return python(BENCHMARKS / name, *arguments)


def test_every_benchmark_has_a_smallest_run_or_a_reason() -> None:
    assert not set(scripts()) - {*SMALLEST, *NOT_RUN}


@pytest.mark.parametrize("name", scripts())
def test_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, which imports what most of them need once."""
    if name == KERAS:
        pytest.importorskip("tensorflow")
        pytest.importorskip("tf2onnx")
    program = BENCHMARKS / name
    monkeypatch.syspath_prepend(program.parent)
    monkeypatch.setattr(sys, "argv", [str(program), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(program), run_name="__main__")
    assert not ended.value.code
    assert capsys.readouterr().out.startswith(f"usage: {program.name}")


@pytest.mark.parametrize("name", SMALLEST)
def test_smallest_run(name: str, places: Places, tmp_path: Path) -> None:
    results = tmp_path / "results"
    place: list[Word] = [] if name in WRITES_NO_RESULT else ["--write", results]
    done = benchmark(name, *SMALLEST[name](places), *place)
    assert done.code in ((0, 1) if name in MAY_DISAGREE else (0,)), done.err
    if name not in WRITES_NO_RESULT:
        (text,) = results.glob("*.md")
        assert text.read_text(encoding="utf-8").startswith("# ")
        assert json.loads(text.with_suffix(".json").read_text(encoding="utf-8"))["schema"] == 1
