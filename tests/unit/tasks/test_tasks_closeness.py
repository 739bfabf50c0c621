from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgetl.errors import ParityError
from edgetl.tasks.classification.closeness import compare, distance

LOGITS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32) * 5
LOGITS[np.arange(20), np.arange(20) % 4] += 12  # clearly decided


def test_equal_logits_pass_and_are_described() -> None:
    parity = compare(LOGITS, LOGITS, kind="float32", where="m.onnx")
    assert (parity.difference, parity.agreement) == (0.0, 1.0)


def test_float_logits_may_differ_by_rounding_only() -> None:
    compare(LOGITS + 1e-4, LOGITS, kind="float32", where="m.onnx")
    with pytest.raises(ParityError, match=r"m\.onnx: .* 20 examples: logits differ by up to 0\.5 \(allowed"):
        compare(LOGITS + 0.5, LOGITS, kind="float32", where="m.onnx")


def test_integer_logits_may_differ_by_steps() -> None:
    compare(LOGITS + 0.5, LOGITS, kind="int8", where="m.onnx")
    with pytest.raises(ParityError, match="top-1 agrees on 100"):
        compare(LOGITS + 3.0, LOGITS, kind="int8", where="m.onnx")


def test_a_clear_decision_must_not_flip() -> None:
    logits = np.array([[10.0, 5.0]] * 100, np.float32)
    flipped = logits.copy()
    flipped[0] = [7.4, 7.6]
    with pytest.raises(ParityError, match="99"):
        compare(flipped, logits, kind="int8", where="m.onnx")


def test_a_tie_may_flip() -> None:
    logits = np.array([[10.0, 5.0]] * 99 + [[10.0, 9.99]], np.float32)
    found = logits.copy()
    found[-1] = [9.99, 10.0]
    assert compare(found, logits, kind="int8", where="m.onnx").agreement == pytest.approx(0.99)


@pytest.mark.parametrize(("images", "most"), [(1, 1), (12, 1), (20, 1), (40, 2), (100, 5)])
def test_a_twentieth_of_the_ties_may_flip_in_integers_and_always_one(images: int, most: int) -> None:
    logits = np.array([[10.0, 9.99]] * images, np.float32)
    found = logits.copy()
    found[:most] = found[:most, ::-1]
    compare(found, logits, kind="int8", where="m.onnx")
    if most < images:
        found[most] = found[most, ::-1]
        with pytest.raises(ParityError, match="top-1 agrees"):
            compare(found, logits, kind="int8", where="m.onnx")


def test_too_many_flipped_ties_are_refused_in_integers() -> None:
    logits = np.array([[10.0, 9.99]] * 10, np.float32)
    with pytest.raises(ParityError, match=r"top-1 agrees on 0\.0 %"):
        compare(logits[:, ::-1], logits, kind="int8", where="m.onnx")


def test_logits_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ParityError):
        compare(np.full_like(LOGITS, np.nan), LOGITS, kind="int8", where="m.onnx")


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ParityError, match=r"expected logits of shape \(20, 4\), found \(20, 3\)"):
        compare(LOGITS[:, :3], LOGITS, kind="float32", where="m.onnx")


def test_an_int8_network_may_differ_by_as_much_as_its_own_rounding_but_no_more_than_a_quarter() -> None:
    exact = np.array([[8.0, 0.0, 0.0]] * 4, np.float32)
    expected = exact + np.float32(1.2)  # rounding moved it by 15 % of the largest logit
    assert compare(expected + np.float32(1.1), expected, kind="int8", where="m", exact=exact).tolerance > 1.1
    with pytest.raises(ParityError):
        compare(expected + np.float32(1.1), expected, kind="int8", where="m")
    with pytest.raises(ParityError):
        compare(expected + np.float32(1.3), expected, kind="int8", where="m", exact=exact)
    far = exact + np.float32(5.0)
    with pytest.raises(ParityError):
        compare(far + np.float32(3.5), far, kind="int8", where="m", exact=exact)


signals = arrays(np.float32, (4, 3), elements=st.floats(-100, 100, width=32, allow_subnormal=False))


@given(signals, signals, st.sampled_from([0.125, 0.5, 8.0]))
def test_distances_do_not_depend_on_the_unit_of_the_logits(
    reference: np.ndarray, found: np.ndarray, unit: float
) -> None:
    if np.ptp(reference) < 1e-3:
        return
    scaled = distance(found * np.float32(unit), reference * np.float32(unit))
    np.testing.assert_allclose(scaled, distance(found, reference), rtol=1e-6, atol=1e-12)  # subnormal numbers round


def test_distances_are_a_share_of_the_range_of_all_logits() -> None:
    reference = np.array([[0.0, 10.0], [4.0, 6.0]], np.float32)
    np.testing.assert_allclose(distance(reference + np.float32(0.5), reference), [0.05, 0.05])
    with pytest.raises(ValueError, match="one shape"):
        distance(reference[:1], reference)
