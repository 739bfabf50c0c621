"""Parts of the keys of several stages: versions of tools, images, gates, this machine."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from edgetl.files.digest import value_digest
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe import Recipe
from edgetl.tasks.accuracy_gates import names
from edgetl.types import Sample, Split
from edgetl.types.data import as_json

TRAINING_TOOLS = (
    *("torch", "torchvision", "timm", "torchao", "scikit-learn", "onnxscript", "onnx"),
    *("pillow", "numpy"),  # tools that decode and resize the images
)


IMPORT_TOOLS = ("onnx", "onnxruntime", "pillow", "numpy")
"""Of the stages of an imported network, which need no torch."""


def network_tools(recipe: Recipe) -> dict[str, str]:
    """Versions of the tools that the recipe's network is made with."""
    return versions(TRAINING_TOOLS if recipe.network is None else IMPORT_TOOLS)


def samples_digest(split: Split, samples: tuple[Sample, ...]) -> str:
    """Digest of the images' bytes and classes, and of the resizing; not of their names."""
    return value_digest([list(split.classes), split.resize, [[as_json(each.truth), each.sha256] for each in samples]])


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of installed packages; `absent` for a missing one."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def require_training_tools() -> None:
    """Raise ModuleNotFoundError for the first of torch and timm that is not installed.

    Their versions are part of the keys, so without them no adapted network of an earlier run counts.
    """
    for name, version in versions(("torch", "timm")).items():
        if version == "absent":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def accuracy_gates(gates: Gates) -> dict[str, Any]:
    """The gates that are set."""
    values = gates.model_dump(mode="json")
    return {name: values[name] for name in names(gates)}


def this_machine() -> dict[str, Any]:
    """A measurement belongs to a machine and is not reused on another."""
    from edgetl.bench.machine import describe

    here = describe()
    sets = list(here.instruction_sets)
    return {"machine": here.architecture, "node": platform.node(), "cpu": here.cpu, "instruction_sets": sets}
