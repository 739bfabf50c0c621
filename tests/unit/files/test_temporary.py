"""Temporary folders are gone with their run; those of killed runs go with the next one, and nobody else's."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgetl.errors import StoreError
from edgetl.files.temporary import abandoned, temporary_folder

HOLD = (
    "import sys, time; from pathlib import Path; from edgetl.files.temporary import temporary_folder\n"
    "with temporary_folder(Path(sys.argv[1])) as folder:\n"
    "    (folder / 'image.npy').write_bytes(b'x'); print(folder, flush=True); time.sleep(60)\n"
)


def aged(folder: Path) -> Path:
    """As if it had been made two minutes ago."""
    os.utime(folder, (time.time() - 120,) * 2)
    return folder


def test_it_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), temporary_folder(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_sigterm_leftovers_of_a_killed_run_go_with_the_next_one_and_not_while_it_lives(tmp_path: Path) -> None:
    """Case sigterm-leftovers: SIGKILL leaves the folder; a living process keeps its own, however old it is."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = aged(Path(process.stdout.readline().strip()))
        assert abandoned(tmp_path) == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert abandoned(tmp_path) == [left]
    with temporary_folder(tmp_path) as other:
        assert list(tmp_path.iterdir()) == [other]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    mine = ("edgetl-scratch-mine", "edgetl-build", "edgetl-scratch-0123456", "edgetl-scratch-01234567.txt")
    for name in mine:
        (tmp_path / name).mkdir()
        aged(tmp_path / name)
    (tmp_path / "edgetl-scratch-abcdefgh").write_text("a file")
    (tmp_path / "edgetl-scratch-abcdefgi").symlink_to(tmp_path / mine[0])
    (tmp_path / "edgetl-scratch-abcdefgj").mkdir()  # made this very moment
    assert abandoned(tmp_path) == []


def test_library_errors_escape_a_full_disk_names_the_place_of_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case library-errors-escape: numpy says "12288 requested and 8064 written", without an error number."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = rf"{tmp_path}: no space left .* for temporary files; .* TMPDIR"
    with pytest.raises(StoreError, match=told), temporary_folder() as folder:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "image.npy"))
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr("edgetl.files.temporary.shutil.disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match="for temporary files"), temporary_folder():
        raise OSError("12288 requested and 8064 written")
    with pytest.raises(OSError, match="elsewhere"), temporary_folder():
        raise OSError(errno.ENOENT, "elsewhere", "/elsewhere")
