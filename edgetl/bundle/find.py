"""The bundles that a path means: itself, or those in a folder of bundles."""

from __future__ import annotations

from pathlib import Path

from edgetl.bundle.manifest import FILE_NAME


def is_folder_of_bundles(path: Path) -> bool:
    """Whether it is not a bundle itself but directly contains some."""
    return path.is_dir() and not (path / FILE_NAME).exists() and bool(_inside(path))


def bundle_folders(path: Path) -> tuple[Path, ...]:
    """The bundles in a folder of bundles, by name; else the path itself, whose reader reports what it is."""
    return _inside(path) if is_folder_of_bundles(path) else (path,)


def _inside(path: Path) -> tuple[Path, ...]:
    return tuple(sorted(child for child in path.iterdir() if (child / FILE_NAME).is_file()))
