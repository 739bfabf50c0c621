"""Regions that may show an object, always the same number, in operators that every runtime has.

Ren et al., Faster R-CNN, arXiv 1506.01497, section 3; suppression as in Bolya et al., YOLACT, arXiv 1904.02689, section
3.3: a box also yields to better boxes that are suppressed themselves, so that no loop is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding

from edgetl.tasks.detection.networks.default_boxes import decoded

NO_VARIANCES = (1.0, 1.0)
"""Offsets to anchors are predicted as they are."""

_OVERLAP = 0.7  # of two boxes, above which the worse one is suppressed

_SMALLEST = 1.0  # area in pixels


def propose(
    objectness: Tensor, offsets: Tensor, anchors: Tensor, size: tuple[int, int], candidates: int, count: int
) -> Tensor:
    """The `count` best regions (N, count, 4), corners in pixels, after suppression among the `candidates` best.

    objectness (N, T) logits, offsets (N, T, 4) to anchors (T, 4), as `decoded` takes them; size  height and width of
    the input, to which regions are clipped
    """
    index = objectness.topk(min(candidates, len(anchors)), 1).indices
    boxes = _clipped(decoded(_at(index, offsets), embedding(index, anchors), NO_VARIANCES), size)
    # the suppressed come after all others, in case there are too few; no two ranks are equal
    places = torch.arange(boxes.shape[1], device=boxes.device).float()
    ranks = places + boxes.shape[1] * _suppressed(boxes, places)
    kept = ranks.topk(min(count, len(anchors)), 1, largest=False).indices
    return _at(kept, boxes)


def _at(index: Tensor, rows: Tensor) -> Tensor:
    """rows (N, T, 4) at index (N, K) of each image."""
    return rows.gather(1, torch.stack((index,) * 4, 2))


def _clipped(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    x0, y0, x1, y1 = boxes.unbind(2)
    return torch.stack((x0.clamp(0, width), y0.clamp(0, height), x1.clamp(0, width), y1.clamp(0, height)), 2)


def _suppressed(boxes: Tensor, places: Tensor) -> Tensor:
    """float32 (N, K): 1 where a box overlaps one before it too much, or nothing is left of it in the input."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(3)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(2)
    union = areas[:, :, None] + areas[:, None, :] - shared
    earlier = (places[:, None] > places).float()
    copies = ((shared > _OVERLAP * union).float() * earlier).amax(2)
    return torch.maximum(copies, (areas < _SMALLEST).float())
