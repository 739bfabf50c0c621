"""The script that holds a device, in every shell that is here, and the processes that it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgetl.devices.connection import RUN, hold_script

SHELLS = ("dash", "bash", "bash --posix", "busybox sh")


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"no {words[0]} here")
    return words


class Holder:
    def __init__(self, shell: list[str], folder: Path, owner: str = "me@here") -> None:
        command = [*shell, "-c", hold_script(), "edgetl", owner, "token", str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.first = self.process.stdout.readline().split()

    def end(self, last: str = "") -> str:
        """Close its stdin; the rest of what it says."""
        out, _ = self.process.communicate(last, timeout=20)
        return out


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("last", ["", "\n\nbye\n"], ids=["lost", "bye"])
def test_the_folder_exists_until_the_other_side_is_gone(shell: list[str], tmp_path: Path, last: str) -> None:
    holder = Holder(shell, tmp_path)
    assert holder.first[:3] == ["edgetl-token", "ready", os.uname().machine]
    folder = Path(holder.first[3])
    assert (folder.parent, folder.stat().st_mode & 0o777) == (tmp_path, 0o700)
    assert "edgetl-token left" in holder.end(last)
    assert list(tmp_path.iterdir()) == []


def test_a_second_one_is_refused_with_the_name_of_the_first(shell: list[str], tmp_path: Path) -> None:
    first, second = Holder(shell, tmp_path, "ann@desk"), Holder(shell, tmp_path, "bob@desk")
    assert second.first == ["edgetl-token", "busy", "ann@desk", str(first.process.pid)]
    second.end()
    assert [path.name.split(".")[1] for path in tmp_path.iterdir()] == ["ann@desk"]
    first.end()


def test_of_many_that_enter_at_once_at_most_one_stays(shell: list[str], tmp_path: Path) -> None:
    script = [*shell, "-c", hold_script(), "edgetl"]
    many = [
        subprocess.Popen(
            [*script, f"{name}@desk", name, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in "dacb"
    ]
    words = [each.stdout.readline().split()[1] for each in many if each.stdout]
    assert words.count("ready") == 1
    assert words.count("busy") == 3
    for each in many:
        each.communicate(timeout=20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("leads", [True, False], ids=["OpenSSH", "dropbear"])
def test_a_program_is_ended_whether_or_not_it_has_a_process_group(
    shell: list[str], tmp_path: Path, leads: bool
) -> None:
    holder = Holder(shell, tmp_path)
    folder = Path(holder.first[3])
    command = [*shell, "-c", RUN, "edgetl", str(folder), "1", "mark", "sleep", "1000"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=leads)
    program = folder / "run.1.program"
    assert soon(lambda: program.is_file() and program.read_text().strip() != "")
    number = int(program.read_text())
    holder.end()
    run.communicate(timeout=20)
    assert soon(lambda: not Path(f"/proc/{number}").exists())
    assert list(tmp_path.iterdir()) == []


def test_the_status_of_a_program_is_that_of_the_run(tmp_path: Path) -> None:
    command = ["sh", "-c", RUN, "edgetl", str(tmp_path), "1", "mark", "sh", "-c", "echo said; exit 7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "mark\nsaid\n")
    assert list(tmp_path.iterdir()) == []
