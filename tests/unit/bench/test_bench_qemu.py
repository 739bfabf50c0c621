from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.bench import qemu
from edgetl.errors import BackendError

IMAGES = np.zeros((2, 4, 4, 3), np.uint8)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sysroot and an emulator that exist but do nothing."""
    root = tmp_path / "arm"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/python3.11").touch()
    (root / "edgetl-sysroot.txt").touch()
    monkeypatch.setenv("EDGETL_ARM_SYSROOT", str(root))
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name == "qemu-aarch64" else None)
    return root


def guest(monkeypatch: pytest.MonkeyPatch, output: object, status: int = 0, stderr: str = "") -> list[list[str]]:
    """Replace the emulator by something that writes `output` where the script would; returns the commands seen."""
    commands: list[list[str]] = []

    def run(command: list[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if output is not None:
            np.save(Path(command[-3]) / "logits.npy", np.asarray(output), allow_pickle=False)
        return subprocess.CompletedProcess(command, status, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_without_qemu_the_package_is_named(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    found = qemu.missing()
    assert found is not None
    assert found.remedy == "apt-get install qemu-user-static"


@pytest.mark.parametrize("absent", ["usr/bin/python3.11", "edgetl-sysroot.txt"])
def test_an_absent_or_unfinished_sysroot_is_named(installed: Path, absent: str) -> None:
    assert qemu.missing() is None
    (installed / absent).unlink()
    found = qemu.missing()
    assert found is not None
    bash, script, folder = found.remedy.split()
    assert (bash, folder) == ("bash", str(installed))
    assert Path(script).name == "arm-sysroot"
    assert Path(script).is_file()
    assert str(Path.home()) not in found.reason, "the reason stands in reports, which travel"


def test_the_sysroot_is_looked_for_in_the_user_s_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGETL_ARM_SYSROOT", raising=False)
    assert qemu.sysroot() == Path.home() / ".cache/edgetl/arm-sysroot"


def test_the_guest_gets_the_sysroot_the_script_and_the_files(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands = guest(monkeypatch, np.ones((2, 5), np.float32))
    logits = qemu.outputs(tmp_path / "model.onnx", IMAGES, threads=3)["logits"]
    assert logits.shape == (2, 5)
    command = commands[0]
    assert command[:5] == ["/bin/qemu-aarch64", "-cpu", "max,sme=off", "-L", str(installed)]
    assert command[-6].endswith("bench/onnx_outputs.py")
    assert command[-5] == str(tmp_path / "model.onnx")
    assert command[-2:] == ["3", "logits"]


def test_the_script_travels_with_the_package() -> None:
    assert Path(qemu.__file__).with_name("onnx_outputs.py").is_file()


@pytest.mark.parametrize(
    ("output", "status", "stderr", "message"),
    [
        (None, 139, "uncaught target signal 11", "ended with status 139: uncaught target signal 11"),
        (None, 0, "", "ended without logits"),
        (np.ones((3, 5), np.float32), 0, "", r"expected float32 logits \(2, ...\); found float32 \(3, 5\)"),
        (np.ones((2, 5), np.float64), 0, "", "found float64"),
    ],
)
def test_a_guest_that_fails_is_one_clear_line(
    installed: Path, monkeypatch: pytest.MonkeyPatch, output: object, status: int, stderr: str, message: str
) -> None:
    guest(monkeypatch, output, status, stderr)
    with pytest.raises(qemu.EmulationError, match=message):
        qemu.outputs(Path("model.onnx"), IMAGES)


def test_a_model_that_the_guest_s_runtime_does_not_take_is_no_fault_of_the_emulator(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest(monkeypatch, None, 3, "no kernel for this")
    with pytest.raises(BackendError, match="onnxruntime for ARM rejects it: no kernel for this") as caught:
        qemu.outputs(Path("model.onnx"), IMAGES)
    assert not isinstance(caught.value, qemu.EmulationError)


def test_another_runtime_in_the_sysroot_is_another_emulator(installed: Path) -> None:
    def install(version: str) -> None:
        record = installed / "site" / f"onnxruntime-{version}.dist-info"
        record.mkdir(parents=True)
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: onnxruntime\nVersion: {version}\n")

    assert qemu.version() == ""
    install("1.30.0")
    before = qemu.identity()
    assert qemu.version() == "1.30.0"
    assert qemu.identity() == before
    (installed / "edgetl-sysroot.txt").write_text("suite sid\n")
    assert qemu.identity() != before
    (installed / "edgetl-sysroot.txt").write_text("")
    shutil.rmtree(installed / "site")
    install("1.31.1")
    assert qemu.identity() != before


def test_a_guest_that_hangs_is_ended(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **kwargs: Any) -> None:
        raise subprocess.TimeoutExpired(command, kwargs["timeout"])

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(qemu.EmulationError, match="did not finish within 2 s"):
        qemu.outputs(Path("model.onnx"), IMAGES, timeout_s=2)


def test_without_an_emulator_logits_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(qemu.EmulationError, match=r"cannot emulate ARM: no qemu.*apt-get install"):
        qemu.outputs(Path("model.onnx"), IMAGES)
