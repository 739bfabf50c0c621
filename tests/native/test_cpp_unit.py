"""The C++ unit tests, each a program of its own."""

from __future__ import annotations

import re

import pytest
from native_build import RuntimeBuild

pytestmark = pytest.mark.integration


def test_every_cpp_test_passes(runtime_build: RuntimeBuild) -> None:
    listed = runtime_build.ctest("-N", "-LE", "consumer").stdout
    if re.search(r"Total Tests: 0\b", listed):
        pytest.skip("no doctest here: apt-get install doctest-dev")
    done = runtime_build.ctest("-LE", "consumer")
    assert done.returncode == 0, done.stdout
