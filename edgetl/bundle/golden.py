"""Golden vectors: examples, network inputs and results that a bundle must reproduce, step by step.

The most common deployment bug is a correct network after a wrong decode, resize or tokenizer; replaying the steps one
by one names the first that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from edgetl.bundle.golden_classification import Logits
from edgetl.bundle.golden_detection import Objects
from edgetl.bundle.golden_steps import StepCheck, replay_input
from edgetl.bundle.manifest import Manifest
from edgetl.errors import BundleError

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
