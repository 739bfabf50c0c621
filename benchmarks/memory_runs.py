"""Shared by the memory benchmarks: cuts many real images out of few, and runs each count in its own process."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from result_file import Result, add_write_option, deliver, machine_now

Measure = Callable[[Path, Path, Path, int], Mapping[str, float]]
"""(data, weights, work, count) -> one row."""
Rows = Sequence[Mapping[str, float]]


def crops(data: Path, folder: Path, count: int, side: int) -> list[Path]:
    """`count` JPEG files of side x side pixels, cropped at random from the images in DATA/rsscn7; existing files are
    kept."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted((data / "rsscn7" / "train").rglob("*.jpg"))
    made = []
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if not path.is_file():
            generator = np.random.default_rng(number)
            whole = Image.open(sources[number % len(sources)]).convert("RGB")
            left, top = (int(generator.integers(0, length - side + 1)) for length in whole.size)
            quality = int(generator.integers(80, 96))
            whole.crop((left, top, left + side, top + side)).save(path, quality=quality)
        made.append(path)
    return made


def run(
    script: str, about: str, counts: Sequence[int], measure: Measure, text: Callable[[Rows], str], name: str, title: str
) -> None:
    """The command line of a memory benchmark: `measure` for every count in a new process of `script`, then `text`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=counts, help="of pictures")
    add_write_option(parser)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count:
        print(json.dumps(measure(arguments.data, arguments.weights_dir, arguments.work, arguments.count)))
        return
    machine = machine_now()
    rows = []
    for count in arguments.counts:
        command = [sys.executable, script, *sys.argv[1:], "--count", str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    deliver(Result(name, title, (text(rows),), {"rows": rows}), machine, arguments.write)
