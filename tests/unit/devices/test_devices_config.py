"""devices.yaml: what it may say, and what is refused before anything connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.devices.apps import find_app, machine_of
from edgetl.devices.config import Device, devices_of
from edgetl.devices.failures import DeviceError
from edgetl.errors import UsageError

TEXT = """
apps: [programs]
devices:
  pi5:
    host: pi@pi5.local
    target: raspberry-pi-5
    engines: {onnxruntime: /opt/ort/libonnxruntime.so.1}
    environment: {OMP_NUM_THREADS: "1"}
    folder: /var/tmp/
  jetson: {}
"""


def file_of(folder: Path, text: str) -> Path:
    path = folder / "devices.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_device_has_its_host_target_engines_and_environment(tmp_path: Path) -> None:
    found = devices_of(["pi5"], file_of(tmp_path, TEXT))
    (device,) = found.devices
    assert device == Device(
        name="pi5",
        host="pi@pi5.local",
        target="raspberry-pi-5",
        engines={"onnxruntime": "/opt/ort/libonnxruntime.so.1"},
        environment={"OMP_NUM_THREADS": "1"},
        folder="/var/tmp",
    )
    assert found.apps[0] == tmp_path / "programs"


def test_without_names_all_devices_are_meant_and_a_device_without_host_is_named_as_its_host(tmp_path: Path) -> None:
    found = devices_of([], file_of(tmp_path, TEXT))
    assert [(each.name, each.host) for each in found.devices] == [("pi5", "pi@pi5.local"), ("jetson", "jetson")]


def test_a_name_that_is_not_in_the_file_is_a_host(tmp_path: Path) -> None:
    (device,) = devices_of(["root@10.0.0.7"], file_of(tmp_path, TEXT)).devices
    assert (device.name, device.host) == ("root@10.0.0.7", "root@10.0.0.7")


def test_the_result_of_a_host_with_slashes_is_a_file_in_its_folder() -> None:
    found = {name: devices_of([name], None).devices[0].file_name for name in ("ssh://me@h:22", "../../h", "pi@pi5")}
    assert found == {"ssh://me@h:22": "ssh---me@h-22.json", "../../h": "-..-h.json", "pi@pi5": "pi@pi5.json"}


def test_the_file_in_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file_of(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    (device,) = devices_of(["pi5"], None).devices
    assert device.target == "raspberry-pi-5"


@pytest.mark.parametrize("name", ["-oProxyCommand=touch x", "host; touch x", "$(touch x)", "a b", "`x`", "", "host\n"])
def test_a_host_that_could_be_an_option_or_a_command_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected a host as ssh names it"):
        devices_of([name], None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devices: {a: {hots: b}}", "unknown key `devices.a.hots`"),
        ("devices: {a: {engines: {onxruntime: /x}}}", "did you mean `onnxruntime`"),
        ("devices: {a: {engines: {onnxruntime: lib/x.so}}}", "devices.a.engines.onnxruntime"),
        ("devices: {a: {environment: {'A;B': x}}}", "devices.a.environment"),
        ("devices: {a: {target: raspberry-pi-6}}", "devices.a.target: unknown target"),
        ("devices: {a: {folder: tmp}}", "devices.a.folder"),
        ("devices: {a: {host: -v}}", "devices.a.host: expected a host"),
        ("devices: {'../a': {host: b}}", "devices"),
        ("[a]", "expected a mapping"),
    ],
)
def test_a_mistake_is_named_by_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        devices_of(["a"], file_of(tmp_path, text))
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_device_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="named twice"):
        devices_of(["pi5", "pi5"], None)


def program(folder: Path, machine: int) -> Path:
    folder.mkdir()
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + machine.to_bytes(2, "little")
    (folder / "edgetl-bench").write_bytes(head)
    return folder


def test_a_program_is_chosen_by_what_it_was_built_for(tmp_path: Path) -> None:
    x86, arm = program(tmp_path / "x86", 62), program(tmp_path / "arm", 183)
    assert find_app("edgetl-bench", "aarch64", [tmp_path, x86, arm]) == arm / "edgetl-bench"
    assert find_app("edgetl-bench", "x86_64", [arm, x86]) == x86 / "edgetl-bench"
    with pytest.raises(DeviceError, match=r"for arm; found only those for x86_64, aarch64; .*armhf"):
        find_app("edgetl-bench", "arm", [x86, arm])
    with pytest.raises(DeviceError, match="found none"):
        find_app("edgetl-verify", "x86_64", [x86])


def test_kinds_of_programs_by_architecture() -> None:
    found = {name: machine_of(name) for name in ("x86_64", "aarch64", "armv7l", "armv6l", "riscv64")}
    assert found == {"x86_64": "x86_64", "aarch64": "aarch64", "armv7l": "arm", "armv6l": "arm", "riscv64": "riscv64"}
