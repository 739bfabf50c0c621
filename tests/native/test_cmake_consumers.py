"""Projects of users: each way that CMake offers to use a library, bundles copied, embedded and compiled."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from native_build import ROOT, RuntimeBuild
from pivot_folder import make_pivot

from edgetl.assemble import compile_targets

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


@pytest.mark.parametrize("target", ["x86-cpu", "x86-avx2", "intel-cpu"])
def test_what_is_generated_from_a_compiled_bundle_compiles(target: str, tmp_path: Path) -> None:
    bundle = compile_targets(make_pivot(tmp_path / "pivot"), [target], tmp_path / "bundles")[0]
    source = tmp_path / "model.cpp"
    header = tmp_path / "include/edgetl/model.h"
    done = _script("generate", bundle, ident="model", beside="", source=source, header=header)
    assert done.returncode == 0, done.stderr
    places = ["-I", str(tmp_path / "include"), "-I", str(ROOT / "runtime/include")]
    compiled = subprocess.run(
        [
            "c++",
            "-std=c++17",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-c",
            str(source),
            "-o",
            str(tmp_path / "model.o"),
            *places,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stderr


def test_programs_in_one_folder_copy_the_same_bundle_at_once(tmp_path: Path) -> None:
    _write_bundle(tmp_path / "a/b/bundle")
    for _ in range(10):
        started = [_copying(tmp_path / "a/b/bundle", tmp_path / "bin/bundle", tmp_path / "lock") for _ in range(3)]
        ended = [(process.communicate()[1], process.returncode) for process in started]
        assert [code for _, code in ended] == [0, 0, 0], ended
        (tmp_path / "bin/bundle/model.onnx").write_text("a damaged one", encoding="utf-8")
    done = _script("copy", tmp_path / "a/b/bundle", copy=tmp_path / "bin/bundle", lock=tmp_path / "lock")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bin/bundle/model.onnx").read_text(encoding="utf-8") == "no real model!"


def test_one_name_for_two_bundles_ends_the_configuration(tmp_path: Path) -> None:
    for maker in ("one", "other"):
        _write_bundle(tmp_path / maker / "out" / "x86-cpu-int8")
    (tmp_path / "main.cpp").write_text("int main() {}\n", encoding="utf-8")
    lines = [
        "cmake_minimum_required(VERSION 3.20)",
        "project(app LANGUAGES CXX)",
        "add_library(edgetl::runtime INTERFACE IMPORTED)",
        f'include("{ROOT}/cmake/EdgetlBundles.cmake")',
        "add_executable(app main.cpp)",
        "add_executable(tool main.cpp)",
        "edgetl_add_bundle(app BUNDLE one/out/x86-cpu-int8 NAME first)",
        "edgetl_add_bundle(tool BUNDLE one/out/x86-cpu-int8 NAME first)",
        "edgetl_add_bundle(app BUNDLE other/out/x86-cpu-int8 NAME second)",
    ]
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines), encoding="utf-8")
    command = ["cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines.append("edgetl_add_bundle(tool BUNDLE other/out/x86-cpu-int8 NAME first)")
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "give one of them another NAME" in " ".join(done.stderr.split())


def test_an_engine_that_is_asked_for_and_absent_ends_the_configuration(
    runtime_build: RuntimeBuild, tmp_path: Path
) -> None:
    assert runtime_build.build.is_dir()
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path), "-DEDGETL_WITH_TENSORRT=ON"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        pytest.skip("the headers of TensorRT are installed here")
    assert "EDGETL_WITH_TENSORRT=ON: headers not found, set EDGETL_" in done.stderr


def _script(step: str, bundle: Path, **values: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(step, bundle, values), capture_output=True, text=True, check=False)


def _copying(bundle: Path, copy: Path, lock: Path) -> subprocess.Popen[str]:
    command = _command("copy", bundle, {"copy": copy, "lock": lock})
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _command(step: str, bundle: Path, values: Mapping[str, object]) -> list[str]:
    named = [f"-D{name}={value}" for name, value in values.items()]
    return ["cmake", f"-Dstep={step}", f"-Dfolder={bundle}", *named, "-P", str(ROOT / "cmake/EdgetlBundleFiles.cmake")]


def _write_bundle(folder: Path) -> None:
    """A bundle of the null target with the classes good and bad."""
    script = folder.parents[2] / "bundle.cmake"
    helper = ROOT / "runtime/tests/consumers/bundle.cmake"
    script.write_text(f'include("{helper}")\nwrite_bundle("{folder}" good bad)\n', encoding="utf-8")
    subprocess.run(["cmake", "-P", str(script)], check=True)
