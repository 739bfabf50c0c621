"""The finished trials of a sweep in an SQLite file of Optuna's, which its own tools (optuna-dashboard) can open.

Only finished trials are in it, each written in one transaction: a trial is there with all its results or not at all.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgetl.errors import StoreError
from edgetl.files.documents import as_json
from edgetl.files.json_file import first_problem
from edgetl.sweep.plan import DIRECTIONS, distributions, params_of
from edgetl.sweep.row import Row
from edgetl.sweep.space import Space

FILE = "study.db"
_ROW = "edgetl"


class Study:
    """Rows by number, in `path`. One process writes it."""

    def __init__(self, path: Path, space: Space) -> None:
        """Raises StoreError for a file that is not such a study."""
        self._path, self._space = path, space
        self._study = self._open()
        self.rows: dict[int, Row] = {}
        for trial in self._study.get_trials(deepcopy=False):
            row = self._row(trial.user_attrs.get(_ROW))
            self.rows[row.number] = row

    def add(self, row: Row) -> None:
        """Record a finished trial."""
        from optuna.trial import TrialState, create_trial

        measured = row.state == "measured"
        trial = create_trial(
            params=params_of(self._space, row.settings),
            distributions=distributions(self._space),
            state=TrialState.COMPLETE if measured else TrialState.FAIL,
            values=list(row.values) if measured else None,
            user_attrs={_ROW: as_json(row)},
        )
        self._study.add_trial(trial)
        self.rows[row.number] = row

    def forget_failed(self) -> int:
        """Remove the failed trials, so that they run again; returns how many there were."""
        kept = [row for row in self.rows.values() if row.state != "failed"]
        count = len(self.rows) - len(kept)
        if count:
            aside = self._path.with_name(self._path.name + ".new")
            aside.unlink(missing_ok=True)
            other = Study(aside, self._space)
            for row in kept:
                other.add(row)
            other.close()
            self.close()
            aside.replace(self._path)
            self._study, self.rows = self._open(), other.rows
        return count

    def close(self) -> None:
        self._study._storage.remove_session()
        self._storage.engine.dispose()

    def _open(self) -> Any:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            self._storage = optuna.storages.RDBStorage(f"sqlite:///{self._path}")
            study = optuna.create_study(
                study_name="edgetl", storage=self._storage, directions=DIRECTIONS, load_if_exists=True
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # experimental
                study.set_metric_names(["accuracy", "latency_ms", "size_bytes"])
        except (SQLAlchemyError, RuntimeError) as error:
            raise StoreError(f"{self._path}: damaged, or not a study of this version of Optuna; remove it") from error
        return study

    def _row(self, value: Any) -> Row:
        try:
            return TypeAdapter(Row).validate_python(value)
        except ValidationError as error:
            raise StoreError(f"{self._path}: not a study of a sweep: {first_problem(error)}; remove it") from error
