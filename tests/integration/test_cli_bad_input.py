"""Bad input to a finished build, its bundles and its weights: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from chain import Chain, edgetl
from cli_calls import Done, Shell

from edgetl.files.digest import folder_digests

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def refused(done: Done, code: int, *words: str) -> None:
    """The same of a process of its own: one test for each command."""
    assert (done.code, done.out, len(done.lines)) == (code, "", 1), done
    assert done.err.startswith("edgetl: ")
    assert all(word in done.err for word in words), done.err


@pytest.fixture
def bundle(chain: Chain, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chain.bundle("x86-cpu"), tmp_path / "bundle"))


@pytest.mark.parametrize("command", ["predict", "verify", "bench"])
@pytest.mark.parametrize("damage", ["truncated", "tampered", "incomplete", "foreign"])
def test_a_damaged_bundle_is_used_by_no_command(
    shell: Shell, chain: Chain, bundle: Path, command: str, damage: str
) -> None:
    model = bundle / "model.onnx"
    content = bytearray(model.read_bytes())
    words = _damage(damage, bundle, model, content)
    arguments = (bundle, chain.image()) if command == "predict" else (bundle,)
    shell.refuses(1, [words], command, *arguments)
    if damage == "tampered":
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


def test_compile_of_a_pivot_refuses_what_it_cannot_mean(shell: Shell, chain: Chain, tmp_path: Path) -> None:
    out = tmp_path / "out"
    near = "unknown target `x86cpu`; did you mean `x86-cpu`?"
    shell.refuses(2, ["--target NAME"], "compile", chain.pivot, "--out", out)
    shell.refuses(2, [near], "compile", chain.pivot, "--target", "x86cpu", "--out", out)
    shell.refuses(1, ["pivot.json: cannot be read"], "compile", tmp_path, "--target", "x86-cpu", "--out", out)
    shell.refuses(2, ["--target needs a pivot folder"], "compile", chain.recipe, "--target", "x86-cpu")
    assert not out.exists()


def test_compile_leaves_a_bundle_that_is_there_alone(shell: Shell, chain: Chain, tmp_path: Path) -> None:
    kept = tmp_path / "out" / "null-int8"
    kept.mkdir(parents=True)
    (kept / "precious.txt").write_text("x")
    command = ("compile", chain.pivot, "--target", "null", "--out", tmp_path / "out")
    shell.refuses(2, ["null-int8: already exists"], *command)
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["null-int8", "precious.txt"]


def test_a_complete_bundle_has_nothing_to_finish(shell: Shell, chain: Chain, bundle: Path) -> None:
    before = folder_digests(bundle)
    shell.refuses(1, ["nothing to finish"], "compile", "--finish", bundle)
    assert folder_digests(bundle) == before


def test_predict_of_what_is_no_image(shell: Shell, chain: Chain, tmp_path: Path) -> None:
    bundle = chain.bundle("x86-cpu")
    shell.refuses(1, ["absent.png"], "predict", bundle, tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no picture")
    shell.refuses(1, ["text.png"], "predict", bundle, tmp_path / "text.png")
    shell.refuses(1, [str(tmp_path)], "predict", bundle, tmp_path)
    good_then_bad = shell("predict", bundle, chain.image(), tmp_path / "text.png", "--json")
    assert good_then_bad.code == 1
    assert ["error" in each for each in good_then_bad.json()] == [False, True]
    assert "text.png" in good_then_bad.err


def test_bench_refuses_images_of_other_classes(shell: Shell, chain: Chain, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        shutil.copytree(chain.recipe.parent / "scans" / "0", tmp_path / name)
    shell.refuses(1, ["are not classes of"], "bench", chain.bundle("x86-cpu"), "--data", tmp_path)
    shell.refuses(2, ["not a bundle folder"], "bench", chain.recipe, chain.bundle("x86-cpu"))
    shell.refuses(2, ["absent"], "bench", tmp_path / "absent")


def test_a_bundle_for_hardware_that_is_not_here_says_what_it_needs(shell: Shell, chain: Chain) -> None:
    if "nvidia-rtx" not in chain.targets:
        pytest.skip("tensorrt_rtx is not installed")
    from edgetl.backends.base import load
    from edgetl.recipes.targets import load_target

    if load("tensorrt_rtx").cannot_run(load_target("nvidia-rtx")) is None:
        pytest.skip("this machine has the hardware")
    shell.refuses(1, ["cannot run here", "NVIDIA"], "predict", chain.bundle("nvidia-rtx"), chain.image())
    checked = shell("verify", chain.bundle("nvidia-rtx"), "--digests-only")
    assert checked.code == 0
    assert "files as manifest.json lists them" in checked.out


def test_weights_of_another_architecture_are_refused_with_the_list_of_what_does_not_fit(
    shell: Shell, chain: Chain, tmp_path: Path
) -> None:
    shipped = Path(__file__).resolve().parents[2] / "edgetl/_data/backbones/printed_characters/model.safetensors"
    out = tmp_path / "out"
    arguments = ("adapt", chain.recipe, "--out", out, "--quiet", "--set", "backbone.name=resnet10t")
    done = shell(*arguments, "--set", f"backbone.weights={shipped}")
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


def test_weights_that_are_not_there(shell: Shell, chain: Chain, tmp_path: Path) -> None:
    adapt = ("adapt", chain.recipe, "--out", tmp_path / "out", "-q")
    weights = ("--set", "backbone.name=resnet10t", "--set", "backbone.weights=a")
    shell.refuses(1, ["no such file", "backbone.weights"], *adapt, *weights)
    folder = ("--weights-dir", tmp_path / "none", "--set", "backbone.name=x1")
    shell.refuses(2, ["no such folder of weights"], *adapt, *folder)
    shell.refuses(2, ["printed_characters"], *adapt, "--set", "backbone.name=edgetl:letters")
