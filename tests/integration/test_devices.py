"""Devices over ssh: a real sshd on loopback, the real programs, connections that drop, and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chain import Chain
from cli_calls import Shell
from loopback import Board, Loopback, finisher, loopback
from native_apps import Apps
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.read import read_bundle
from edgetl.devices.config import Device
from edgetl.devices.connection import Ssh, held
from edgetl.files.digest import file_digest, folder_digests

pytestmark = pytest.mark.integration

TOOLS = ("sh", "cat", "mkdir", "uname", "rm", "chmod")
LONG = ("--runs", "2000000", "--cold-starts", "0")
QUICK = ("--cold-starts", "0")
DROPS = 4


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    compile_targets(make_pivot(folder / "pivot"), ["null", "x86-cpu", "arm64-cpu", "nvidia-gpu"], folder / "bundles")
    return folder / "bundles"


@pytest.fixture
def boards(
    apps: Apps, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loopback]:
    """No board yet; the working folder is empty, and commands use their configuration."""
    hosts = loopback(tmp_path_factory.mktemp("boards"))
    monkeypatch.setenv("EDGETL_SSH_CONFIG", str(hosts.config))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGETL_APPS", str(apps.bin))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield hosts
    hosts.close()


def on(hosts: Loopback, *names: str) -> list[str | Path]:
    """The options for these boards."""
    file = hosts.devices(Path(os.environ["EDGETL_APPS"]))
    return ["--devices", file, *(part for name in names for part in ("--on", name))]


def test_verifying_there_says_what_the_program_says_here(
    shell: Shell, boards: Loopback, bundles: Path, apps: Apps, onnxruntime: tuple[str, ...]
) -> None:
    board, bundle = boards.board("a"), bundles / "x86-cpu-int8"
    file = boards.devices(apps.bin, a={"engines": {"onnxruntime": onnxruntime[1]}})
    found = shell("verify", bundle, "--on", "a", "--devices", file, "--json").json()
    assert found == apps.json("edgetl-verify", bundle, *onnxruntime)
    assert board.left_behind() == []


def test_two_devices_measure_side_by_side_and_nothing_stays(
    shell: Shell, boards: Loopback, bundles: Path, tmp_path: Path
) -> None:
    a, b, bundle = boards.board("a"), boards.board("b"), bundles / "null-int8"
    table = tmp_path / "times.csv"
    done = shell("bench", bundle, *on(boards, "a", "b"), *QUICK, "--json", "--csv", table)
    assert done.code == 0, done.err
    for each, name in zip(done.json()["devices"], "ab", strict=True):
        assert (each["device"], each["error"]) == (name, "")
        (row,) = each["result"]["bundles"]
        assert row["bundle"] == str(bundle)
        assert row["bundle_sha256"] == file_digest(bundle / "manifest.json")
        assert 0 < row["p50_ms"]["value"] < 100
    assert [line.partition(",")[0] for line in table.read_text().splitlines()] == ["device", "a", "b"]
    assert (a.left_behind(), b.left_behind()) == ([], [])


def test_of_a_folder_a_device_takes_the_bundles_that_fit_it(shell: Shell, boards: Loopback, bundles: Path) -> None:
    boards.board("a")
    file = boards.devices(Path(os.environ["EDGETL_APPS"]), a={"target": "null"})
    done = shell("bench", bundles, "--on", "a", "--devices", file, *QUICK, "--json")
    assert [row["bundle"].rpartition("/")[2] for row in done.json()["bundles"]] == ["null-float32", "null-int8"]
    assert "arm64-cpu-int8: target arm64-cpu needs aarch64; the device is x86_64" in done.err
    assert "x86-cpu-int8: for x86-cpu; the device is null" in done.err


def test_a_build_measured_on_a_device_is_in_its_report(
    shell: Shell, boards: Loopback, chain: Chain, apps: Apps, onnxruntime: tuple[str, ...], tmp_path: Path
) -> None:
    board, out = boards.board("a"), chain.copy_out(tmp_path / "build")
    file = boards.devices(apps.bin, a={"target": "x86-cpu", "engines": {"onnxruntime": onnxruntime[1]}})
    done = shell("bench", chain.recipe, "--out", out, "--on", "a", "--devices", file, *QUICK)
    assert done.code == 0, done.err
    (device,) = json.loads((out / "report.json").read_text(encoding="utf-8"))["devices"]
    assert (device["match"], device["target"], device["file"]) == ("this bundle", "x86-cpu", "a.json")
    assert "Measured on devices" in (out / "report.html").read_text(encoding="utf-8")
    assert board.left_behind() == []


def test_a_bundle_is_finished_on_its_device_and_the_engine_comes_back(
    shell: Shell, boards: Loopback, bundles: Path, apps: Apps, tmp_path: Path
) -> None:
    board, bundle = boards.board("jetson"), Path(shutil.copytree(bundles / "nvidia-gpu-float32", tmp_path / "bundle"))
    before = folder_digests(bundle)
    changing = finisher(tmp_path / "changing", '(folder / "labels.txt").write_text("another")')
    command = ("compile", "--finish", bundle, "--on", "jetson", "--devices")
    file = boards.devices(apps.bin, jetson={"python": changing})
    shell.refuses(1, ["what came back is not this bundle"], *command, file)
    assert folder_digests(bundle) == before

    file = boards.devices(apps.bin, jetson={"python": finisher(tmp_path / "python")})
    done = shell(*command, file)
    assert (done.code, done.out) == (0, f"{bundle}: finished for jetson: model.engine\n"), done.err
    manifest = read_bundle(bundle).manifest
    assert (manifest.compiled.finished, manifest.compiled.backend_version) == (True, "10.3")
    after = folder_digests(bundle)
    assert {name for name in after if after[name] != before.get(name)} == {"manifest.json", "model.engine"}
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("edgetl")) == []
    assert board.left_behind() == []


def test_finishing_without_edgetl_there_says_what_to_install(
    shell: Shell, boards: Loopback, bundles: Path, apps: Apps
) -> None:
    boards.board("jetson")
    file = boards.devices(apps.bin, jetson={"python": "/nowhere/python"})
    command = ("compile", "--finish", bundles / "nvidia-gpu-float32", "--on", "jetson", "--devices", file)
    shell.refuses(1, ["jetson: finishing needs edgetl", "/nowhere/python"], *command)


def test_an_unknown_host_key_is_refused_and_stays_unknown(shell: Shell, boards: Loopback, bundles: Path) -> None:
    board = boards.board("a")
    boards.known.write_text("")
    said = shell.refuses(
        1, ["a: unknown host key, refused", "ssh -F", "fingerprint"], "verify", bundles / "null-int8", "--on", "a"
    )
    assert str(boards.config) in said
    assert boards.known.read_text() == ""
    assert board.left_behind() == []


def test_a_host_that_answers_nothing_or_takes_no_key_is_one_line(shell: Shell, boards: Loopback, bundles: Path) -> None:
    boards.board("a")
    boards.add_host("gone", 9)
    shell.refuses(1, ["gone: cannot connect", "Connection refused"], "verify", bundles / "null-int8", "--on", "gone")
    (boards.folder / "authorized_keys").write_text("")
    shell.refuses(1, ["a: ssh was refused: no key is accepted"], "verify", bundles / "null-int8", "--on", "a")


def test_a_device_runs_one_job_at_a_time_and_names_its_owner(shell: Shell, boards: Loopback, bundles: Path) -> None:
    board = boards.board("a")
    device = Device("a", "a", folder=str(board.folder))
    with held(device, Ssh(boards.config), threading.Event()) as there:
        shell.refuses(1, ["a: in use by ", "one job runs at a time"], "verify", bundles / "null-int8", *on(boards, "a"))
        assert [Path(there.folder).name] == board.left_behind(0)
    assert shell("bench", bundles / "null-int8", *on(boards, "a"), *QUICK).code == 0
    assert board.left_behind() == []


def test_what_a_killed_job_left_is_removed_by_the_next(shell: Shell, boards: Loopback, bundles: Path) -> None:
    board = boards.board("a")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for name in (f"{os.getpid()}.1.{boot}", f"{os.getpid()}.{began(os.getpid())}.another-boot", f"999999999.7.{boot}"):
        (board.folder / f"edgetl-job.eve@host.{name}.0123").mkdir()
    living = board.folder / f"edgetl-job.eve@host.{os.getpid()}.{began(os.getpid())}.{boot}.0123"
    living.mkdir()
    shell.refuses(
        1, [f"in use by eve@host (process {os.getpid()} there)"], "verify", bundles / "null-int8", *on(boards, "a")
    )
    living.rmdir()
    assert shell("bench", bundles / "null-int8", *on(boards, "a"), *QUICK).code == 0
    assert board.left_behind() == []


def began(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]


def test_another_architecture_is_refused_by_name(shell: Shell, boards: Loopback, bundles: Path, tmp_path: Path) -> None:
    wrapper = tmp_path / "tools"
    wrapper.mkdir()
    (wrapper / "uname").write_text("#!/bin/sh\necho aarch64\n")
    (wrapper / "uname").chmod(0o755)
    boards.board("x")
    boards.board("arm", path=f"{wrapper}:{os.environ['PATH']}")
    shell.refuses(
        1,
        ["x: ", "target arm64-cpu needs aarch64; the device is x86_64"],
        "verify",
        bundles / "arm64-cpu-int8",
        *on(boards, "x"),
    )
    done = shell("verify", bundles / "arm64-cpu-int8", *on(boards, "arm"))
    # where an ARM build lies in the checkout it is taken, and the machine cannot start it
    assert done.code == 1
    assert "expected edgetl-verify for aarch64" in done.err or "does not start there (aarch64)" in done.err


def test_an_engine_that_is_not_there_is_one_line(shell: Shell, boards: Loopback, bundles: Path, apps: Apps) -> None:
    board, bundle = boards.board("a"), bundles / "x86-cpu-int8"
    file = boards.devices(apps.bin, a={"engines": {"onnxruntime": "/nowhere/it's.so"}})
    words = ["a: devices.yaml: engines.onnxruntime: no such file on the device: /nowhere/it's.so"]
    shell.refuses(1, words, "bench", bundle, "--on", "a", "--devices", file)
    if "onnxruntime" in apps("edgetl-bench", "--version").stdout:
        shell.refuses(1, ["a: no library of onnxruntime there", "`engines`"], "bench", bundle, *on(boards, "a"), *QUICK)
    assert board.left_behind() == []


def test_names_that_a_shell_would_run_are_only_names(shell: Shell, boards: Loopback, bundles: Path, apps: Apps) -> None:
    board = boards.board("a")
    odd = board.folder / "it's $(touch x) `touch y`; touch z"
    odd.mkdir()
    file = boards.devices(apps.bin, a={"folder": str(odd), "environment": {"NAME": "$(touch v)'; touch w"}})
    done = shell("bench", bundles / "null-int8", "--on", "a", "--devices", file, *QUICK)
    assert done.code == 0, done.err
    assert list(odd.iterdir()) == []
    assert not [path for folder in (board.home, board.folder, Path()) for path in folder.glob("[v-z]")]


def tools_only(folder: Path, names: tuple[str, ...] = TOOLS) -> str:
    """A PATH with nothing but these."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or name)
    return str(folder)


def test_a_device_with_nothing_but_a_shell_and_six_tools_is_enough(
    shell: Shell, boards: Loopback, bundles: Path, tmp_path: Path
) -> None:
    board = boards.board("small", path=tools_only(tmp_path / "tools"))
    done = shell("bench", bundles / "null-int8", *on(boards, "small"), *QUICK)
    assert done.code == 0, done.err
    assert board.left_behind() == []


def test_a_device_without_the_tools_is_one_line(shell: Shell, boards: Loopback, bundles: Path, tmp_path: Path) -> None:
    boards.board("bare", path=tools_only(tmp_path / "tools", ("sh", "cat")))
    shell.refuses(1, ["bare: ", "mkdir", "not found"], "verify", bundles / "null-int8", *on(boards, "bare"))


def test_a_full_disk_is_one_line_and_the_same_command_works_with_room(
    shell: Shell, boards: Loopback, bundles: Path
) -> None:
    board = boards.board("a")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(board.folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        shell.refuses(1, ["a: no space left on the device"], "bench", bundles / "null-int8", *on(boards, "a"), *QUICK)
        assert board.left_behind() == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(board.folder)], check=True)
        assert shell("bench", bundles / "null-int8", *on(boards, "a"), *QUICK).code == 0
    finally:
        subprocess.run(["umount", str(board.folder)], check=True)


def test_kept_files_are_not_copied_again_unless_they_changed(shell: Shell, boards: Loopback, bundles: Path) -> None:
    board = boards.board("a")
    command = ("bench", bundles / "null-int8", *on(boards, "a"), *QUICK, "--keep")
    assert shell(*command).code == 0
    files = {path: path.stat() for path in board.home.rglob("*") if path.is_file()}
    (labels,) = [path for path in files if path.name == "labels.txt"]
    content = labels.read_bytes()
    labels.write_bytes(content.swapcase())
    assert shell(*command).code == 0
    assert labels.read_bytes() == content
    assert {p: s.st_mtime_ns for p, s in files.items() if p != labels} == {
        path: path.stat().st_mtime_ns for path in files if path != labels
    }
    assert board.left_behind() == []


def dropped(board: Board, when: Callable[[], object]) -> threading.Thread:
    """Drops the connection after `when` returned."""

    def wait_and_drop() -> None:
        when()
        board.drop()

    thread = threading.Thread(target=wait_and_drop)
    thread.start()
    return thread


def taken(board: Board) -> None:
    """Until a run copies its files there."""
    while not any(board.folder.glob("*/apps")):
        time.sleep(0.005)


def test_a_dropped_connection_is_one_line_ends_the_run_there_and_costs_no_other_result(
    shell: Shell, boards: Loopback, bundles: Path
) -> None:
    a, b, bundle = boards.board("a"), boards.board("b"), bundles / "null-int8"
    command = ("bench", bundle, *on(boards, "a", "b"), *QUICK, "--json")
    thread = dropped(b, lambda: taken(b))
    first = shell(*command)
    thread.join()
    assert first.code == 1
    assert [line for line in first.lines if "b: " in line] == [
        "edgetl: b: the connection was lost; run the same command again"
    ]
    result = first.json()["devices"][0]["result"]
    again = shell(*command)
    assert again.code == 0, again.err
    assert again.json()["devices"][0]["result"] == result, "measured once"
    assert (a.connections(), b.connections()) == (1, 2)
    assert shell(*command).json()["devices"][0]["result"] != result, "a finished command measures anew"


def test_a_run_is_ended_there_when_its_connection_drops(shell: Shell, boards: Loopback, bundles: Path) -> None:
    board = boards.board("a")
    thread = dropped(board, board.wait_for_program)
    done = shell("bench", bundles / "null-int8", *on(boards, "a"), *LONG)
    thread.join()
    assert (done.code, done.lines) == (1, ["edgetl: a: the connection was lost; run the same command again"])
    assert board.left_behind() == []
    assert board.programs() == []


def test_a_run_that_takes_too_long_is_ended_there(shell: Shell, boards: Loopback, bundles: Path) -> None:
    board = boards.board("a")
    limit = ("--time-limit", "1")
    shell.refuses(
        1, ["a: no result after 1 s", "--time-limit"], "bench", bundles / "null-int8", *on(boards, "a"), *LONG, *limit
    )
    assert board.left_behind() == []
    assert board.programs() == []


def test_an_interrupt_ends_the_run_there(boards: Loopback, bundles: Path) -> None:
    board = boards.board("a")
    # a test run in the background hands on that SIGINT is ignored
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from edgetl.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "bench", bundles / "null-int8", *on(boards, "a"), *LONG]
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)
    board.wait_for_program()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert board.left_behind(2) == []
    assert board.programs() == []


@pytest.mark.slow
def test_drops_at_random_moments_lose_no_result_and_leave_nothing(
    shell: Shell, boards: Loopback, bundles: Path
) -> None:
    board, chance = boards.board("a"), random.Random(0)
    command = ("bench", bundles / "null-int8", *on(boards, "a"), *QUICK, "--json")
    began_at = time.monotonic()
    assert shell(*command).code == 0
    usual_s = time.monotonic() - began_at
    for _ in range(DROPS):
        timer = threading.Timer(chance.uniform(0, usual_s), board.drop)
        timer.start()
        done = shell(*command)
        timer.join()
        assert done.code == 0 or done.lines[-1].startswith("edgetl: a: "), done.err
        assert len(done.lines) <= 1
        assert board.left_behind() == []
        assert board.programs() == []
        assert shell(*command).json()["bundles"][0]["p50_ms"]["value"] > 0
