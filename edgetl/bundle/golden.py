"""Golden vectors: examples, network inputs and results that a bundle must reproduce, step by step.

The most common deployment bug is a correct network after a wrong decode, resize or tokenizer; replaying the steps one
by one names the first that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgetl.bundle.golden_detection import Objects
from edgetl.bundle.golden_steps import GoldenExample, StepCheck, read_golden, replay_input
from edgetl.bundle.manifest import Manifest, Tolerance
from edgetl.errors import BundleError
from edgetl.types import OUTPUT_NAME

if TYPE_CHECKING:
    from edgetl.types import Tensors

__all__ = ["StepCheck", "replay"]


def replay(
    folder: Path, manifest: Manifest, infer: Callable[[Sequence[NDArray[Any]]], Tensors]
) -> tuple[StepCheck, ...]:
    """Decode, resize, infer and postprocess every golden example; each step starts from the golden result of the one
    before.

    infer   inputs, (1, ...) each -> the outputs by name, (N, ...); called once, with the golden inputs of all examples
    raises  BundleError if the bundle has no golden vectors or they do not fit its shapes.
    """
    golden = manifest.golden
    if golden is None:
        raise BundleError(f"{folder}: this bundle has no golden vectors to replay")
    expected = Logits(folder, manifest) if manifest.task == "classification" else Objects(folder, manifest)
    examples = [replay_input(folder, manifest, index, file) for index, file in enumerate(golden.files)]
    outputs = infer([example.network_input[None] for example in examples])
    checks: list[StepCheck] = []
    for index, example in enumerate(examples):
        checks += [*example.checks, *expected.checks(index, example, outputs)]
    return tuple(checks)


class Logits:
    """The golden results of a bundle. Raises BundleError if they do not fit its shapes."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        assert manifest.golden is not None
        shape = (manifest.golden.count, len(manifest.labels))
        self._logits = read_golden(folder / "golden" / "logits.safetensors", "logits", np.float32, shape)
        self._tolerance = manifest.golden.tolerance
        whole = slice(0, len(manifest.labels))
        self._parts = tuple(head.columns for head in manifest.heads) or (whole,)

    def checks(self, index: int, example: GoldenExample, outputs: Tensors) -> Iterator[StepCheck]:
        """The steps after the input of `example`, number `index`. outputs  of all golden examples"""
        yield network_check(index, outputs[OUTPUT_NAME][index], self._logits[index], self._tolerance, self._parts)


def network_check(
    index: int,
    logits: NDArray[np.float32],
    golden: NDArray[np.float32],
    tolerance: Tolerance,
    parts: Sequence[slice] = (slice(None),),
) -> StepCheck:
    """parts  the logits of each head"""
    if logits.shape != golden.shape or not np.isfinite(logits).all():
        return StepCheck(
            index, "network", False, float("inf"), tolerance.max_diff_of_range, "not finite or of another shape"
        )
    found, expected = logits.astype(np.float64), golden.astype(np.float64)  # squares of large floats would overflow
    spread = float(expected.max() - expected.min()) or 1.0
    difference = float(np.abs(found - expected).max()) / spread
    cosine = _cosine(found, expected)
    # another class passes only if one of the two predictions is close to a tie
    limit = tolerance.max_diff_of_range / 2 * spread
    answers, wanted = ([(part.start or 0) + int(each[part].argmax()) for part in parts] for each in (logits, golden))
    decided = all(
        mine == theirs or min(_lead(golden[part]), _lead(logits[part])) <= limit
        for part, mine, theirs in zip(parts, answers, wanted, strict=True)
    )
    same, answer = answers == wanted, " and ".join(map(str, answers))
    passed = decided and difference <= tolerance.max_diff_of_range and cosine >= tolerance.min_cosine
    detail = (
        f"logits differ by {100 * difference:.2f} % of their range (limit {100 * tolerance.max_diff_of_range:g} %), "
        f"cosine {cosine:.5f} (at least {tolerance.min_cosine:g}), class {answer}"
    )
    detail += "" if same else f" instead of {' and '.join(map(str, wanted))}"
    return StepCheck(index, "network", passed, difference, tolerance.max_diff_of_range, detail)


def _lead(logits: NDArray[np.float32]) -> float:
    """Lead of the best class over the next."""
    ordered = np.sort(logits)
    return float(ordered[-1]) - float(ordered[-2])


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else float(np.array_equal(a, b))  # two zero vectors are equal
