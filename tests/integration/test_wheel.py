"""The built wheel in empty environments: the core without torch, and the training extra where CI asks for it.

The core is tried with the oldest versions that its requirements allow, and with the tested ones on a newer Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from chain import ROOT, Chain, run, write_recipe
from cli_calls import Done
from packaging.requirements import Requirement

pytestmark = [pytest.mark.integration, pytest.mark.slow]

INSTALL_TIMEOUT_S = 900.0
TESTED = ROOT / "constraints.txt"
NEWER_PYTHONS = ("3.12", "3.13")
# unit tests that need no torch
CORE_TESTS = ("backends", "bench", "bundle", "recipes", "report", "store")


@dataclass(frozen=True)
class Environment:
    """A virtual environment that knows nothing of this checkout.

    pip     the arguments of Python that run it
    oldest  whether versions are the oldest allowed
    """

    folder: Path
    pip: tuple[str, ...] = ("-m", "pip")
    oldest: bool = False

    def edgetl(self, *arguments: str | Path) -> Done:
        return run([str(self.folder / "bin" / "edgetl"), *map(str, arguments)], cwd=self.folder)

    def python(self, code: str) -> Done:
        return run([str(self.folder / "bin" / "python"), "-c", code], cwd=self.folder)

    def install(self, *arguments: str, constraints: Path = TESTED) -> None:
        """pip install. Skips where no package registry can be reached."""
        pip = [str(self.folder / "bin" / "python"), *self.pip, "install", "--no-compile", "--quiet"]
        options = ["--disable-pip-version-check", "-c", str(constraints)]
        done = run([*pip, *options, *arguments], timeout_s=INSTALL_TIMEOUT_S)
        if done.code and _no_registry(done.err):
            pytest.skip(f"no package registry can be reached: {done.lines[-1] if done.lines else ''}")
        assert done.code == 0, done.err


def _no_registry(text: str) -> bool:
    signs = ("NewConnectionError", "Temporary failure in name resolution", "Network is unreachable", "ConnectTimeout")
    return any(sign in text for sign in signs)


def make_environment(folder: Path) -> Environment:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return Environment(folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("build") is None or find_spec("hatchling") is None:
        pytest.skip("build and hatchling are not installed: pip install -e '.[dev]'")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = run(command)
    assert done.code == 0, done.err
    (path,) = out.glob("edgetl-*.whl")
    return path


def make_newer_environment(folder: Path) -> Environment:
    """The same with Debian's newest Python. Skips where that cannot be had."""
    python = folder / "python"
    done = run([str(ROOT / "scripts" / "newer-python"), str(python)], timeout_s=INSTALL_TIMEOUT_S)
    if done.code:
        pytest.skip(done.lines[-1])
    (program,) = (python / "usr" / "bin").glob("python3.??")
    subprocess.run([program, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    return Environment(folder / "venv", (str(python / "pip.whl" / "pip"),))


def oldest_allowed(wheel: Path) -> str:
    """A constraints file of the lower bounds that the core names."""
    (name,) = (name for name in names_in(wheel) if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read(name).decode().splitlines()
    needed = [Requirement(line.removeprefix("Requires-Dist: ")) for line in lines if line.startswith("Requires-Dist: ")]
    core = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return "".join(f"{each.name}=={bound.version}\n" for each in core for bound in each.specifier)


@pytest.fixture(scope="module", params=["oldest", "newer Python"])
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Environment:
    """Only what a device or an appliance needs, and pytest."""
    folder = tmp_path_factory.mktemp("core")
    constraints = TESTED
    if request.param == "newer Python":
        environment = make_newer_environment(folder)
    else:
        environment = make_environment(folder / "venv")
    if request.param == "oldest":
        environment = replace(environment, oldest=True)
        constraints = folder / "oldest.txt"
        constraints.write_text(oldest_allowed(wheel), encoding="utf-8")
    environment.install(f"edgetl[test] @ file://{wheel}", constraints=constraints)
    return environment


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_code_and_data_and_nothing_else(wheel: Path) -> None:
    names = names_in(wheel)
    for kind in ("targets", "calibration"):
        ours = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / kind).rglob("*.*"))
        assert ours
        assert sorted(name.removeprefix("edgetl/_data/") for name in names if f"_data/{kind}/" in name) == ours
    assert "edgetl/_data/backbones/printed_characters/model.safetensors" in names
    assert "edgetl/_data/backbones/printed_characters/config.json" in names
    assert "edgetl/report/report.html.j2" in names
    assert "edgetl/report/report.css" in names
    assert "edgetl/bench/onnx_outputs.py" in names
    assert {"edgetl/_data/scripts/arm-sysroot", "edgetl/_data/scripts/debian.sh"} <= set(names)
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"edgetl"}
    assert not [name for name in names if "test" in Path(name).name or name.endswith((".pyc", ".part"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_backbone_in_the_wheel_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        weights = archive.getinfo("edgetl/_data/backbones/printed_characters/model.safetensors")
    assert weights.file_size <= 2_000_000
    assert wheel.stat().st_size <= 4_000_000


def test_the_core_has_no_torch_and_runs_from_the_wheel(core: Environment) -> None:
    code = "import importlib.util as u, edgetl; print(edgetl.__file__, [u.find_spec(n) for n in ('torch', 'timm')])"
    told = core.python(code).out
    assert str(core.folder) in told
    assert "[None, None]" in told


def test_look_ups_work_in_the_core(core: Environment) -> None:
    assert "Build:" in core.edgetl("--help").out
    assert [each["name"] for each in core.edgetl("targets", "--json").json()]
    assert core.edgetl("targets", "x86-cpu").code == 0
    parts = {part["name"]: part for part in core.edgetl("doctor", "--json").json()}
    assert parts["training"]["uses"][0]["missing"]["remedy"] == "pip install 'edgetl[train]'"
    assert parts["onnxruntime"]["uses"][0]["missing"] is None
    emulator = parts["arm emulator"]["uses"][0]["missing"]
    if emulator and "arm-sysroot" in emulator["remedy"]:
        assert Path(emulator["remedy"].split()[1]).is_file(), "an installed wheel names the script it brings"


def test_the_core_compiles_verifies_predicts_and_measures(core: Environment, chain: Chain, tmp_path: Path) -> None:
    targets: Sequence[str] = ("--target", "x86-cpu", "--target", "intel-cpu")
    compiled = core.edgetl("compile", chain.pivot, *targets, "--out", tmp_path / "bundles", "--json")
    assert compiled.code == 0, compiled.err
    folders = [Path(folder) for folder in compiled.json()["bundles"]]
    assert {folder.name for folder in folders} >= {"x86-cpu-int8", "intel-cpu-int8"}
    for folder in folders:
        if "int8" in folder.name:
            verified = core.edgetl("verify", folder)
            assert verified.code == 0, verified.err
    predicted = core.edgetl("predict", folders[0], chain.image("1"), "--json")
    assert predicted.json()[0]["labels"]
    measured = core.edgetl("bench", chain.bundle("x86-cpu"), "--data", chain.recipe.parent / "scans", "--json", "-q")
    assert measured.json()["bundles"][0]["top1"]["value"] > 0.7


def test_unit_tests_of_the_core_pass(core: Environment) -> None:
    folders = [f"tests/unit/{name}" for name in CORE_TESTS]
    # whole stages: the test above compiles and measures with these versions
    options = ["-q", "-m", "not slow and not stage", "-p", "no:cacheprovider", "--hypothesis-profile", "few"]
    if core.oldest:
        options += ["-W", "ignore::DeprecationWarning"]  # of old packages about the new ones below them
    done = run([str(core.folder / "bin" / "python"), "-m", "pytest", *options, *folders])
    assert done.code == 0, done.out


@pytest.mark.parametrize("version", NEWER_PYTHONS)
def test_every_tested_version_is_there_for_newer_pythons(wheel: Path, tmp_path: Path, version: str) -> None:
    """As wheels, those of training and of TensorRT-RTX among them, whose other packages fit every Python."""
    python = ("--python-version", version, "--implementation", "cp", "--only-binary", ":all:")
    tags = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(5, 29)))  # glibc up to Debian 11's
    platforms = [part for tag in tags for part in ("--platform", f"{tag}_x86_64")]
    resolve = ("--dry-run", "--ignore-installed", "--target", str(tmp_path), *python, *platforms)
    Environment(Path(sys.prefix)).install(
        *resolve, f"edgetl[train,test] @ file://{wheel}", "tensorrt_rtx_cu13_bindings"
    )


def test_a_build_in_the_core_says_in_one_line_what_is_missing(core: Environment, chain: Chain, tmp_path: Path) -> None:
    done = core.edgetl("build", chain.recipe, "--out", tmp_path / "out", "--quiet")
    assert done.code == 1
    (line,) = done.lines
    assert "pip install 'edgetl[train]'" in line


@pytest.mark.skipif(
    not (os.environ.get("CI") or os.environ.get("EDGETL_TEST_TRAIN_WHEEL")),
    reason="downloads 3 GB and fills 6 GB: runs where CI or EDGETL_TEST_TRAIN_WHEEL is set",
)
def test_the_training_extra_builds_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "venv")
    environment.install(f"edgetl[train] @ file://{wheel}")
    recipe = write_recipe(tmp_path / "digits", ["x86-cpu"], adapt={"strategy": "probe"}, quantize={"method": "ptq"})
    done = environment.edgetl("build", recipe, "--json", "--quiet")
    assert done.code == 0, done.err
    assert done.err == ""
    (bundle,) = done.json()["report"]["bundles"]
    assert bundle["verdict"] == "pass"
    assert environment.edgetl("verify", tmp_path / "digits" / "build" / "bundles" / "digits-x86-cpu").code == 0
