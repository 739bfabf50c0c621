"""Golden logits: what another machine may compute otherwise, and what it may not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from backend_pivots import images, pivot
from numpy.typing import NDArray
from pivot_folder import LABELS, make_pivot
from safetensors.numpy import save_file

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.golden import StepCheck, replay
from edgetl.bundle.manifest import Tolerance
from edgetl.bundle.write import TOLERANCES, tolerance_for
from edgetl.pivot.half import to_float16
from edgetl.pivot.literal import open_literal
from edgetl.types import IMAGE_INPUT, OUTPUT_NAME, PRECISIONS, Precision

REST = (0.0,) * (len(LABELS) - 2)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    return compile_targets(make_pivot(folder / "pivot", golden=1), ["null"], folder / "bundles")[0]


def network_step(
    bundle: Path, golden: tuple[float, ...], found: tuple[float, ...], allowed: float = 0.25, min_cosine: float = 0.9
) -> StepCheck:
    """The network step of a bundle whose golden logits are `golden`, on a machine that computes `found`."""
    manifest = read_bundle_without_digests(bundle)
    assert manifest.golden is not None
    tolerance = Tolerance(max_diff_of_range=allowed, min_cosine=min_cosine)
    manifest = manifest.model_copy(update={"golden": manifest.golden.model_copy(update={"tolerance": tolerance})})
    save_file({"logits": np.array([golden], np.float32)}, bundle / "golden" / "logits.safetensors")
    *_, network = replay(bundle, manifest, lambda batch: {OUTPUT_NAME: np.array([found], np.float32)})
    assert network.step == "network"
    return network


def read_bundle_without_digests(bundle: Path):  # type: ignore[no-untyped-def]
    from edgetl.bundle.manifest import read_manifest

    return read_manifest(bundle)


def test_another_class_fails_where_both_answers_are_clear_although_the_logits_are_near(bundle: Path) -> None:
    step = network_step(bundle, (10, 8, *REST), (8, 10, *REST))
    assert step.difference == pytest.approx(0.2)
    assert not step.passed
    assert step.detail.endswith("class 1 instead of 0")


@pytest.mark.parametrize(
    ("golden", "found"),
    [((10, 9.2, *REST), (9.2, 10, *REST)), ((10, 8, *REST), (8.5, 9, *REST)), ((9, 8.5, *REST), (8, 10, *REST))],
    ids=["both close", "found close", "golden close"],
)
def test_another_class_passes_where_one_of_the_answers_is_close_to_a_tie(
    bundle: Path, golden: tuple[float, ...], found: tuple[float, ...]
) -> None:
    step = network_step(bundle, golden, found)
    assert step.passed, step.detail


def test_the_same_class_fails_when_a_logit_is_too_far(bundle: Path) -> None:
    assert network_step(bundle, (10, 0, *REST), (10, 2, *REST)).passed
    assert not network_step(bundle, (10, 0, *REST), (10, 3, *REST)).passed


def test_logits_of_other_proportions_fail_by_their_cosine(bundle: Path) -> None:
    assert network_step(bundle, (4, 0, *REST), (4, 1, *REST), 0.25, 0.95).passed
    assert not network_step(bundle, (4, 0, *REST), (4, 1, *REST), 0.25, 0.99).passed


def test_logits_that_are_all_zero_are_like_each_other_alone(bundle: Path) -> None:
    nothing = (0.0,) * len((4, 0, *REST))
    assert network_step(bundle, nothing, nothing).passed
    assert not network_step(bundle, (4, 0, *REST), nothing).passed


def noisy(noise: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits of a network whose integers move one of them by `noise` of their range, and the float ones."""
    exact = np.array([[0, 10, 5], [10, 0, 5]], np.float32)
    return exact + np.array([[10 * noise, 0, 0], [0, 0, 0]], np.float32), exact


@pytest.mark.parametrize("precision", ["int8", "mixed", "simplified", "bfloat16"])
def test_however_rough_the_integers_are_no_build_gets_more_than_a_quarter_of_the_range(precision: Precision) -> None:
    tolerance = tolerance_for(precision, *noisy(0.12))
    assert (tolerance.max_diff_of_range, tolerance.min_cosine) == (0.25, 0.9)


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_what_integers_lose_is_no_excuse_for_a_float_build(precision: Precision) -> None:
    assert tolerance_for(precision, *noisy(0.12)) == TOLERANCES[PRECISIONS[precision].format]


@pytest.mark.parametrize("precision", list(PRECISIONS))
def test_of_two_classes_the_other_one_never_passes(bundle: Path, precision: Precision) -> None:
    loosest = tolerance_for(precision, *noisy(0.5))
    # the least change that makes the other class the answer
    found = (4.99, 5.01, *(5.0 for _ in REST))
    golden = (10.0, 0.0, *(5.0 for _ in REST))
    step = network_step(bundle, golden, found, loosest.max_diff_of_range, loosest.min_cosine)
    assert not step.passed


def test_two_roundings_to_float16_stay_within_its_tolerance() -> None:
    batch = images(16)
    exact, rounded = (
        np.asarray(open_literal(model.SerializeToString()).run([OUTPUT_NAME], {IMAGE_INPUT: batch})[0])
        for model in (pivot("float32"), to_float16(pivot("float32")))
    )
    spread = exact.max(axis=1) - exact.min(axis=1)
    lost = float((np.abs(rounded - exact).max(axis=1) / spread).max())
    # one rounding is 2**-11 of a value; a network has dozens, so what one computation loses is of that order
    assert 2**-14 < lost < 2**-8
    assert 2 * lost < TOLERANCES["float16"].max_diff_of_range
