"""Memory of extraction, heads and reading back, for a few and for many images: it must not grow with them.

    python benchmarks/feature_memory.py --data DATA --weights-dir WEIGHTS --work DIR [--write]

Pictures are 64x64 crops at random places of those in DATA/rsscn7, encoded as JPEG: decoding is real, and 20,000 take a
minute. Each count runs in a process of its own, which reports its peak resident memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from result_file import Result, machine_now, write_result

from edgetl.memory import peak_rss_bytes

COUNTS = (2000, 20_000)
SIDE = 64


def pictures(data: Path, folder: Path, count: int) -> list[Path]:
    """`count` crops, those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted((data / "rsscn7" / "train").rglob("*.jpg"))
    made = []
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if not path.is_file():
            generator = np.random.default_rng(number)
            whole = Image.open(sources[number % len(sources)]).convert("RGB")
            left, top = (int(generator.integers(0, side - SIDE)) for side in whole.size)
            whole.crop((left, top, left + SIDE, top + SIDE)).save(path, quality=90)
        made.append(path)
    return made


def measure(data: Path, weights: Path, work: Path, count: int) -> dict[str, float]:
    """Extract pooled features and activations at a cut, fit a head on them, read random rows back."""
    from edgetl.adapt.heads.table import fit_head, prepare
    from edgetl.backbones.extract import Point, View, activations, open_frozen
    from edgetl.backbones.weights import locate
    from edgetl.progress import Silent
    from edgetl.recipe import Backbone
    from edgetl.types import Sample

    files = pictures(data, work / "pictures", count)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="write a dated result into benchmarks/results")
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count:
        print(json.dumps(measure(arguments.data, arguments.weights_dir, arguments.work, arguments.count)))
        return
    machine = machine_now()
    rows = []
    for count in COUNTS:
        command = [sys.executable, __file__, *sys.argv[1:], "--count", str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    text = _text(rows)
    print(text)
    if arguments.write:
        write_result(Result("feature-memory", "Memory of cached features", (text,), {"rows": rows}), machine)


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
    main()
