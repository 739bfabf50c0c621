"""Memory of calibrating on few and on many images: it must not grow with their number.

    python benchmarks/calibration_memory.py --data DATA --weights-dir WEIGHTS --work DIR [--write]

The images are random 200x200 crops of those in DATA/rsscn7, encoded as JPEG: no two files are equal, and decoding is
real. Each count runs in a process of its own: MobileNetV2 with histograms and checkpoints, then bias correction; it
reports its peak resident memory after each step.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from memory_runs import crops, run
from result_file import table

from edgetl.store.memory import peak_rss_bytes, reset_peak_rss

COUNTS = (50, 2000)
SIDE = 160
CROP = 200


def measure(data: Path, weights: Path, work: Path, count: int) -> dict[str, float]:
    """Calibrate on `count` images, continue from the finished cache, correct the biases."""
    import torch

    from edgetl.backbones.extract import tensors_digest
    from edgetl.backbones.load import build
    from edgetl.backbones.weights import locate
    from edgetl.pivot.fold import fold
    from edgetl.quant.bias import IMAGES, correct_biases
    from edgetl.quant.calibration import BATCH, CalibrationImages
    from edgetl.quant.observe import observe
    from edgetl.quant.prepare import fix_ranges, prepare
    from edgetl.quant.ranges import RangesCache, key_parts
    from edgetl.recipes.recipe import Backbone
    from edgetl.recipes.targets import load_target
    from edgetl.types import CalibrationProfile, Sample, Silent

    files = crops(data, work / "pictures", count, CROP)
    samples = [Sample(str(path), 0, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    assert len({sample.sha256 for sample in samples}) == count
    profile = CalibrationProfile("memory", "", count, "entropy")
    scheme = load_target("x86-cpu").scheme
    backbone = Backbone(name="mobilenetv2_100", input_size=SIDE)
    network, spec, _ = build(backbone, locate(backbone, data, [weights]), 7, "squash")
    p = spec.preprocessing
    folded = fold(network, p.network_shape).module
    prepared = prepare(folded, p, scheme, profile)
    images = CalibrationImages(samples, p, "none", profile, torch.device("cpu"))
    parts = key_parts(
        network={"architecture": spec.architecture, **spec.model_args},
        weights=tensors_digest(folded),
        samples=images.samples,
        p=p,
        profile=profile,
        policy="none",
        scheme=scheme,
    )
    folder = work / f"cache-{count}"
    shutil.rmtree(folder, ignore_errors=True)
    reset_peak_rss()  # capturing took more than what is left of it
    before = peak_rss_bytes()
    start = time.monotonic()
    observe(prepared, images, parts, RangesCache(folder, "u8s8"), Silent())
    seconds = time.monotonic() - start
    observed = peak_rss_bytes()
    fix_ranges(prepared, p)
    correct_biases(prepared, [images.plain(number) for number in range(min(len(images), IMAGES // BATCH))])
    return {
        "images": count,
        "seconds": seconds,
        "images_per_second": count / seconds,
        "cache_bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "rss_before_bytes": before,
        "peak_rss_observed_bytes": observed,
        "peak_rss_corrected_bytes": peak_rss_bytes(),
    }


def _text(rows: Sequence[Mapping[str, float]]) -> str:
    head = ("images", "images/s", "kept ranges", "before", "ranges observed", "biases corrected")
    steps = ("cache_bytes", "rss_before_bytes", "peak_rss_observed_bytes", "peak_rss_corrected_bytes")
    lines = [
        [f"{row['images']:.0f}", f"{row['images_per_second']:.1f}", *(f"{row[step] / 1e6:.1f}" for step in steps)]
        for row in rows
    ]
    first, last = rows[0], rows[-1]
    difference = (last["peak_rss_observed_bytes"] - first["peak_rss_observed_bytes"]) / 1e6
    decoded = last["images"] * SIDE * SIDE * 3 / 1e6
    return "\n".join(
        [
            "MB: the file of kept ranges, and the peak of resident memory after each step, for mobilenetv2_100 at",
            f"{SIDE} pixels with histograms. Before: the network is captured and has seen no image yet.",
            "",
            table(head, lines, left=0),
            "",
            f"{last['images']:.0f} images need {difference:+.1f} MB against {first['images']:.0f};"
            f" decoded they would be {decoded:.0f} MB.",
        ]
    )


if __name__ == "__main__":
    run(__file__, __doc__, COUNTS, measure, _text, "calibration-memory", "Memory of calibration")
