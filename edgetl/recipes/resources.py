"""Locates the data of the package: targets, calibration profiles, the small backbone."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def resource_dir(name: str) -> Path:
    """Folder of targets, calibration, backbones or scripts: inside the installed package, or in the source tree."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
