"""What is kept on disk comes back to the bit, or is computed again and said."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.errors import StoreError
from edgetl.files.durable import Damaged, read_sealed, sync_below, write_bytes, write_sealed
from edgetl.store.cache import Cache


def stop(*_: object) -> Any:
    raise AssertionError("this was kept")


def test_arrays_and_json_come_back_to_the_bit_without_computing(tmp_path: Path) -> None:
    cache = Cache(tmp_path, stop)
    values = np.array([[0.1, np.nan], [np.inf, -0.0]])
    cache.array({"what": "array"}, lambda: values)
    assert cache.array({"what": "array"}, stop).tobytes() == values.tobytes()
    told = {"loss": 0.1 + 0.2, "epochs": [1, 2]}
    assert cache.json({"what": "json"}, lambda: told) == cache.json({"what": "json"}, stop) == told


def test_whatever_it_depends_on_makes_it_anew(tmp_path: Path) -> None:
    assert Cache(tmp_path, stop, {"model": "a"}).json({"seed": 0}, lambda: 1) == 1
    assert Cache(tmp_path, stop, {"model": "b"}).json({"seed": 0}, lambda: 2) == 2
    assert Cache(tmp_path, stop, {"model": "a"}).json({"seed": 1}, lambda: 3) == 3


def test_cache_bit_flip_is_noticed_said_in_one_line_and_computed_again(tmp_path: Path) -> None:
    """Case cache-bit-flip: every 41st bit of a kept result, header and content."""
    notes: list[str] = []
    cache = Cache(tmp_path / "judged", notes.append)
    cache.array({}, lambda: np.arange(4.0))
    (path,) = (tmp_path / "judged").iterdir()
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 41):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        notes.clear()
        assert cache.array({}, lambda: np.arange(4.0)).tolist() == [0, 1, 2, 3]
        assert notes == [f"{tmp_path.name}/judged/{path.name}: damaged on disk; computed again"]
        assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"edgetl sealed 1", b"no such header\n"])
def test_a_cut_or_foreign_file_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Damaged, match="file: damaged on disk"):
        read_sealed(tmp_path / "file")


def test_a_full_disk_is_the_caches_error_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("edgetl.files.durable.os.fsync", full)
    with pytest.raises(StoreError, match="no space left on the device"):
        Cache(tmp_path, stop).json({}, lambda: 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_bytes, write_sealed])
def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], None]
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        order.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr("edgetl.files.durable.os.fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write(tmp_path / "file", b"bytes")
    assert order == [f"{tmp_path}/file.part", "rename", str(tmp_path)]


def test_everything_in_a_folder_is_synced_and_the_folder_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_text("x")
    order: list[str] = []

    def synced(descriptor: int) -> None:
        order.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr("edgetl.files.durable.os.fsync", synced)
    sync_below(tmp_path)
    assert set(order) == {str(tmp_path), str(tmp_path / "inner"), str(tmp_path / "inner" / "file")}
    assert order[-1] == str(tmp_path)
