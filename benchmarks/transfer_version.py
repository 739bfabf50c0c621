"""A name for the code that a benchmark measures, which distinguishes finished cells of older code."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from pathlib import Path

from edgetl.files.digest import value_digest

PACKAGE = Path(__file__).resolve().parent.parent / "edgetl"
ADAPTATION = ("adapt", "backbones", "data", "fronts", "tasks", "bundle/inference.py", "recipes", "types")
"""Files and folders of the package that adaptation depends on, the recipe's defaults among them."""
_DATA_FOLDERS = ("../targets", "../calibration")


def code_version(overrides: Sequence[str], package: Path = PACKAGE, parts: Sequence[str] = ADAPTATION) -> str:
    """Eight hex digits that change with the code in `parts` and with `overrides`."""
    files = [path for part in parts for path in _sources((package / part).resolve())]
    code = {path.relative_to(package.resolve().parent).as_posix(): _content(path) for path in files}
    return value_digest([code, sorted(overrides)])[:8]


def parts_without(names: Collection[str], package: Path = PACKAGE) -> tuple[str, ...]:
    """Everything in the package but `names`, and the targets and calibration profiles beside it."""
    inside = sorted(path.name for path in package.iterdir() if path.is_dir() or path.suffix == ".py")
    return (*(name for name in inside if name not in names), *_DATA_FOLDERS)


def meaning(source: str) -> str:
    """Python source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [each for each in node.body if not _is_text(each)] or [ast.Pass()]
    return ast.dump(tree)


def _sources(path: Path) -> list[Path]:
    return sorted([*path.rglob("*.py"), *path.rglob("*.yaml")]) if path.is_dir() else [path]


def _content(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return meaning(text) if path.suffix == ".py" else text


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
