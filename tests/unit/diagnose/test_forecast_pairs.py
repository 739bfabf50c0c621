"""The numpy model of saturating pair sums gives what the instructions give, bit for bit."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgetl.diagnose.forecast.pairs import accumulate, bound, weights_of

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 70), st.integers(1, 5))
EXTREMES = st.one_of(st.integers(-128, 127), st.sampled_from([-128, -127, -65, -64, 63, 64, 65, 127]))
BYTES = st.one_of(st.integers(0, 255), st.sampled_from([254, 255]))


@st.composite
def layers(draw: st.DrawFn) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    outputs, depth, positions = draw(SHAPES)
    return (
        draw(hnp.arrays(np.int8, (outputs, depth), elements=EXTREMES)),
        draw(hnp.arrays(np.uint8, (depth, positions), elements=BYTES)),
    )


@pytest.fixture(scope="module")
def instructions(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C program with the real instructions, compiled here."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler here (gcc or clang)")
    cpu = Path("/proc/cpuinfo")
    if not cpu.is_file() or " avx2 " not in cpu.read_text(encoding="utf-8"):
        pytest.skip("no AVX2 on this CPU")
    library = tmp_path_factory.mktemp("pairs") / "pair_sums.so"
    source = Path(__file__).with_name("pair_sums.c")
    subprocess.run([compiler, "-O2", "-mavx2", "-shared", "-fPIC", "-o", library, source], check=True)
    return ctypes.CDLL(str(library))


def with_instructions(library: ctypes.CDLL, weights: NDArray[np.int8], columns: NDArray[np.uint8]) -> NDArray[np.int32]:
    rows = np.ascontiguousarray(columns.T)
    found = np.empty((len(weights), len(rows)), np.int32)
    matrix = np.ascontiguousarray(weights)
    library.accumulate(
        *(ctypes.c_void_p(array.ctypes.data) for array in (rows, matrix)),
        *map(ctypes.c_int, (len(weights), len(rows), weights.shape[1])),
        ctypes.c_void_p(found.ctypes.data),
    )
    return found


def one_by_one(weights: NDArray[np.int8], columns: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int, int]:
    """Accumulators, clipped pairs and the largest pair sum, written as the definition."""
    w, a = weights.astype(np.int64), columns.astype(np.int64)
    if w.shape[1] % 2:
        w, a = np.pad(w, ((0, 0), (0, 1))), np.pad(a, ((0, 1), (0, 0)))
    sums = w[:, 0::2, None] * a[None, 0::2] + w[:, 1::2, None] * a[None, 1::2]
    outside = int(((sums > 32767) | (sums < -32768)).sum())
    return np.clip(sums, -32768, 32767).sum(axis=1), outside, int(np.abs(sums).max())


@given(layers())
def test_saturated_sums_are_those_of_the_instructions(
    instructions: ctypes.CDLL, layer: tuple[NDArray[np.int8], NDArray[np.uint8]]
) -> None:
    weights, columns = layer
    sums = accumulate(weights_of(weights), columns)
    np.testing.assert_array_equal(sums.exact + sums.change, with_instructions(instructions, weights, columns))


@given(layers())
def test_exact_sums_clipped_pairs_and_the_peak_follow_the_definition(
    layer: tuple[NDArray[np.int8], NDArray[np.uint8]],
) -> None:
    weights, columns = layer
    sums = accumulate(weights_of(weights), columns)
    expected, outside, peak = one_by_one(weights, columns)
    np.testing.assert_array_equal(sums.exact, weights.astype(np.int64) @ columns.astype(np.int64))
    np.testing.assert_array_equal(sums.exact + sums.change, expected)
    assert (sums.saturated, sums.peak) == (outside, peak if outside else 0)
    assert peak <= bound(weights, sums.highest) <= bound(weights)


def test_sums_stay_exact_over_many_blocks() -> None:
    generator = np.random.default_rng(0)
    weights = generator.integers(-128, 128, (70, 2999)).astype(np.int8)
    columns = generator.integers(0, 256, (2999, 431)).astype(np.uint8)
    sums = accumulate(weights_of(weights), columns)
    expected, outside, _ = one_by_one(weights, columns)
    np.testing.assert_array_equal(sums.exact, weights.astype(np.int64) @ columns.astype(np.int64))
    np.testing.assert_array_equal(sums.exact + sums.change, expected)
    assert sums.saturated == outside > 0


def test_128_together_is_the_most_that_stays_in_16_bits() -> None:
    inside, outside = np.array([[64, 64]], np.int8), np.array([[64, 65]], np.int8)
    assert (bound(inside), bound(outside)) == (32640, 32895)
    assert not len(weights_of(inside).column)
    assert len(weights_of(outside).column) == len(weights_of(-outside).column) == 1


def test_weights_of_two_signs_cannot_saturate() -> None:
    assert not len(weights_of(np.array([[127, -128]], np.int8)).column)
