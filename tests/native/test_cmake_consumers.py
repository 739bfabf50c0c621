"""Projects of users: each way that CMake offers to use a library, bundles copied, embedded and compiled."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from native_build import ROOT, RuntimeBuild

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.parametrize("way", ["find_package", "add_subdirectory", "fetch_content", "embedded", "compile_bundle"])
def test_a_project_gets_its_prediction(runtime_build: RuntimeBuild, way: str) -> None:
    done = runtime_build.ctest("-R", f"^consumer_{way}$", "--no-tests=error")
    assert done.returncode == 0, done.stdout


def test_the_example_of_the_guide_predicts_from_an_empty_folder(runtime_build: RuntimeBuild, tmp_path: Path) -> None:
    page = (ROOT / "docs/guide/cpp.md").read_text(encoding="utf-8")
    for language, name in (("cpp", "main.cpp"), ("cmake", "CMakeLists.txt")):
        block = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
        assert block is not None
        (tmp_path / name).write_text(block[1], encoding="utf-8")
    _write_bundle(tmp_path / "parts-build/bundles/parts-x86-cpu")
    prefix = tmp_path / "prefix"
    for command in (
        ["cmake", "--install", str(runtime_build.build), "--prefix", str(prefix)],
        ["cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build"), f"-DCMAKE_PREFIX_PATH={prefix}"],
        ["cmake", "--build", str(tmp_path / "build")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    answer = subprocess.run(
        [tmp_path / "build/app"], cwd=tmp_path / "build", capture_output=True, text=True, check=False
    )
    assert answer.stdout == "good 0.50\n"


@pytest.mark.usefixtures("runtime_build")
def test_without_engine_decoders_and_doctest_it_says_what_is_left_out(tmp_path: Path) -> None:
    absent = ["-DCMAKE_DISABLE_FIND_PACKAGE_JPEG=ON", "-DEDGETL_DOCTEST_INCLUDE=EDGETL_DOCTEST_INCLUDE-NOTFOUND"]
    engines = [f"-DEDGETL_{name}_INCLUDE={name}-NOTFOUND" for name in ("ONNXRUNTIME", "OPENVINO")]
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path), "-DCMAKE_FIND_ROOT_PATH=/nowhere", *absent, *engines]
    command += ["-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "engine null: in" in done.stdout
    assert "engine onnxruntime: left out (headers not found, set EDGETL_ONNXRUNTIME_INCLUDE)" in done.stdout
    assert "apps: left out (need libjpeg-turbo and libpng)" in done.stdout


def test_an_engine_that_is_asked_for_and_absent_ends_the_configuration(
    runtime_build: RuntimeBuild, tmp_path: Path
) -> None:
    assert runtime_build.build.is_dir()
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path), "-DEDGETL_WITH_TENSORRT=ON"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        pytest.skip("the headers of TensorRT are installed here")
    assert "EDGETL_WITH_TENSORRT=ON: headers not found, set EDGETL_" in done.stderr


def _write_bundle(folder: Path) -> None:
    """A bundle of the null target with the classes good and bad."""
    script = folder.parents[2] / "bundle.cmake"
    helper = ROOT / "runtime/tests/consumers/bundle.cmake"
    script.write_text(f'include("{helper}")\nwrite_bundle("{folder}" good bad)\n', encoding="utf-8")
    subprocess.run(["cmake", "-P", str(script)], check=True)
