"""Runs variants of one network on stored images with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.backends.sdk import import_onnxruntime
from edgetl.bench.machine import describe
from edgetl.diagnose.blame.distance import energies
from edgetl.errors import BackendError
from edgetl.files.digest import value_digest
from edgetl.fronts.pixels import Pixels
from edgetl.pivot.literal import joined
from edgetl.types import Advance, fed

if TYPE_CHECKING:
    import onnxruntime

    from edgetl.tasks.base import Outputs

_PROBED_BATCH = 2  # images per inference that keeps every layer's output
_FATAL_ONLY = 4


def digest_of(images: Pixels) -> str:
    """Digest of the images in order; the resizing is part of the models, which have their own digests."""
    return value_digest([sample.sha256 for sample in images.samples])


def open_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session as the backend opens one, on all cores. Raises BackendError."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = max(1, int(describe().usable_cores or 1))
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # nothing is timed
    options.log_severity_level = _FATAL_ONLY
    try:
        return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the bindings raise a dozen unrelated types
        raise BackendError(f"a mixed variant of the network: onnxruntime cannot open it: {error}") from error


def outputs_by_batch(model: onnx.ModelProto, names: Sequence[str], images: Pixels) -> Iterator[Outputs]:
    """The outputs `names`, float32 (n, ...) each, of one batch of the images after another."""
    session = open_session(model)
    images.keep()
    for batch in images.batches():
        yield _run(session, names, batch)


def outputs(model: onnx.ModelProto, names: Sequence[str], images: Pixels) -> Outputs:
    """The outputs `names` of all images in their order, float32 (N, ...) each."""
    parts = [[part[name] for name in names] for part in outputs_by_batch(model, names, images)]
    return joined(names, parts)


def layer_energies(
    reference: onnx.ModelProto,
    found: onnx.ModelProto,
    pairs: Sequence[tuple[str, str]],
    images: Pixels,
    advance: Advance | None = None,
) -> NDArray[np.float64]:
    """(len(pairs), 2) energies of signal and noise of float tensors, summed over the images.

    pairs  (tensor of `reference`, tensor of `found`): outputs of these models. Both models may be one object.
    """
    sessions = [open_session(reference)]
    sessions.append(sessions[0] if found is reference else open_session(found))
    wanted = [[first for first, _ in pairs], [second for _, second in pairs]]
    sums = np.zeros((len(pairs), 2))
    images.keep()
    for batch in images.batches(_PROBED_BATCH):
        if sessions[0] is sessions[1]:
            values = _run(sessions[0], list(dict.fromkeys([*wanted[0], *wanted[1]])), batch)
            first = second = values
        else:
            first, second = (_run(session, names, batch) for session, names in zip(sessions, wanted, strict=True))
        for row, (one, other) in zip(sums, pairs, strict=True):
            row += energies(first[one], second[other])
        if advance is not None:
            advance(len(batch))
    return sums


def _run(session: Any, names: Sequence[str], batch: NDArray[np.generic]) -> Mapping[str, NDArray[np.float32]]:
    unique = list(dict.fromkeys(names))
    return dict(zip(unique, session.run(unique, fed(batch)), strict=True))
