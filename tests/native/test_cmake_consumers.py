"""Projects of users: each way that CMake offers to use a library, bundles copied, embedded and compiled."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from detector_pivot import ANCHORS, make_detector_pivot
from native_build import ROOT, RuntimeBuild
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.parametrize("way", ["find_package", "add_subdirectory", "fetch_content", "embedded", "compile_bundle"])
def test_a_project_gets_its_prediction(runtime_build: RuntimeBuild, way: str) -> None:
    done = runtime_build.ctest("-R", f"^consumer_{way}$", "--no-tests=error")
    assert done.returncode == 0, done.stdout


def test_ten_lines_folder_the_example_of_the_guide_predicts_from_an_empty_folder(
    runtime_build: RuntimeBuild, tmp_path: Path
) -> None:
    page = (ROOT / "docs/guide/cpp.md").read_text(encoding="utf-8")
    for language, name in (("cpp", "main.cpp"), ("cmake", "CMakeLists.txt")):
        block = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
        assert block is not None
        (tmp_path / name).write_text(block[1], encoding="utf-8")
    _write_bundle(tmp_path / "parts-build/bundles/parts-x86-cpu")
    typed = re.search(r"((?:    \S.*\n)+)\n`open_beside`", page)
    assert typed is not None
    lines = [line.strip() for line in typed[1].splitlines()]
    assert lines[-1] == "EDGETL_ENGINE_LIBRARY=/path/to/libonnxruntime.so.1 build/app"
    # packages, headers and the build of the library are those of this test run: from the installation on, as typed
    install = f"cmake --install {runtime_build.build} --prefix PREFIX"
    assert lines[3].endswith("&& cmake --install edgetl-build --prefix PREFIX")
    for line in (install, lines[4]):
        done = _typed(line, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    answer = _typed(lines[-1], tmp_path)
    assert (answer.returncode, answer.stdout) == (0, "good 0.50\n")
    # a bundle that is not there ends in 1, whatever its message's length
    shutil.rmtree(tmp_path / "build" / "parts")
    for folder in (tmp_path, tmp_path / "build"):
        missing = _typed(str(tmp_path / "build/app"), folder)
        assert (missing.returncode, len(missing.stdout.splitlines())) == (1, 1)
        assert f"{tmp_path}/build/parts: no such bundle" in missing.stdout


def _typed(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False)


def test_pkg_config_says_how_to_compile_a_c_program(runtime_build: RuntimeBuild, tmp_path: Path) -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("no pkg-config here: apt-get install pkg-config")
    (tmp_path / "main.c").write_text(
        "#include <edgetl/runtime.h>\n#include <stdio.h>\n"
        "int main(void) { for (int i = 0; edgetl_engine_name(i); ++i) puts(edgetl_engine_name(i)); return 0; }\n",
        encoding="utf-8",
    )
    flags = "PKG_CONFIG_PATH=$(dirname $(find moved -name edgetl.pc)) pkg-config --cflags --libs edgetl"
    for line in (
        f"cmake --install {runtime_build.build} --prefix $PWD/made",
        "mv made moved",  # paths count from the file
        f"cc -Wall -Werror main.c -o main $({flags})",
    ):
        done = _typed(line, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "null" in _typed("./main", tmp_path).stdout.splitlines()


def test_the_shared_library_exports_the_functions_of_the_headers_alone(tmp_path: Path) -> None:
    off = [f"-DEDGETL_{name}=OFF" for name in ("WITH_ONNXRUNTIME", "WITH_OPENVINO", "BUILD_APPS", "BUILD_TESTS")]
    # unoptimized and many sources at once, which is faster to build and exports no less
    quickly = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_UNITY_BUILD=ON", "-DEDGETL_WARNINGS_AS_ERRORS=OFF"]
    options = [*off, "-DEDGETL_BUILD_SHARED=ON", *quickly]
    for command in (
        ["cmake", "-S", str(ROOT), "-B", str(tmp_path), *options],
        ["cmake", "--build", str(tmp_path), "--target", "edgetl_runtime", "-j2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    library = next(path for path in tmp_path.rglob("libedgetl_runtime.so*") if not path.is_symlink())
    listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
    exported = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()} - {"EDGETL_0"}
    headers = [path.read_text(encoding="utf-8") for path in (ROOT / "runtime/include/edgetl").glob("*.h")]
    assert exported == set(re.findall(r"^EDGETL_API [^;(]*?\b(edgetl_\w+)\(", "\n".join(headers), re.MULTILINE))
    assert "edgetl_open_beside" in exported


def test_programs_are_hardened(runtime_build: RuntimeBuild) -> None:
    program = runtime_build.bin / "edgetl-verify"
    if not program.is_file() or shutil.which("readelf") is None:
        pytest.skip("no edgetl-verify or no readelf here")
    told = subprocess.run(
        ["readelf", "-W", "-h", "-l", "-d", "-s", program], capture_output=True, text=True, check=True
    )
    assert re.search(r"Type:\s+DYN", told.stdout), "not position-independent"
    assert "GNU_RELRO" in told.stdout
    assert "BIND_NOW" in told.stdout
    assert re.search(r"GNU_STACK.* RW ", told.stdout), "an executable stack"
    assert "__stack_chk_fail" in told.stdout
    assert re.search(r"__\w+_chk\b", told.stdout.replace("__stack_chk", "")), "nothing is fortified"


@pytest.mark.parametrize("wanted", ["ON", "OFF"])
def test_the_apps_need_not_be_installed(tmp_path: Path, wanted: str) -> None:
    options = [f"-DEDGETL_INSTALL_APPS={wanted}", "-DEDGETL_BUILD_TESTS=OFF"]
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "apps: in" not in done.stdout:
        pytest.skip("the apps were left out: they need libjpeg-turbo and libpng")
    script = (tmp_path / "runtime/apps/cmake_install.cmake").read_text(encoding="utf-8")
    assert ("edgetl-verify" in script) == (wanted == "ON")


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
    assert _compiled_from(bundle, tmp_path) == ""


def test_a_program_knows_the_sizes_and_thresholds_of_its_detector(tmp_path: Path) -> None:
    (bundle, _) = compile_targets(make_detector_pivot(tmp_path / "pivot"), ["x86-cpu"], tmp_path / "bundles")
    program = """
#include <edgetl/model.h>
#include <stdio.h>
int main(void) {
  static char places[model_places];
  printf("%d %d %d %d %d %s %.9g %.9g\\n", (int)sizeof places, model_classes, model_max_candidates,
         model_max_detections, model_height, model_labels[2], model_score_threshold, model_iou_threshold);
  return 0;
}
"""
    assert _compiled_from(bundle, tmp_path, program) == f"{ANCHORS} 3 100 30 24 blue 0.5 0.5\n"


def _compiled_from(bundle: Path, folder: Path, program: str = "int main(void) { return 0; }\n") -> str:
    """What a program of C prints that is linked with what is generated from `bundle`."""
    source, header = folder / "model.cpp", folder / "include/edgetl/model.h"
    done = _script("generate", bundle, ident="model", beside="", source=source, header=header)
    assert done.returncode == 0, done.stderr
    (folder / "main.c").write_text(program, encoding="utf-8")
    places = f"-Wall -Wextra -Werror -I {folder}/include -I {ROOT}/runtime/include"
    for line in (
        f"cc -std=c11 {places} -c main.c -o main.o",
        f"c++ -std=c++17 {places} -c model.cpp -o model.o",
        "c++ main.o model.o -o main",
    ):
        done = _typed(line, folder)
        assert done.returncode == 0, done.stderr
    return _typed("./main", folder).stdout


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
