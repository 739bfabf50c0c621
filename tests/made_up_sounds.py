"""Random sound files, recordings and logits, through `sound_tool` and through Python: both give the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sound_tool import NO_TABLE, Refusal, SoundTool, Window
from sounds import as_24_bits, chunk, fmt, riff

from edgetl.fronts.audio.resample import Ratio, design, resample
from edgetl.fronts.audio.wav import UnreadableSound, decode_wav
from edgetl.fronts.audio.window import centered
from edgetl.tasks.classification.stream import OFF, Hops, detections, smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]

RATES = ((8000, 16_000), (16_000, 8000), (44_100, 16_000), (48_000, 16_000), (22_050, 16_000), (11_025, 8000))


def assert_decoded_alike(tool: SoundTool, data: bytes, what: str) -> bool:
    """Both refuse it, or both give the same samples at the same rate; whether they gave any."""
    found = tool.decode(data)
    try:
        expected = decode_wav(data, what)
    except UnreadableSound:
        assert isinstance(found, Refusal), f"{what}: only Python refused it"
        return False
    assert not isinstance(found, Refusal), f"{what}: {found}"
    assert found[0] == expected.rate_hz
    assert found[1].tobytes() == expected.samples.tobytes(), what
    return True


def random_content(rng: np.random.Generator, tag: int, bits: int, values: int) -> bytes:
    if tag == 3:
        loud = rng.choice([0.01, 1.0, 3.0])
        return rng.normal(0, loud, values).clip(-8, 8).astype("<f4").tobytes()
    if bits == 24:
        return as_24_bits(rng.integers(-(1 << 23), 1 << 23, values))
    return rng.integers(0, 256, values * bits // 8, dtype=np.uint8).tobytes()


def random_file(rng: np.random.Generator) -> bytes:
    """Any width and number of channels, odd chunks before the samples and after them, sizes of streams."""
    tag, bits = ((1, 8), (1, 16), (1, 24), (1, 32), (3, 32))[rng.integers(5)]
    channels = int(rng.choice([1, 1, 2, 3, 16]))
    content = random_content(rng, tag, bits, channels * int(rng.integers(1, 400)))
    head = fmt(tag, channels, rate=int(rng.integers(1000, 192_001)), bits=bits, extensible=bool(rng.random() < 0.3))
    odd = [chunk(name, bytes(int(rng.integers(9)))) for name in (b"LIST", b"bext", b"FACT") if rng.random() < 0.4]
    size = int(rng.choice([0x7FFFF000, 0x80000000, 0xFFFFFFFF])) if rng.random() < 0.2 else None
    behind = bytes(int(rng.integers(5))) if size is not None or rng.random() < 0.3 else b""
    return riff(*odd, chunk(b"fmt ", head), *odd, chunk(b"data", content, size)) + behind


def random_clip(rng: np.random.Generator, most: int) -> Samples:
    return rng.integers(-32768, 32768, int(rng.integers(1, most)), dtype=np.int16)


def assert_windows_alike(tool: SoundTool, clip: Samples, rates: tuple[int, int], samples: int, hop: int) -> None:
    """One window of the clip, and all windows of it as a stream in pieces."""
    from_hz, to_hz = rates
    table = NO_TABLE if from_hz == to_hz else design(from_hz, to_hz)
    whole = clip if from_hz == to_hz else resample(clip, Ratio.of(from_hz, to_hz), table)
    window = Window(from_hz, to_hz, table, samples)
    assert tool.window(clip, window).tobytes() == centered(whole, samples).tobytes()
    found = tool.stream(clip, window, hop, piece=max(1, len(clip) // 7))
    starts = range(0, len(whole) - samples + 1, hop)
    assert len(found) == len(starts)
    for start, heard in zip(starts, found, strict=True):
        assert heard.tobytes() == whole[start : start + samples].tobytes(), f"{rates}, window from {start}"


def assert_spotted_alike(tool: SoundTool, rng: np.random.Generator) -> int:
    """Random logits through both; how many were detected."""
    windows, classes = int(rng.choice([1, 3, 40, 400])), int(rng.choice([2, 4, 12, 35]))
    logits = rng.normal(0, rng.choice([0.1, 3, 300]), (windows, classes)).astype(np.float32)
    if rng.random() < 0.3:
        logits = np.round(logits)  # ties
    thresholds = rng.choice([0.0, 0.2, 0.5, float(rng.random()), 1.0, OFF], classes).astype(np.float32)
    smoothing, hops = int(rng.choice([1, 2, 4, 50])), Hops(int(rng.integers(1, 20_000)), int(rng.integers(1, 9000)))
    refractory = int(rng.choice([1, hops.hop, hops.window, 3 * hops.hop + 1]))
    means = smoothed(logits, smoothing)
    expected = detections(means, thresholds, refractory, hops)
    found, detected = tool.spot(logits, thresholds, smoothing, refractory, hops.window, hops.hop)
    assert found.tobytes() == means.tobytes()
    places = [(hops.end(int(index)), int(detected[index])) for index in np.nonzero(detected >= 0)[0]]
    assert places == [(heard.end, heard.label) for heard in expected]
    return len(places)
