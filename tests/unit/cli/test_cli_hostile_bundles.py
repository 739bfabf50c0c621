"""Bundles that somebody made up: one line, no traceback, nothing huge, no waiting. The cases of users' reports."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_calls import Shell
from hostile_bundles import (
    MANIFEST,
    change_model,
    claim_huge_tensor,
    deep_npy_header,
    edit,
    float8_logits,
    npy_of_terabytes,
    put_outside,
    put_outside_in_a_branch,
    refit,
)
from pivot_folder import GOLDEN, LABELS, make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.manifest import labels_text
from edgetl.bundle.read import read_bundle
from edgetl.errors import BundleError
from edgetl.types import ImagePreprocessing, as_image

COMMANDS = ("verify", "predict", "bench")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The float bundle of x86-cpu; what is refused here is refused before any runtime is asked."""
    folder = tmp_path_factory.mktemp("bundles")
    made = compile_targets(make_pivot(folder / "pivot"), ["x86-cpu"], folder / "bundles")
    return next(bundle for bundle in made if bundle.name == "x86-cpu-float32")


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


@pytest.fixture(autouse=True)
def ends_within_a_minute() -> Iterator[None]:
    signal.alarm(60)  # a hang ends the whole run: nothing in this process could stop a read that waits
    yield
    signal.alarm(0)


def refused_by_all(shell: Shell, bundle: Path, words: list[str]) -> None:
    for command in COMMANDS:
        extra = [bundle / "golden" / "0.png"] if command == "predict" else []
        shell.refuses(1, words, command, bundle, *extra)


@pytest.mark.parametrize(
    ("key", "value", "bound"),
    [
        ("height", -1, "at least 1"),
        ("height", 0, "at least 1"),
        ("height", 8193, "at most 8192"),
        ("height", 30_000, "at most 8192"),
        ("height", 2**63, "at most 8192"),
        ("height", 10**400, "at most 8192"),
        ("height", 32.0, "expected a whole number"),
        ("height", "32", "expected a whole number"),
        ("height", True, "expected a whole number"),
        ("width", 10**11, "at most 8192"),
        ("fill", [999, 0, 0], "at most 255"),
        ("fill", [-1, 0, 0], "at least 0"),
        ("crop_pct", 0, "at least 0.05"),
        ("crop_pct", 1e-300, "at least 0.05"),
        ("crop_pct", 1.01, "at most 1"),
        ("mean", [1e7, 0, 0], "at most"),
        ("std", [0, 0, 0], "at least"),
        ("std", [1, 1], "`preprocessing.std.2` is missing"),
        ("color", "red", "unknown key `preprocessing.color`"),
    ],
)
def test_manifest_sizes_python_every_size_is_bounded_as_in_cpp(
    shell: Shell, bundle: Path, key: str, value: Any, bound: str
) -> None:
    edit(bundle / MANIFEST, lambda manifest: manifest["preprocessing"].update({key: value}))
    refused_by_all(
        shell, bundle, [f"not a manifest of schema 1 or 2: {'' if '`' in bound else f'`preprocessing.{key}'}", bound]
    )


@pytest.mark.parametrize(("height", "width", "crop_pct"), [(1, 1, 0.05), (8192, 8192, 1)])
def test_manifest_sizes_python_the_bounds_themselves_are_taken(
    bundle: Path, height: int, width: int, crop_pct: float
) -> None:
    changes = {"height": height, "width": width, "crop_pct": crop_pct, "fill": [0, 255, 0]}

    def change(manifest: dict[str, Any]) -> None:
        manifest["preprocessing"].update(changes)
        manifest["signature"]["inputs"][0]["shape"] = [None, height, width, 3]

    edit(bundle / MANIFEST, change)
    found = as_image(read_bundle(bundle).manifest.preprocessing)
    assert found == ImagePreprocessing(
        height, width, "squash", found.mean, found.std, crop_pct, "bilinear", (0, 255, 0)
    )


@pytest.mark.parametrize("place", ["", "preprocessing", "files"])
def test_a_key_that_is_there_twice_is_refused(shell: Shell, bundle: Path, place: str) -> None:
    path = bundle / MANIFEST
    text = path.read_text(encoding="utf-8")
    line = {"": '"name": "a",', "preprocessing": '"height": 32,', "files": '"labels.txt": {},'}[place]
    start = text.index("{", text.rindex(f'"{place}"') if place else 0) + 1
    path.write_text(text[:start] + line + text[start:], encoding="utf-8")
    refused_by_all(shell, bundle, [f"the key `{line.split(chr(34))[1]}` occurs twice"])


@pytest.mark.parametrize("change", [put_outside, put_outside_in_a_branch])
def test_cpp_external_data_is_refused_by_python_when_a_bundle_is_opened(
    shell: Shell, bundle: Path, change: Any
) -> None:
    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", change))
    refused_by_all(shell, bundle, ["model.onnx: takes weights from another file, which no digest covers"])


def test_cpp_external_data_inside_the_bundle_is_refused_too(bundle: Path) -> None:
    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", put_outside))
    refit(bundle, "w.bin", bytes(100_000))
    with pytest.raises(BundleError, match=r"model\.onnx: takes weights from another file"):
        read_bundle(bundle)


@pytest.mark.parametrize("label", ["\x1b]0;owned\x07", "a\nother.png: 7 100.0 %", "\x7f", "\u2028", "\x9b1m"])
def test_label_control_characters_are_refused_when_the_bundle_is_opened(shell: Shell, bundle: Path, label: str) -> None:
    labels = (label, *LABELS[1:])
    edit(bundle / MANIFEST, lambda manifest: manifest.update(labels=labels))
    refit(bundle, "labels.txt", labels_text(labels).encode())
    refused_by_all(shell, bundle, ["`labels.0`: expected text without control characters"])


def test_label_control_characters_of_file_names_are_escaped_in_the_output(shell: Shell, bundle: Path) -> None:
    picture = bundle.parent / "a\nother.png: 7 100.0 %\x1b[2J.png"
    shutil.copyfile(bundle / "golden" / "0.png", picture)
    answer = shell("predict", bundle, picture)
    assert (answer.code, len(answer.out.splitlines())) == (0, 1)
    assert "a\\nother.png: 7 100.0 %\\x1b[2J.png: kind " in answer.out
    picture.write_bytes(b"no picture")
    refused = shell("predict", bundle, picture)
    assert refused.code == 1
    assert "a\\nother.png: 7 100.0 %\\x1b[2J.png: not usable" in refused.lines[0]


@pytest.mark.parametrize("name", [MANIFEST, "model.onnx", "labels.txt", "golden/0.png", "golden/logits.safetensors"])
@pytest.mark.parametrize("listed", [True, False])
def test_fifo_hang_a_named_pipe_in_a_bundle_is_refused(shell: Shell, bundle: Path, name: str, listed: bool) -> None:
    place = bundle / (name if listed else f"{name}.more")
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    refused_by_all(shell, bundle, [place.name, "not a regular file"])


def test_fifo_hang_a_device_as_a_manifest_is_refused(shell: Shell, bundle: Path) -> None:
    (bundle / MANIFEST).unlink()
    (bundle / MANIFEST).symlink_to("/dev/zero")
    refused_by_all(shell, bundle, ["cannot read manifest.json (not a regular file)"])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("golden/0.rgb.npy", b"", "not a readable array"),
        ("golden/0.rgb.npy", b"PK\3\4" + bytes(300), "not a readable array"),
        ("golden/0.rgb.npy", deep_npy_header(), "not a readable array"),
        ("golden/0.rgb.npy", npy_of_terabytes(), "not a readable array"),
        ("golden/0.input.npy", b"\x80\x04pickle", "not a readable array"),
        ("golden/logits.safetensors", float8_logits(GOLDEN, len(LABELS)), "not a readable safetensors file"),
        ("golden/logits.safetensors", b"", "not a readable safetensors file"),
        ("golden/logits.safetensors", b"\x02\0\0\0\0\0\0\0{}", "no such tensor"),
    ],
    ids=["empty", "zip", "deep", "terabytes", "pickle", "float8", "empty-logits", "no-logits"],
)
def test_library_errors_escape_from_no_golden_array(
    shell: Shell, bundle: Path, name: str, data: bytes, words: str
) -> None:
    refit(bundle, name, data)
    answer = shell("verify", bundle)
    assert (answer.code, len(answer.lines)) == (1, 1), answer.err
    assert answer.err.startswith(f"edgetl: {bundle / name}: ")
    assert words in answer.err


def test_library_errors_escape_from_no_tensor_of_2_to_the_62_elements(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # capfd: onnxruntime prints from C++
    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", claim_huge_tensor))
    shell = Shell(capfd)
    for command in COMMANDS:
        answer = shell(command, bundle, *([bundle / "golden" / "0.png"] if command == "predict" else []))
        assert (answer.code, len(answer.lines)) == (1, 1), answer.err
        assert "model.onnx: onnxruntime cannot open it" in answer.err


def test_a_git_lfs_pointer_in_place_of_a_file_is_named(shell: Shell, bundle: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (bundle / "model.onnx").write_text(pointer, encoding="utf-8")
    refused_by_all(shell, bundle, ["model.onnx", "it is a Git LFS pointer; run git lfs pull"])
    (bundle / MANIFEST).write_text(pointer, encoding="utf-8")
    refused_by_all(shell, bundle, ["manifest.json: not a manifest", "it is a Git LFS pointer; run git lfs pull"])


def test_verify_says_its_limits_beside_the_differences_it_found(shell: Shell, whole: Path) -> None:
    network = next(line for line in shell("verify", whole).out.splitlines() if "network" in line)
    assert "of their range (limit 0.2 %), cosine 1.00000 (at least 0.9999)" in network
