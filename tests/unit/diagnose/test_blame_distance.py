from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgetl.diagnose.blame.distance import energies, root_mean_square, sqnr_db

signals = arrays(np.float32, (4, 3), elements=st.floats(-100, 100, width=32))


def test_a_tenth_of_the_amplitude_as_noise_is_20_db() -> None:
    signal = np.full((2, 5), 3.0, np.float32)
    assert sqnr_db(*energies(signal, signal * np.float32(1.1))) == pytest.approx(20, abs=1e-3)
    assert sqnr_db(*energies(signal, np.zeros_like(signal))) == 0


def test_no_noise_has_no_ratio() -> None:
    assert sqnr_db(*energies(np.ones(3), np.ones(3))) is None
    assert sqnr_db(*energies(np.zeros(3), np.ones(3))) == pytest.approx(10 * math.log10(1e-30 / 3))


@given(signals, signals)
def test_energies_of_batches_add_up(first: np.ndarray, second: np.ndarray) -> None:
    whole = energies(first, second)
    np.testing.assert_allclose(energies(first[:1], second[:1]) + energies(first[1:], second[1:]), whole, rtol=1e-12)


def test_the_error_of_a_network_is_that_of_all_its_images_together() -> None:
    assert root_mean_square(np.array([3.0, 4.0])) == pytest.approx(math.sqrt(12.5))
