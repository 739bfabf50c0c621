"""The built wheel in empty environments: the core without torch, and the training extra where CI asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from chain import ROOT, Chain, run, write_recipe
from cli_calls import Done

pytestmark = [pytest.mark.integration, pytest.mark.slow]

INSTALL_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Environment:
    """A virtual environment that knows nothing of this checkout."""

    folder: Path

    def edgetl(self, *arguments: str | Path) -> Done:
        return run([str(self.folder / "bin" / "edgetl"), *map(str, arguments)], cwd=self.folder)

    def python(self, code: str) -> Done:
        return run([str(self.folder / "bin" / "python"), "-c", code], cwd=self.folder)

    def install(self, requirement: str) -> None:
        """pip install, with the tested versions. Skips where no package registry can be reached."""
        pip = [str(self.folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = run([*pip, "-c", str(ROOT / "constraints.txt"), requirement], timeout_s=INSTALL_TIMEOUT_S)
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


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Only what a device or an appliance needs."""
    environment = make_environment(tmp_path_factory.mktemp("core") / "venv")
    environment.install(str(wheel))
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
    assert "edgetl/bench/onnx_logits.py" in names
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
