"""Damaged bundles: the device's reader and Python's both refuse them in one line that names the file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_build import ROOT, RuntimeBuild
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.manifest import MAX_MANIFEST_BYTES
from edgetl.bundle.read import read_bundle
from edgetl.errors import BundleError

pytestmark = pytest.mark.integration

MANIFEST = "manifest.json"
NAMES = (
    "LICENSES.txt",
    "golden/0.input.npy",
    "golden/0.png",
    "golden/0.rgb.npy",
    "golden/logits.safetensors",
    "labels.txt",
    "model.onnx",
)
CORPUS = ROOT / "runtime" / "fuzz" / "corpus" / "manifest"

Verify = Callable[[Path], "subprocess.CompletedProcess[bytes]"]
Damage = Callable[[Path], str]  # changes the bundle; returns what the message must hold


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    bundles = compile_targets(make_pivot(folder / "pivot"), ["null"], folder / "out")
    return next(bundle for bundle in bundles if bundle.name == "null-int8")


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def verify(runtime_build: RuntimeBuild) -> Verify:
    program = runtime_build.bin / "edgetl-verify"
    if not program.exists():
        pytest.skip("edgetl-verify was not built here: it needs libjpeg and libpng")

    def run(folder: Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([program, folder, "--digests-only"], capture_output=True, timeout=60, check=False)

    return run


def check_refused(done: subprocess.CompletedProcess[bytes], named: str) -> None:
    message = done.stderr.decode()
    assert done.returncode == 1, (done.returncode, message)
    assert len(message.splitlines()) == 1
    assert named in message


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    change(manifest)
    (bundle / MANIFEST).write_text(json.dumps(manifest))


# --- what can happen to a file


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def enlarge(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path) -> None:
    root = next(parent for parent in path.parents if (parent / MANIFEST).exists())
    path.symlink_to(path.rename(root.parent / "elsewhere"))


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", [flip, cut, empty, enlarge, remove, link, dangle, pipe, folder])
def test_a_damaged_file_is_named(bundle: Path, verify: Verify, name: str, damage: Callable[[Path], None]) -> None:
    damage(bundle / name)
    check_refused(verify(bundle), f"{bundle}/{name}: ")
    with pytest.raises(BundleError, match=name):
        read_bundle(bundle)


# --- what can happen to the folder and the manifest


def foreign_file(bundle: Path) -> str:
    (bundle / "extra.so").write_bytes(b"\x7fELF")
    return "extra.so"


def hidden_file(bundle: Path) -> str:
    (bundle / ".cache").write_bytes(b"")
    return ".cache"


def deep_file(bundle: Path) -> str:
    (bundle / "golden" / "more").mkdir()
    (bundle / "golden" / "more" / "extra").write_bytes(b"")
    return "golden/more/extra"


def linked_folder(bundle: Path) -> str:
    (bundle / "golden").rename(bundle.parent / "golden")
    (bundle / "golden").symlink_to(bundle.parent / "golden")
    return "golden"


def linked_manifest(bundle: Path) -> str:
    (bundle / MANIFEST).rename(bundle.parent / MANIFEST)
    (bundle / MANIFEST).symlink_to(bundle.parent / MANIFEST)
    return MANIFEST


def no_manifest(bundle: Path) -> str:
    (bundle / MANIFEST).unlink()
    return MANIFEST


def huge_manifest(bundle: Path) -> str:
    os.truncate(bundle / MANIFEST, 100_000_000)
    return f"at most {MAX_MANIFEST_BYTES}"


def brackets(bundle: Path) -> str:
    (bundle / MANIFEST).write_text("[" * 10_000 + "]" * 10_000)
    return MANIFEST


def brackets_inside(bundle: Path) -> str:
    text = (bundle / MANIFEST).read_text()
    assert '"measured": null' in text
    (bundle / MANIFEST).write_text(text.replace('"measured": null', f'"measured": {"[" * 10_000 + "]" * 10_000}'))
    return MANIFEST


def path_of_parent(bundle: Path) -> str:
    (bundle.parent / "secret").write_bytes(b"secret")
    edit(bundle, lambda manifest: manifest["files"].update({"../secret": manifest["files"]["labels.txt"]}))
    return "../secret"


def absolute_path(bundle: Path) -> str:
    edit(bundle, lambda manifest: manifest["files"].update({"/etc/passwd": manifest["files"]["labels.txt"]}))
    return "/etc/passwd"


def model_of_parent(bundle: Path) -> str:
    edit(bundle, lambda manifest: manifest["compiled"].update(model="../model.onnx"))
    return "compiled"


def golden_of_parent(bundle: Path) -> str:
    edit(bundle, lambda manifest: manifest["golden"]["files"].__setitem__(0, "../0.png"))
    return "golden.files"


def other_schema(bundle: Path) -> str:
    edit(bundle, lambda manifest: manifest.update(schema=3))
    return "schema"


def unknown_key(bundle: Path) -> str:
    edit(bundle, lambda manifest: manifest.update(script="rm"))
    return "script"


def unlisted_model(bundle: Path) -> str:
    edit(bundle, lambda manifest: manifest["files"].pop("model.onnx"))
    return "model.onnx"


@pytest.mark.parametrize(
    "damage",
    [
        foreign_file,
        hidden_file,
        deep_file,
        linked_folder,
        linked_manifest,
        no_manifest,
        huge_manifest,
        brackets,
        brackets_inside,
        path_of_parent,
        absolute_path,
        model_of_parent,
        golden_of_parent,
        other_schema,
        unknown_key,
        unlisted_model,
    ],
)
def test_a_damaged_folder_or_manifest_is_refused(bundle: Path, verify: Verify, damage: Damage) -> None:
    named = damage(bundle)
    check_refused(verify(bundle), named)
    with pytest.raises(BundleError):
        read_bundle(bundle)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.json")), ids=lambda path: path.stem)
def test_the_kept_manifests_are_refused(bundle: Path, verify: Verify, path: Path) -> None:
    # the valid ones describe another bundle
    shutil.copyfile(path, bundle / MANIFEST)
    check_refused(verify(bundle), f"{bundle}/")


def test_a_whole_bundle_is_taken(bundle: Path, verify: Verify) -> None:
    done = verify(bundle)
    assert (done.returncode, done.stderr) == (0, b"")
    assert read_bundle(bundle).manifest.files.keys() >= set(NAMES)


def test_no_folder_is_no_bundle(tmp_path: Path, verify: Verify) -> None:
    check_refused(verify(tmp_path / "nothing"), "nothing: no such bundle")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_any_flipped_byte_is_found(bundle: Path, verify: Verify, name: str, place: float, bits: int) -> None:
    path = bundle / name
    content = path.read_bytes()
    at = int(place * len(content))
    path.write_bytes(content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :])
    check_refused(verify(bundle), f"{bundle}/{name}: SHA-256 differs")
    path.write_bytes(content)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), removed=st.integers(0, 40))
def test_no_change_of_the_manifest_ends_in_a_crash(
    bundle: Path, verify: Verify, place: float, byte: int, removed: int
) -> None:
    path = bundle / MANIFEST
    content = path.read_bytes()
    at = int(place * len(content))
    path.write_bytes(content[:at] + bytes([byte]) + content[at + removed :])
    assert verify(bundle).returncode in (0, 1)
    path.write_bytes(content)
