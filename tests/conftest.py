"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chain import Chain, build_chain, build_steel
from cli_calls import Shell
from detection_chain import TARGETS, DetectionChain, build_detection
from hypothesis import settings
from native_apps import Apps, Engine
from native_build import RuntimeBuild, native_build
from series_chain import SeriesChain, build_series
from sound_chain import SoundChain, build_sounds
from text_chain import TextChain, build_texts

# no test may report usage over the network
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# threads of several test processes that spin for the same cores make torch many times slower
os.environ.setdefault("OMP_NUM_THREADS", "1")

# what takes longest begins first, so that no worker is left with it at the end; the rest follows as it is found
LONGEST_FIRST = (
    "test_benchmarks", "test_detection_families", "test_readme", "test_wheel", "test_arm", "test_detectors_export",
    "test_apps", "test_text_build", "test_blame_real", "test_detection_build", "test_architectures_chain",
    "test_sweep", "test_import_build", "test_chain_kill", "test_cmake_consumers", "test_quantize_killed",
    "test_adapt_real",
    "test_check_real", "test_chain_surgery", "test_sound_build", "test_series_build", "test_select_real",
    "test_detectors_coco", "test_saturation_real", "test_quant_real", "test_devices", "test_pictures_equal_python",
    "test_language_build", "test_chain_torchless", "test_chain_build", "test_cli_disk", "test_surgery_real",
    "test_repair_stage", "test_cli_signals", "test_adapt_stage", "test_checks_stage", "test_adapt_search_kept",
    "test_bench_bundles", "test_cli_limits",
)  # fmt: skip

# busy machines: a slow example is no failure
settings.register_profile("edgetl", deadline=None)
settings.register_profile("few", deadline=None, max_examples=10)  # where only packages differ from another run
settings.load_profile("edgetl")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_runtest_setup() -> None:
    """In a process that is going to export networks, what that takes is prepared once."""
    if "edgetl.pivot.from_torch" in sys.modules:
        import warm_exporter  # noqa: F401


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights that are not part of the project; tests that need them skip where they are absent."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("EDGETL_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real images here: {folder.name}/data beside the checkout (or EDGETL_SHARED) is absent")
    return folder


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """One small real build; takes half a minute when a test first asks for it. Tests copy what they change."""
    return build_chain(common_folder(tmp_path_factory, "chain"))


@pytest.fixture(scope="session")
def detection_chain(tmp_path_factory: pytest.TempPathFactory) -> DetectionChain:
    """One small real build of a detector; takes some two minutes when a test first asks for it."""
    return build_detection(common_folder(tmp_path_factory, "detection"), TARGETS)


@pytest.fixture(scope="session")
def steel(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a build of examples/steel.yaml at short settings; takes a minute."""
    return build_steel(common_folder(tmp_path_factory, "steel"), shared)


@pytest.fixture(scope="session")
def sound_chain(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> SoundChain:
    """One small real build of a keyword spotter; takes a minute when a test first asks for it."""
    return build_sounds(common_folder(tmp_path_factory, "sounds"), shared)


@pytest.fixture(scope="session")
def text_chain(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> TextChain:
    """One small real build of a text classifier; takes a minute when a test first asks for it."""
    return build_texts(common_folder(tmp_path_factory, "texts"), shared)


@pytest.fixture(scope="session")
def series_chain(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> SeriesChain:
    """One small real build for windows of a smart watch; takes half a minute when a test first asks for it."""
    return build_series(common_folder(tmp_path_factory, "series"), shared)


def common_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that all test processes of this run have in common."""
    root = factory.getbasetemp()
    return (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name


@pytest.fixture(scope="session")
def runtime_build() -> RuntimeBuild:
    """The C++ half, built for this machine; takes a minute when nothing was built before."""
    return native_build()


@pytest.fixture(scope="module")
def apps(runtime_build: RuntimeBuild) -> Apps:
    if not (runtime_build.bin / "edgetl-run").is_file():
        pytest.skip("the apps were left out: they need libjpeg-turbo and libpng")
    library = runtime_build.onnxruntime_library
    return Apps(runtime_build.bin, ("--engine-library", str(library)) if library else ())


@pytest.fixture
def onnxruntime(apps: Apps) -> tuple[str, ...]:
    """The options that name its library. Skips where there is none, or where the engine was left out."""
    if not apps.library or "onnxruntime" not in apps("edgetl-run", "--version").stdout:
        pytest.skip("the onnxruntime engine was left out: its headers were not found (scripts/native-deps)")
    return apps.library


@pytest.fixture(params=["x86-cpu", "intel-cpu"])
def engine(request: pytest.FixtureRequest, runtime_build: RuntimeBuild, apps: Apps) -> Engine:
    """Both engines in turn. Skips where the library is absent, or the engine was left out."""
    name = {"x86-cpu": "onnxruntime", "intel-cpu": "openvino"}[request.param]
    library = runtime_build.onnxruntime_library if name == "onnxruntime" else runtime_build.openvino_library
    if library is None or name not in apps("edgetl-run", "--version").stdout:
        pytest.skip(f"the {name} engine was left out: its library or its headers were not found")
    return Engine(request.param, name, library)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """The command line in this process."""
    return Shell(capsys)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny networks lose more by waiting for a second thread than they gain."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
