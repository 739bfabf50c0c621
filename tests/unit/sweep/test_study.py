"""Finished trials in Optuna's SQLite file: read back as written, readable by Optuna, refused when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.errors import StoreError
from edgetl.sweep.row import Row, failed
from edgetl.sweep.space import Axis, Range, Space
from edgetl.sweep.study import Study

SPACE = Space((Axis("adapt.freeze", ("auto", ["a", "b"])), Axis("adapt.epochs", Range(low=1, high=9))))
ROWS = (
    Row(0, {"adapt.freeze": ["a", "b"], "adapt.epochs": 3}, "measured", score=0.5, p50_ms=2.0, size_bytes=7),
    failed(1, {"adapt.freeze": "auto", "adapt.epochs": 4}, "no such thing"),
    Row(2, {"adapt.freeze": "auto", "adapt.epochs": 5}, "not measured", "no GPU here"),
)


def write(path: Path) -> Study:
    study = Study(path, SPACE)
    for row in ROWS:
        study.add(row)
    return study


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path / "study.db").close()
    assert Study(tmp_path / "study.db", SPACE).rows == dict(enumerate(ROWS))


def test_optuna_itself_reads_the_file(tmp_path: Path) -> None:
    import optuna

    write(tmp_path / "study.db").close()
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/study.db")
    (best,) = study.best_trials
    assert (best.values, best.params) == ([0.5, 2.0, 7.0], {"adapt.freeze": '["a", "b"]', "adapt.epochs": 3})


def test_failed_trials_can_be_forgotten_and_the_others_stay(tmp_path: Path) -> None:
    study = write(tmp_path / "study.db")
    assert study.forget_failed() == 1
    assert sorted(study.rows) == [0, 2]
    study.close()
    assert Study(tmp_path / "study.db", SPACE).rows == {0: ROWS[0], 2: ROWS[2]}


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"study\.db: damaged, .*; remove it"):
        Study(tmp_path / "study.db", SPACE)
