"""Bad input to a finished build, its bundles and its weights: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from chain import Chain, edgetl
from cli_calls import Done

from edgetl.files.digest import folder_digests

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def refused(done: Done, code: int, *words: str) -> None:
    """One line on stderr, nothing on stdout."""
    assert done.code == code, (done.out, done.err)
    assert done.out == ""
    assert len(done.lines) == 1, done.err
    assert done.lines[0].startswith("edgetl: ")
    for word in words:
        assert word in done.err


@pytest.fixture
def bundle(chain: Chain, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chain.bundle("x86-cpu"), tmp_path / "bundle"))


@pytest.mark.parametrize("command", ["predict", "verify", "bench"])
@pytest.mark.parametrize("damage", ["truncated", "tampered", "incomplete", "foreign"])
def test_a_damaged_bundle_is_used_by_no_command(chain: Chain, bundle: Path, command: str, damage: str) -> None:
    model = bundle / "model.onnx"
    content = bytearray(model.read_bytes())
    words = _damage(damage, bundle, model, content)
    arguments = (bundle, chain.image()) if command == "predict" else (bundle,)
    refused(edgetl(command, *arguments), 1, words)


def _damage(damage: str, bundle: Path, model: Path, content: bytearray) -> str:
    if damage == "truncated":
        model.write_bytes(content[: len(content) // 2])
        return "truncated or changed"
    if damage == "tampered":
        content[len(content) // 2] ^= 1
        model.write_bytes(content)
        return "SHA-256 differs"
    if damage == "incomplete":
        (bundle / "manifest.json").unlink()
        return "not a bundle"
    (bundle / "plugin.so").write_bytes(b"x")
    return "plugin.so: not listed"


def test_a_pivot_that_was_changed_is_not_compiled(chain: Chain, tmp_path: Path) -> None:
    pivot = Path(shutil.copytree(chain.pivot, tmp_path / "pivot"))
    with (pivot / "float32.onnx").open("ab") as stream:
        stream.write(b"\0")
    out = tmp_path / "out"
    refused(edgetl("compile", pivot, "--target", "x86-cpu", "--out", out), 1, "float32.onnx", "changed")
    assert not out.exists()


def test_compile_of_a_pivot_refuses_what_it_cannot_mean(chain: Chain, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(edgetl("compile", chain.pivot, "--out", out), 2, "--target NAME")
    refused(
        edgetl("compile", chain.pivot, "--target", "x86cpu", "--out", out),
        2,
        "unknown target `x86cpu`; did you mean `x86-cpu`?",
    )
    refused(edgetl("compile", tmp_path, "--target", "x86-cpu", "--out", out), 1, "pivot.json: cannot be read")
    refused(edgetl("compile", chain.recipe, "--target", "x86-cpu"), 2, "--target needs a pivot folder")
    assert not out.exists()


def test_compile_leaves_a_bundle_that_is_there_alone(chain: Chain, tmp_path: Path) -> None:
    kept = tmp_path / "out" / "null-int8"
    kept.mkdir(parents=True)
    (kept / "precious.txt").write_text("x")
    done = edgetl("compile", chain.pivot, "--target", "null", "--out", tmp_path / "out")
    refused(done, 2, "null-int8: already exists")
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["null-int8", "precious.txt"]


def test_a_complete_bundle_has_nothing_to_finish(chain: Chain, bundle: Path) -> None:
    before = folder_digests(bundle)
    refused(edgetl("compile", "--finish", bundle), 1, "nothing to finish")
    assert folder_digests(bundle) == before


def test_predict_of_what_is_no_image(chain: Chain, tmp_path: Path) -> None:
    bundle = chain.bundle("x86-cpu")
    refused(edgetl("predict", bundle, tmp_path / "absent.png"), 1, "absent.png")
    (tmp_path / "text.png").write_text("no picture")
    refused(edgetl("predict", bundle, tmp_path / "text.png"), 1, "text.png")
    refused(edgetl("predict", bundle, tmp_path), 1, str(tmp_path))
    good_then_bad = edgetl("predict", bundle, chain.image(), tmp_path / "text.png", "--json")
    assert good_then_bad.code == 1
    assert ["error" in each for each in good_then_bad.json()] == [False, True]
    assert "text.png" in good_then_bad.err


def test_bench_refuses_images_of_other_classes(chain: Chain, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        shutil.copytree(chain.recipe.parent / "scans" / "0", tmp_path / name)
    refused(edgetl("bench", chain.bundle("x86-cpu"), "--data", tmp_path), 1, "are not classes of")
    refused(edgetl("bench", chain.recipe, chain.bundle("x86-cpu")), 2, "not a bundle folder")
    refused(edgetl("bench", tmp_path / "absent"), 2, "absent")


def test_a_bundle_for_hardware_that_is_not_here_says_what_it_needs(chain: Chain) -> None:
    if "nvidia-rtx" not in chain.targets:
        pytest.skip("tensorrt_rtx is not installed")
    from edgetl.backends.base import load
    from edgetl.recipes.targets import load_target

    if load("tensorrt_rtx").cannot_run(load_target("nvidia-rtx")) is None:
        pytest.skip("this machine has the hardware")
    refused(edgetl("predict", chain.bundle("nvidia-rtx"), chain.image()), 1, "cannot run here", "NVIDIA")
    checked = edgetl("verify", chain.bundle("nvidia-rtx"), "--digests-only")
    assert checked.code == 0
    assert "files as manifest.json lists them" in checked.out


def test_weights_of_another_architecture_are_refused_with_the_list_of_what_does_not_fit(
    chain: Chain, tmp_path: Path
) -> None:
    shipped = Path(__file__).resolve().parents[2] / "edgetl/_data/backbones/printed_characters/model.safetensors"
    out = tmp_path / "out"
    arguments = ("adapt", chain.recipe, "--out", out, "--quiet", "--set", "backbone.name=resnet10t")
    done = edgetl(*arguments, "--set", f"backbone.weights={shipped}")
    assert done.code == 1
    assert all(line.startswith("edgetl: ") for line in done.lines)
    assert "Traceback" not in done.err
    assert "model.safetensors" in done.err
    assert not list((out / "stages").glob("adapt*"))


class Trap:
    """A checkpoint that runs a command when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.file),)


def test_a_pickled_checkpoint_is_refused_and_not_run(chain: Chain, tmp_path: Path) -> None:
    import pickle

    sprung = tmp_path / "sprung"
    checkpoint = tmp_path / "weights.pth"
    checkpoint.write_bytes(pickle.dumps({"conv.weight": Trap(sprung)}))
    arguments = ("adapt", chain.recipe, "--out", tmp_path / "out", "--quiet", "--set", "backbone.name=resnet10t")
    refused(edgetl(*arguments, "--set", f"backbone.weights={checkpoint}"), 1, "weights.pth", "pickled Python objects")
    assert not sprung.exists()


def test_weights_that_are_not_there(chain: Chain, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    absent = edgetl(
        "adapt", chain.recipe, *out, "-q", "--set", "backbone.name=resnet10t", "--set", "backbone.weights=a"
    )
    refused(absent, 1, "no such file", "backbone.weights")
    folder = edgetl("adapt", chain.recipe, *out, "-q", "--weights-dir", tmp_path / "none", "--set", "backbone.name=x1")
    refused(folder, 2, "no such folder of weights")
    unknown = edgetl("adapt", chain.recipe, *out, "-q", "--set", "backbone.name=edgetl:letters")
    refused(unknown, 2, "printed_characters")
