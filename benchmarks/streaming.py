"""What it costs a device to listen: CPU seconds of `edgetl-run --stream` on a long recording, allocations per hop.

    python benchmarks/streaming.py BUNDLE... --program build/native/bin/edgetl-run --clips DATA/keywords/val

The recording is made from the clips, in random order, with a second of faint noise after each. CPU time is that of user
and system, start and reading of the file included; a busy machine hardly changes it. Allocations are counted by a
library that is preloaded (glibc), those of the program apart from those of the engine and other libraries; those of a
recording of half the length are subtracted, so that the start cancels.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from engine_library import engine_library
from result_file import REPOSITORY, Result, add_write_option, deliver, machine_now, number, table

from edgetl.bundle.manifest import Manifest, read_manifest
from edgetl.errors import DataError, EdgetlError
from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.wav import encode_wav
from edgetl.types import AudioPreprocessing

_LIMIT = 0.02
_SEED = 0
_HISS = 30.0  # standard deviation of samples


@dataclass(frozen=True)
class Measured:
    """One bundle. `cpu_s` user and system seconds of each run; `own` and `engine`: allocations on half and on all
    of the recording."""

    manifest: Manifest
    seconds: float
    hops: int
    cpu_s: tuple[float, ...]
    own: tuple[int, int]
    engine: tuple[int, int]

    @property
    def share(self) -> float:
        """Of one core, in the slowest run."""
        return max(self.cpu_s) / self.seconds

    def per_hop(self, counted: tuple[int, int]) -> float:
        return (counted[1] - counted[0]) / (self.hops / 2)


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            counter = _counter(Path(scratch))
            measured = [_measure(bundle, counter, arguments) for bundle in arguments.bundles]
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    deliver(
        Result("streaming", "Listening to a stream in C++", _sections(measured), _data(measured)),
        machine,
        arguments.write,
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="for sound")
    parser.add_argument("--program", type=Path, required=True, help="edgetl-run")
    parser.add_argument("--clips", type=Path, required=True, help="folder of WAV files at the bundle's rate")
    parser.add_argument("--seconds", type=int, default=1200, help="length of the recording (default 1200)")
    parser.add_argument("--runs", type=int, default=5, help="runs whose CPU time is taken (default 5)")
    add_write_option(parser)
    return parser.parse_args()


def _counter(folder: Path) -> Path:
    """The library that counts. Raises EdgetlError with the end of the compiler's output."""
    library = folder / "count_allocations.so"
    source = REPOSITORY / "benchmarks" / "native" / "count_allocations.c"
    _run(["cc", "-O2", "-shared", "-fPIC", str(source), "-o", str(library)])
    return library


def _measure(bundle: Path, counter: Path, arguments: argparse.Namespace) -> Measured:
    manifest = read_manifest(bundle)
    p = manifest.preprocessing
    if not isinstance(p, AudioPreprocessing):
        raise DataError(f"{bundle}: expected a bundle for sound")
    samples = _recording(arguments.clips, p.file_rate_hz, arguments.seconds)
    whole, half = (counter.parent / name for name in ("whole.wav", "half.wav"))
    whole.write_bytes(encode_wav(samples, p.file_rate_hz))
    half.write_bytes(encode_wav(samples[: len(samples) // 2], p.file_rate_hz))
    # nothing is printed while it listens, as on a device that hears nothing
    library = str(engine_library(manifest.compiled.backend))
    options = ("--stream", "--threshold", "off", "--threads", "1", "--engine-library", library)
    command = [str(arguments.program), str(bundle), *options]
    hops = len(_run([*command, "--hops", str(whole)])[0].splitlines())
    cpu_s = tuple(_run([*command, str(whole)])[1] for _ in range(arguments.runs))
    few, many = (_allocations([*command, str(path)], counter) for path in (half, whole))
    return Measured(manifest, float(arguments.seconds), hops, cpu_s, (few[0], many[0]), (few[1], many[1]))


def _recording(clips: Path, rate_hz: int, seconds: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    paths = sorted(clips.rglob("*.wav"))
    if not paths:
        raise DataError(f"{clips}: expected WAV files below it, found none")
    draw, noise = random.Random(_SEED), np.random.default_rng(_SEED)
    samples = np.round(_HISS * noise.standard_normal(seconds * rate_hz)).astype(np.int16)
    place = rate_hz
    while place < len(samples):
        sound = decode(draw.choice(paths))
        if sound.rate_hz != rate_hz:
            raise DataError(f"{clips}: expected clips of {rate_hz} Hz, found {sound.rate_hz} Hz")
        clip = sound.samples[: len(samples) - place]
        samples[place : place + len(clip)] = clip
        place += len(clip) + rate_hz
    return samples


def _allocations(command: Sequence[str], counter: Path) -> tuple[int, int]:
    counts = counter.with_name("counts.txt")
    counts.unlink(missing_ok=True)
    _run(command, {"LD_PRELOAD": str(counter), "COUNT_FILE": str(counts)})
    if not counts.is_file():
        raise EdgetlError(f"{Path(command[0]).name}: the preloaded counter wrote nothing; it needs glibc")
    own, others = map(int, counts.read_text(encoding="utf-8").split())
    return own, others


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[str, float]:
    """What it printed, and its CPU seconds. Raises EdgetlError if it fails."""
    before = os.times()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})}
    )
    after = os.times()
    if done.returncode != 0:
        raise EdgetlError(f"{Path(command[0]).name} ended with status {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout, after.children_user + after.children_system - before.children_user - before.children_system


def _sections(measured: Sequence[Measured]) -> tuple[str, ...]:
    first = measured[0]
    rows = [
        (
            f"{each.manifest.name} ({each.manifest.compiled.backend}, {each.manifest.compiled.precision})",
            str(each.hops),
            f"{number(sorted(each.cpu_s)[len(each.cpu_s) // 2], 2)} ({number(min(each.cpu_s), 2)} to "
            f"{number(max(each.cpu_s), 2)})",
            number(1000 * each.share * each.seconds / each.hops, 2),
            number(100 * each.share, 2),
            "yes" if each.share <= _LIMIT else "no",
            number(each.per_hop(each.own), 3),
            number(each.per_hop(each.engine), 1),
        )
        for each in measured
    ]
    header = (
        *("bundle", "hops", "CPU s: median (least to most)", "ms per hop", "% of one core, most"),
        *("within the limit", "allocations per hop", "of the engine"),
    )
    return (
        f"`edgetl-run --stream` on a recording of {first.seconds:g} s, a hop every quarter of a window, one thread, "
        f"{len(first.cpu_s)} runs. CPU time is user and system of the whole process. The limit is "
        f"{number(100 * _LIMIT, 0)} % of one core. Allocations: those of the whole recording less those of its first "
        "half, for each hop; of `edgetl-run` itself, and of the engine and the other shared libraries.",
        table(header, rows),
    )


def _data(measured: Sequence[Measured]) -> dict[str, object]:
    return {
        "limit_share": _LIMIT,
        "bundles": [
            {
                "name": each.manifest.name,
                "backend": each.manifest.compiled.backend,
                "precision": each.manifest.compiled.precision,
                "share": each.share,
                "allocations_per_hop": each.per_hop(each.own),
                "engine_allocations_per_hop": each.per_hop(each.engine),
                **{key: value for key, value in asdict(each).items() if key != "manifest"},
            }
            for each in measured
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
