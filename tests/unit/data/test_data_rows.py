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

from edgetl.data.rows import Rows, compute_rows
from edgetl.progress import _ignore


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


def compute(folder: Path, source: Source, count: int = 7, batch_size: int = 3) -> list[Rows]:
    return compute_rows([folder / "a.npy", folder / "b.npy"], count, source, batch_size=batch_size, advance=_ignore)


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
    (tmp_path / "b.json").unlink()
    before = (tmp_path / "a.npy").stat().st_mtime_ns
    compute(tmp_path, Source())
    assert (tmp_path / "a.npy").stat().st_mtime_ns == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": 99, "of": 7}', '{"rows": 7, "of": 8}'])
def test_a_damaged_count_means_nothing_is_there(tmp_path: Path, text: str) -> None:
    compute(tmp_path, Source())
    (tmp_path / "a.json").write_text(text)
    again = Source()
    compute(tmp_path, again)
    assert again.asked == list(range(7))


def test_a_truncated_file_is_computed_again(tmp_path: Path) -> None:
    compute(tmp_path, Source())
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:140])
    assert compute(tmp_path, Source())[0].read([6]).tolist() == [[6.0, 6.5]]


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
        "from edgetl.data.rows import compute_rows\n"
        "from edgetl.errors import StoreError\n"
        "from edgetl.store import disk_errors\n"
        "folder = Path(sys.argv[1])\n"
        "ones = lambda numbers: [np.ones((len(numbers), 50_000), np.float32)]\n"
        "try:\n"
        "    with disk_errors(folder):\n"
        "        compute_rows([folder / 'a.npy'], 40, ones, batch_size=8, advance=lambda *_: None)\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(small_disk)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no space left on the device" in done.stdout
    assert json.loads((small_disk / "a.json").read_text()) == {"rows": 16, "of": 40}


def test_a_kill_while_a_damaged_file_is_made_again_leaves_no_count_of_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(tmp_path, Source())
    (tmp_path / "a.npy").write_bytes(b"torn")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgetl.data.rows.write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            compute(tmp_path, Source())
    assert compute(tmp_path, Source())[0].read([6]).tolist() == [[6.0, 6.5]]


def test_values_beyond_float16_are_clipped_to_it(tmp_path: Path) -> None:
    rows = compute_rows(
        [tmp_path / "a.npy"], 1, lambda _: [np.array([[1e9, -1e9, 3.0]])], batch_size=4, advance=_ignore
    )
    assert rows[0].read().tolist() == [[65504.0, -65504.0, 3.0]]


@settings(max_examples=30, deadline=None)
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
