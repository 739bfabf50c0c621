"""The time of a detector's whole way, from the decoded image to its objects, as `edgetl-bench` measures it in C++."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl import stats
from edgetl.bench.latency import BLOCK, alternating
from edgetl.bench.timed import Timing
from edgetl.bundle.read import Bundle
from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.frame import frame_of
from edgetl.fronts.image.resize import resize
from edgetl.tasks.detection.detections import BOXES, SCORES
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types import Engine, Interval, as_image, fed

if TYPE_CHECKING:
    from numpy.typing import NDArray


def detect_p50_ms(
    engines: Mapping[str, Engine], bundles: Mapping[str, Bundle], images: Sequence[Path], timing: Timing
) -> dict[str, Interval | None]:
    """Per detector among the bundles the median of resize, inference and postprocess, timed in rounds of their own.

    images  files, shown in turn; they are decoded before
    """
    calls = {key: _detect(engines[key], each) for key, each in bundles.items() if each.manifest.task == "detection"}
    if not calls:
        return {}
    decoded = [decode(path) for path in images]
    times = alternating(calls, decoded, runs=timing.runs, warmup=timing.warmup, seed=timing.seed)
    return {key: stats.quantile(each / 1e6, 0.5, block=BLOCK) for key, each in times.items()}


def _detect(engine: Engine, bundle: Bundle) -> Callable[[NDArray[np.uint8]], object]:
    preprocessing, settings = as_image(bundle.manifest.preprocessing), bundle.manifest.postprocess
    assert settings is not None

    def detect(pixels: NDArray[np.uint8]) -> object:
        outputs = engine.infer(fed(resize(pixels, preprocessing)[None]))
        boxes, scores = (np.asarray(outputs[name], np.float32) for name in (BOXES, SCORES))
        return postprocess(boxes, scores, [frame_of(pixels.shape[0], pixels.shape[1], preprocessing)], settings)

    return detect
