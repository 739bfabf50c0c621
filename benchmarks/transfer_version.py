"""A name for the code that a benchmark measures, so that finished cells of older code are told apart."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from edgetl.digest import value_digest

PACKAGE = Path(__file__).resolve().parent.parent / "edgetl"
ADAPTATION = ("adapt", "backbones", "recipe.py")
"""Files and folders of the package that adaptation depends on, the recipe's defaults among them."""


def code_version(overrides: Sequence[str], package: Path = PACKAGE, parts: Sequence[str] = ADAPTATION) -> str:
    """Eight hex digits that change with the code in `parts` and with `overrides`."""
    files = [path for part in parts for path in _sources(package / part)]
    code = {path.relative_to(package).as_posix(): meaning(path.read_text(encoding="utf-8")) for path in files}
    return value_digest([code, sorted(overrides)])[:8]


def meaning(source: str) -> str:
    """Python source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [each for each in node.body if not _is_text(each)] or [ast.Pass()]
    return ast.dump(tree)


def _sources(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
