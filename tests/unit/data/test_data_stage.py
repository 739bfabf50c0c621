"""The stage writes one file, decodes each used image once, and says what it skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.data.split import keep_split, make_split, read_split
from edgetl.errors import DataError
from edgetl.recipes.data import Data
from edgetl.types import Advance


class Recorder:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: dict[str, int] = {}
        self.totals: dict[str, int | None] = {}

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        self.totals[label] = total
        self.steps[label] = 0

        def advance(steps: int = 1, detail: str = "") -> None:
            self.steps[label] += steps

        yield advance

    def note(self, text: str) -> None:
        self.notes.append(text)


def images(root: Path, per_class: int) -> Path:
    for k, name in enumerate(("a", "b")):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            noise = np.random.default_rng(10 * k + i).integers(0, 255, (5, 5, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / name / f"{i}.png")
    return root


def test_it_writes_a_split_and_reports_progress(tmp_path: Path) -> None:
    images(tmp_path / "data", 4)
    out, progress = tmp_path / "out", Recorder()
    out.mkdir()
    keep_split(make_split(Data(train="data", shots=1), tmp_path, progress), out, progress)
    assert [path.name for path in out.iterdir()] == ["split.json"]
    split = read_split(out / "split.json")
    assert (len(split.shots), len(split.val)) == (2, 6)
    assert progress.totals == {"hashing images": 8, "drawing shots": 2, "checking validation images": 6}
    assert progress.steps == progress.totals
    assert progress.notes == []


def test_it_notes_what_it_skips_and_does_not_flood(tmp_path: Path) -> None:
    images(tmp_path / "data", 4)
    for i in range(7):
        (tmp_path / "data" / "a" / f"x{i}.png").write_text(f"no picture {i}")
    progress = Recorder()
    keep_split(make_split(Data(train="data", shots=1), tmp_path, progress), tmp_path, progress)
    assert len(progress.notes) == 6
    assert progress.notes[0].startswith(f"skipped {tmp_path}/data/a/x")
    assert progress.notes[-1] == "skipped 2 more; all are listed in split.json"
    assert len(read_split(tmp_path / "split.json").skipped) == 7


def test_it_writes_nothing_when_it_refuses(tmp_path: Path) -> None:
    images(tmp_path / "data", 1)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError):
        keep_split(make_split(Data(train="data", shots=1), tmp_path, Recorder()), tmp_path / "out", Recorder())
    assert not list((tmp_path / "out").iterdir())
