"""What the integer kernels of this machine's CPU can do."""

from __future__ import annotations

import pytest

from edgetl.bench.machine import saturates
from edgetl.recipes.targets import load_target

HAS_VNNI = not saturates(load_target("x86-cpu"))
X86_TARGET = "x86-cpu" if HAS_VNNI else "x86-avx2"
INTEL_TARGET = "intel-cpu" if HAS_VNNI else "intel-avx2"
"""ONNX Runtime's and OpenVINO's targets for this CPU: their INT8 sums do not saturate on it."""

needs_vnni = pytest.mark.skipif(
    not HAS_VNNI, reason="this CPU has no VNNI: sums of two products saturate (docs/guide/forecast.md)"
)
