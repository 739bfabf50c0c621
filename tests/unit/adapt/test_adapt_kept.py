from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from edgetl.adapt.kept import contents, load_or_compute
from edgetl.types import Sample, Silent


class Counted:
    """Something to compute, and how often it was."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values, self.times = values, 0

    def __call__(self) -> NDArray[np.float64]:
        self.times += 1
        return self.values


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=arrays(np.float64, array_shapes(max_dims=3, max_side=4), elements=st.floats(allow_nan=False)))
def test_what_was_kept_comes_back_to_the_bit_without_computing(tmp_path: Path, values: NDArray[np.float64]) -> None:
    compute = Counted(values)
    depends_on: dict[str, Any] = {"values": values.tolist().__repr__(), "shape": list(values.shape)}
    first = load_or_compute(tmp_path, depends_on, compute, Silent())
    second = load_or_compute(tmp_path, depends_on, compute, Silent())
    assert compute.times <= 1  # the same example may come twice
    np.testing.assert_array_equal(first, values)
    assert second.shape == values.shape
    assert second.tobytes() == values.tobytes()


def test_whatever_it_depends_on_makes_it_anew(tmp_path: Path) -> None:
    compute = Counted(np.ones(2))
    for seed in (0, 1):
        load_or_compute(tmp_path, {"seed": seed}, compute, Silent())
    assert compute.times == 2


def test_pictures_count_by_content_and_label_not_by_path() -> None:
    assert contents([Sample("a.jpg", 0, "d1")]) == contents([Sample("b.jpg", 0, "d1")])
    assert contents([Sample("a.jpg", 0, "d1")]) != contents([Sample("a.jpg", 1, "d1")])
    assert contents([Sample("a.jpg", 0, "d1")]) != contents([Sample("a.jpg", 0, "d2")])
