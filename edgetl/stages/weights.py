"""The weights of one run: found once, recorded in the output folder, opened only for a stage that really runs.

The digest identifies the weights of a finished build. It is kept even if the folder of weights is not given again or no
longer exists: a stored stage needs neither the folder nor a network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgetl.backbones.weights import locate
from edgetl.errors import UsageError, WeightsError
from edgetl.files.digest import value_digest
from edgetl.files.durable import write_text
from edgetl.recipes.job import Job
from edgetl.recipes.recipe import Backbone
from edgetl.store.results import disk_errors
from edgetl.types import Progress, WeightSource

MEMORY_FILE = "weights.json"
_SCHEMA = 1
_MAX_BYTES = 1_000_000


class Weights:
    """The pretrained weights of a recipe's backbone.

    dirs  folders from the command line; those of the recipe come next, then those of earlier runs
    out   the output folder, which must be locked: the result is recorded there
    """

    def __init__(self, backbone: Backbone, base: Path, dirs: Sequence[Path], out: Path, progress: Progress) -> None:
        self._backbone, self._base, self._out, self._progress = backbone, base, out, progress
        self._given = tuple(folder.resolve() for folder in dirs)
        self._own = tuple((base / Path(name).expanduser()).resolve() for name in backbone.weights_dir)
        self._memory = _Memory(out / MEMORY_FILE)
        self._failed: WeightsError | None = None
        self._said = False

    @classmethod
    def of(cls, job: Job, progress: Progress) -> Weights:
        """Those of a job."""
        return cls(job.recipe.backbone, job.base, job.weights_dirs, job.out, progress)

    @cached_property
    def source(self) -> WeightSource:
        """The part of stage keys for the weights. Uses no network; opens files only to hash them.

        Raises UsageError (a folder from the command line does not exist) and WeightsError (a file is missing that no
        earlier run used).
        """
        asked = _asked(self._backbone, self._base)
        known = self._memory.sources.get(asked)
        try:
            found = locate(self._backbone, self._base, [*self._given, *_present(self._own)])
            if found.kind == "hub":
                found = self._found_earlier(known)
        except WeightsError:
            if known is None:
                raise
            found = known
        if found.kind in ("local-dir", "file"):
            self._remember(asked, found)
        return found

    def to_open(self) -> WeightSource:
        """`source` for a stage that runs now. Raises WeightsError if its files are gone, or the error of an earlier
        stage of this run that could not open them: nothing is tried twice."""
        if self._failed is not None:
            raise self._failed
        source = self.source
        if source.path and not Path(source.path).exists():
            raise WeightsError(
                f"{source.path}: the weights that {self._out} was made from no longer exist; name their folder "
                f"with --weights-dir or `backbone.weights_dir`, or remove {self._out / MEMORY_FILE} to forget them"
            )
        self._say(source)
        return source

    def fail(self, error: WeightsError) -> None:
        """Record for the rest of the run that the weights cannot be opened."""
        self._failed = error

    def _found_earlier(self, known: WeightSource | None) -> WeightSource:
        """If no current folder has the weights: the result of an earlier run, in its folder if that still exists."""
        if known is not None and not Path(known.path).exists():
            return known
        found = locate(self._backbone, self._base, _present(map(Path, self._memory.dirs)))
        missing = next((folder for folder in self._own if not folder.is_dir()), None)
        if found.kind == "hub" and missing is not None:
            raise UsageError(f"{missing}: no such folder of weights (backbone.weights_dir)")
        return found

    def _say(self, source: WeightSource) -> None:
        if self._said:
            return
        self._said = True
        if self._from_memory(source):
            self._progress.note(f"weights: {source.path}, as in an earlier run ({MEMORY_FILE})")
        elif source.kind == "local-dir" and ":" not in self._backbone.name != Path(source.path).name:
            self._progress.note(f"weights: {source.path}")
        if source.kind == "hub":
            self._progress.note(f"weights: {self._backbone.name} from the hub or its cache on this machine")

    def _from_memory(self, source: WeightSource) -> bool:
        """Whether the folder was given only in an earlier run."""
        around = Path(source.path).parents
        if any(folder in around for folder in (*self._given, *self._own)):
            return False
        return any(Path(name) in around for name in self._memory.dirs)

    def _remember(self, asked: str, found: WeightSource) -> None:
        around = Path(found.path).parents
        used = [str(folder) for folder in (*self._given, *self._own) if folder in around]
        with disk_errors(self._out):
            self._memory.add(asked, found, used)


class _Memory:
    """`weights.json`: folders in which weights were found, newest first, and the results by request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        content = _read(path)
        self.dirs: list[str] = content.get("dirs", [])
        self.sources: dict[str, WeightSource] = content.get("sources", {})

    def add(self, asked: str, source: WeightSource, dirs: Sequence[str]) -> None:
        merged = list(dict.fromkeys([*dirs, *self.dirs]))
        if merged == self.dirs and self.sources.get(asked) == source:
            return
        self.dirs, self.sources = merged, {**self.sources, asked: source}
        sources = {key: asdict(value) for key, value in self.sources.items()}
        content = {"schema": _SCHEMA, "dirs": merged, "sources": sources}
        sealed = content | {"sha256": value_digest(content)}
        write_text(self._path, json.dumps(sealed, indent=1, sort_keys=True) + "\n")


def _read(path: Path) -> Mapping[str, Any]:
    """The recorded data; empty if the file is missing or damaged, and then the weights are needed again."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.pop("sha256", None) != value_digest(content):
            return {}
        if content.pop("schema", None) != _SCHEMA:
            return {}
        dirs = TypeAdapter(list[str]).validate_python(content.get("dirs"))
        sources = TypeAdapter(dict[str, WeightSource]).validate_python(content.get("sources"))
    except (OSError, ValueError, ValidationError, RecursionError):
        return {}
    return {"dirs": dirs, "sources": sources}


def _asked(backbone: Backbone, base: Path) -> str:
    weights = None if backbone.weights is None else str((base / backbone.weights).resolve())
    kind, colon, rest = backbone.name.partition(":")
    name = str((base / Path(rest).expanduser()).resolve()) if colon and kind == "local-dir" else backbone.name
    return value_digest({"name": name, "weights": weights, "pretrained": backbone.pretrained})


def _present(folders: Iterable[Path]) -> list[Path]:
    return [folder for folder in folders if folder.is_dir()]
