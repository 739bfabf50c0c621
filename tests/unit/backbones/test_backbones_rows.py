"""Rows on disk that are computed once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetl.backbones.rows import Rows, compute_rows
from edgetl.files.durable import read_sealed
from edgetl.types.progress import _ignore


class Source:
    """Gives row i the values i, i + 1/2; counts what it was asked for; fails where it is told to."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.asked: list[int] = []
        self._fail_at = fail_at

    def __call__(self, numbers: range) -> Sequence[np.ndarray]:
        if self._fail_at is not None and self._fail_at in numbers:
            raise KeyboardInterrupt
        self.asked += numbers
        values = np.array(numbers, np.float32)[:, None] + np.array([[0.0, 0.5]], np.float32)
        return [values, values * 2]


def compute(
    folder: Path, source: Source, count: int = 7, batch_size: int = 3, notes: list[str] | None = None
) -> list[Rows]:
    paths, told = [folder / "a.npy", folder / "b.npy"], [] if notes is None else notes
    return compute_rows(paths, count, source, batch_size=batch_size, advance=_ignore, note=told.append)


def test_rows_come_back_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    one, two = compute(tmp_path, Source())
    assert one.shape == (7, 2)
    assert len(one) == 7
    assert one.read([5, 0, 5]).tolist() == [[5.0, 5.5], [0.0, 0.5], [5.0, 5.5]]
    assert two.read().dtype == np.float32
    assert np.array_equal(two.read(), 2 * one.read())


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    compute(tmp_path, Source())
    again = Source()
    rows = compute(tmp_path, again)
    assert again.asked == []
    assert rows[0].read([6]).tolist() == [[6.0, 6.5]]


def test_a_killed_run_continues_behind_its_last_batch(tmp_path: Path) -> None:
    first = Source(fail_at=4)
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, first)
    second = Source()
    rows = compute(tmp_path, second)
    assert (first.asked, second.asked) == ([0, 1, 2], [3, 4, 5, 6])
    assert np.array_equal(rows[0].read(), compute(tmp_path / "whole", Source())[0].read())


def test_one_of_two_that_is_complete_is_left_alone(tmp_path: Path) -> None:
    compute(tmp_path, Source())
    (tmp_path / "b.digests").unlink()
    before = (tmp_path / "a.npy").stat().st_mtime_ns
    compute(tmp_path, Source())
    assert (tmp_path / "a.npy").stat().st_mtime_ns == before


@pytest.mark.parametrize("text", ["", "{", "edgetl sealed 1 00"])
def test_damaged_digests_mean_that_nothing_is_there(tmp_path: Path, text: str) -> None:
    compute(tmp_path, Source())
    (tmp_path / "a.digests").write_text(text)
    again, notes = Source(), list[str]()
    compute(tmp_path, again, notes=notes)
    assert again.asked == list(range(7))
    (note,) = notes
    assert note.endswith("/a.npy: damaged on disk; computed again")


def test_a_truncated_file_is_computed_again_from_where_it_ends(tmp_path: Path) -> None:
    compute(tmp_path, Source())
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:140])
    again = Source()
    assert compute(tmp_path, again)[0].read([6]).tolist() == [[6.0, 6.5]]
    assert again.asked == list(range(3, 7))


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["a.npy", "b.npy", "a.digests"])
def test_cache_bit_flip_whichever_bit_it_is_the_same_rows_come_out(tmp_path: Path, name: str) -> None:
    """Case cache-bit-flip: every 61st bit of the arrays and of their digests."""
    compute(tmp_path, Source())
    whole = {file: (tmp_path / file).read_bytes() for file in ("a.npy", "b.npy", "a.digests")}
    for bit in range(0, 8 * len(whole[name]), 61):
        flip(tmp_path / name, bit)
        notes: list[str] = []
        rows = compute(tmp_path, Source(), notes=notes)
        assert len(notes) == 1
        assert np.array_equal(rows[1].read(), 2 * rows[0].read())
        assert {file: (tmp_path / file).read_bytes() for file in whole} == whole


def test_of_a_damaged_array_only_the_batch_at_fault_is_computed_again(tmp_path: Path) -> None:
    compute(tmp_path, Source())
    flip(tmp_path / "b.npy", 8 * (128 + 4 * 4))  # of row 4, behind the header
    again, notes = Source(), list[str]()
    compute(tmp_path, again, notes=notes)
    assert again.asked == [3, 4, 5]
    assert notes[0].endswith("/b.npy: 1 of 3 batches damaged on disk; computed again")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a small disk with")
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_clear_error_and_no_end_of_the_process(small_disk: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from edgetl.backbones.rows import compute_rows\n"
        "from edgetl.errors import StoreError\n"
        "from edgetl.store.results import disk_errors\n"
        "folder = Path(sys.argv[1])\n"
        "ones = lambda numbers: [np.ones((len(numbers), 50_000), np.float32)]\n"
        "try:\n"
        "    with disk_errors(folder):\n"
        "        compute_rows([folder / 'a.npy'], 40, ones, batch_size=8, advance=lambda *_: None, note=print)\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(small_disk)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no space left on the device" in done.stdout
    kept = json.loads(read_sealed(small_disk / "a.digests"))["batches"]
    assert [digest is not None for digest in kept] == [True, True, False, False, False]


def test_a_kill_while_a_damaged_file_is_made_again_leaves_no_count_of_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(tmp_path, Source())
    (tmp_path / "a.npy").write_bytes(b"torn")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgetl.backbones.rows.write_sealed", killed)
        with pytest.raises(KeyboardInterrupt):
            compute(tmp_path, Source())
    assert compute(tmp_path, Source())[0].read([6]).tolist() == [[6.0, 6.5]]


def test_values_beyond_float16_are_clipped_to_it(tmp_path: Path) -> None:
    rows = compute_rows(
        [tmp_path / "a.npy"], 1, lambda _: [np.array([[1e9, -1e9, 3.0]])], batch_size=4, advance=_ignore, note=print
    )
    assert rows[0].read().tolist() == [[65504.0, -65504.0, 3.0]]


@settings(max_examples=12, deadline=None)
@given(count=st.integers(1, 20), batch_size=st.integers(1, 8), killed_at=st.integers(0, 19))
def test_a_run_in_two_pieces_gives_the_bytes_of_one_in_one_go(
    tmp_path_factory: pytest.TempPathFactory, count: int, batch_size: int, killed_at: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    if killed_at < count:
        with pytest.raises(KeyboardInterrupt):
            compute(folder, Source(fail_at=killed_at), count, batch_size)
    compute(folder, Source(), count, batch_size)
    compute(folder / "whole", Source(), count, batch_size)
    assert (folder / "a.npy").read_bytes() == (folder / "whole" / "a.npy").read_bytes()
