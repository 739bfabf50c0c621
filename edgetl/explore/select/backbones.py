"""The backbones to compare: those named, or the recipe's own and every timm folder of weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edgetl.backbones.weights import CONFIG_FILE, MODEL_FILES
from edgetl.data.scan import natural_key
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Backbone
from edgetl.tasks.base import TaskName

MAX_CANDIDATES = 200


def candidates(
    own: Backbone, names: Sequence[str], weights_dirs: Sequence[Path], task: TaskName = "classification"
) -> tuple[Backbone, ...]:
    """The backbones to compare, each once; the recipe's own section is used unchanged.

    task   of a detector the input size is that of the recipe for all of them; else each has its own
    names  exactly these, in this order; without any, the recipe's own, then the timm folders below `weights_dirs`
    raises UsageError for a missing folder, or more than MAX_CANDIDATES.
    """
    chosen = list(dict.fromkeys(names)) or [own.name, *(name for name in _folders(weights_dirs) if name != own.name)]
    if len(chosen) > MAX_CANDIDATES:
        raise UsageError(
            f"{len(chosen)} backbones to compare, but at most {MAX_CANDIDATES} are allowed; choose some with --backbone"
        )
    return tuple(own if name == own.name else other(own, name, task) for name in chosen)


def other(own: Backbone, name: str, task: TaskName) -> Backbone:
    """Another backbone in place of the recipe's own."""
    return (
        Backbone(name=name, input_size=own.input_size)
        if task == "detection" and own.input_size
        else Backbone(name=name)
    )


def _folders(weights_dirs: Sequence[Path]) -> Iterable[str]:
    found: dict[str, None] = {}
    for directory in weights_dirs:
        if not directory.is_dir():
            raise UsageError(f"{directory}: no such folder of weights (--weights-dir or EDGETL_WEIGHTS_DIR)")
        folders = sorted(directory.iterdir(), key=lambda path: natural_key(path.name))
        found.update((folder.name, None) for folder in folders if _is_timm(folder))
    return found


def _is_timm(folder: Path) -> bool:
    return (folder / CONFIG_FILE).is_file() and any((folder / name).is_file() for name in MODEL_FILES)
