"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights that are not part of the project; tests that need them skip where they are absent."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("EDGETL_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real images here: {folder.name}/data beside the checkout (or EDGETL_SHARED) is absent")
    return folder
