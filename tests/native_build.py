"""The C++ half, configured and built once, for the tests that run its programs.

Kept in `build/` of the checkout, so that a second run of the tests builds only what changed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = "apt-get install cmake ninja-build g++ libjpeg62-turbo-dev libpng-dev doctest-dev"
TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class RuntimeBuild:
    """A build folder, and the engines' shared libraries in the installed Python packages; None where absent."""

    build: Path
    onnxruntime_library: Path | None
    openvino_library: Path | None

    @property
    def bin(self) -> Path:
        """Where edgetl-run, edgetl-bench, edgetl-verify, picture_tool and the tests lie."""
        return self.build / "bin"

    def ctest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run(["ctest", "--test-dir", str(self.build), "--output-on-failure", "-j2", *arguments])


def native_build() -> RuntimeBuild:
    """The build for this machine. Skips the calling test where cmake or a compiler is absent."""
    _need("cmake", PACKAGES)
    _need("c++", PACKAGES)
    folder = build("native", _engines())
    return RuntimeBuild(folder, _in_package("onnxruntime", "capi/libonnxruntime.so.*"), _openvino_library())


def cross_build(name: str, compiler: str, emulator: str) -> RuntimeBuild:
    """The build for ARM by `make`, with tests that run under qemu. Skips where something is absent.

    A unity build: each header is read once for many sources. That every source includes what it needs is told by the
    build for this machine.

    name  of the folder of `scripts/native-deps`: arm64 or armhf
    """
    _need("make", PACKAGES)
    _need("cmake", PACKAGES)
    _need(compiler, f"apt-get install g++-{compiler.removesuffix('-g++')}")
    _need(emulator, "apt-get install qemu-user-static")
    if not (dependencies() / name).is_dir():
        pytest.skip(f"no libraries for {name} in {dependencies()}: scripts/native-deps {dependencies()}")
    folder = ROOT / "build" / name
    _build(folder, [["make", "--no-print-directory", f"build/{name}", f"EDGETL_NATIVE_DEPS={dependencies()}"]])
    return RuntimeBuild(folder, None, None)


def build(name: str, options: Sequence[str]) -> Path:
    """Configure and build `build/<name>`."""
    folder = ROOT / "build" / name
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), *generator, *options]
    _build(folder, [configure, ["cmake", "--build", str(folder), "-j2"]])
    return folder


def _build(folder: Path, commands: Sequence[Sequence[str]]) -> None:
    """Run the commands that build the folder; test processes wait for each other."""
    with _locked(folder):
        for command in commands:
            done = _run(command)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def dependencies() -> Path:
    """What scripts/native-deps fetched: the environment's EDGETL_NATIVE_DEPS, or the user's cache."""
    named = os.environ.get("EDGETL_NATIVE_DEPS")
    return Path(named).expanduser().resolve() if named else Path.home() / ".cache/edgetl/native"


def _engines() -> list[str]:
    options = _headers()
    openvino = _in_package("openvino", "include")
    if openvino is not None and openvino.is_dir():
        options.append(f"-DEDGETL_OPENVINO_INCLUDE={openvino}")
    return options


def _headers() -> list[str]:
    folder = dependencies() / "onnxruntime"
    return [f"-DONNXRUNTIME_ROOT={folder}"] if folder.is_dir() else []


def _openvino_library() -> Path | None:
    return _in_package("openvino", "libs/libopenvino_c.so*")


def _in_package(package: str, pattern: str) -> Path | None:
    """The first match inside an installed package, which is not imported."""
    spec = find_spec(package)
    for place in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(place).glob(pattern)):
            return path
    return None


def _need(program: str, remedy: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here: {remedy}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=ROOT, check=False)
