"""What the network of each task takes and gives, as manifests say it and as the runtimes check it."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.tasks.base import TaskName
from edgetl.tasks.detection.detections import BOXES, SCORES
from edgetl.types import OUTPUT_NAME, Port, Preprocessing, Signature

MAX_ELEMENTS = 100_000_000
"""Of one output for one image."""


def signature_for(task: TaskName, labels: Sequence[str], p: Preprocessing, anchors: int = 0) -> Signature:
    """anchors  of a detector: the number of boxes that the network gives for an image"""
    if task == "classification":
        return Signature((p.port,), (Port(OUTPUT_NAME, "float32", (None, len(labels))),))
    boxes = Port(BOXES, "float32", (None, anchors, 4))
    return Signature((p.port,), (boxes, Port(SCORES, "float32", (None, anchors, len(labels)))))


def anchors_of(signature: Signature) -> int:
    """The number of boxes that a detector gives for an image; 0 if the signature does not say it."""
    shape = signature.outputs[0].shape
    return (shape[1] or 0) if len(shape) == 3 else 0


def why_not(task: TaskName, labels: Sequence[str], p: Preprocessing, signature: Signature) -> str:
    """Why a network with this signature cannot do the task on this input; "" if it can. The batch may be 1 or open."""
    if task == "classification" and len(labels) < 2:
        return f"`labels` must be at least 2 for a classifier; found {len(labels)}"
    expected = signature_for(task, labels, p, anchors_of(signature) or 1)
    found = Signature(*(tuple(map(_with_open_batch, ports)) for ports in (signature.inputs, signature.outputs)))
    if found != expected:
        return f"`signature` must be {expected}; found {signature}"
    if any(_elements(port) > MAX_ELEMENTS for port in signature.outputs):
        return f"`signature` must have at most {MAX_ELEMENTS} values for one image; found {signature}"
    return ""


def _with_open_batch(port: Port) -> Port:
    return Port(port.name, port.dtype, (None, *port.shape[1:])) if port.shape[0] == 1 else port


def _elements(port: Port) -> int:
    elements = 1
    for size in port.shape[1:]:
        elements *= size or 1
    return elements
