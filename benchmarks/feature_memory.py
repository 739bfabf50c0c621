"""Memory of extraction, heads and reading back, for few and for many images: it must not grow with their number.

    python benchmarks/feature_memory.py --data DATA --weights-dir WEIGHTS --work DIR [--write]

The images are random 64x64 crops of those in DATA/rsscn7, encoded as JPEG: decoding is real, and 20,000 take a minute.
Each count runs in a process of its own, which reports its peak resident memory.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from memory_runs import crops, run

from edgetl.store.memory import peak_rss_bytes

COUNTS = (2000, 20_000)
SIDE = 64


def measure(data: Path, weights: Path, work: Path, count: int) -> dict[str, float]:
    """Extract pooled features and activations at a cut, fit a head on them, read random rows back."""
    from edgetl.backbones.extract import Point, View, activations, open_frozen
    from edgetl.backbones.weights import locate
    from edgetl.recipes.recipe import Backbone
    from edgetl.tasks.classification.heads.by_name import fit_head, prepare
    from edgetl.types import Sample, Silent

    files = crops(data, work / "pictures", count, SIDE)
    samples = [Sample(str(p), n % 7, hashlib.sha256(p.read_bytes()).hexdigest()) for n, p in enumerate(files)]
    backbone = Backbone(name="mobilenetv2_100", input_size=SIDE)
    frozen = open_frozen(backbone, locate(backbone, data, [weights]), 7, "squash")
    before = peak_rss_bytes()
    start = time.monotonic()
    points = (Point(), Point("blocks.2"))
    pooled, cut = activations(frozen, samples, work / f"cache-{count}", points, View(), progress=Silent())
    extracted = time.monotonic()
    after_extraction = peak_rss_bytes()
    for turn in range(50):
        cut.read(np.random.default_rng(turn).integers(0, count, 32).tolist())
    after_reading = peak_rss_bytes()
    labels = np.array([sample.label for sample in samples], np.int64)
    fit_head("ridge", prepare(pooled.read()[None], labels, 7), 0)
    return {
        "images": count,
        "seconds": extracted - start,
        "images_per_second": count / (extracted - start),
        "cache_bytes": sum(path.stat().st_size for path in (pooled.path, cut.path)),
        "rss_before_bytes": before,
        "rss_after_extraction_bytes": after_extraction,
        "rss_after_reading_bytes": after_reading,
        "rss_after_head_bytes": peak_rss_bytes(),
    }


def _text(rows: Sequence[Mapping[str, float]]) -> str:
    lines = [
        "Peak resident memory in MB after each step; the cache holds the pooled features and the activations behind",
        "`blocks.2` of mobilenetv2_100 at 64x64. The head is fitted on all pooled features at once.",
        "",
        "| images | images/s | cache | network loaded | extraction | random rows read | head fitted |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    steps = ("cache_bytes", "rss_before_bytes", "rss_after_extraction_bytes", "rss_after_reading_bytes")
    for row in rows:
        cells = [f"{row['images']:.0f}", f"{row['images_per_second']:.0f}"]
        cells += [f"{row[step] / 1e6:.0f}" for step in (*steps, "rss_after_head_bytes")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(__file__, __doc__, COUNTS, measure, _text, "feature-memory", "Memory of cached features")
