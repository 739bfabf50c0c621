"""Golden vectors: a few validation examples that every bundle must reproduce, from the file to the logits."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file

from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.load import at_network_rate, windowed
from edgetl.fronts.audio.wav import encode_wav
from edgetl.fronts.image.decode import decode_bytes, read_bytes
from edgetl.fronts.image.resize import resize
from edgetl.fronts.series.cells import text_of_window
from edgetl.fronts.series.load import read_window, with_channels
from edgetl.fronts.series.window import fitted
from edgetl.fronts.text.load import encode_text
from edgetl.fronts.text.read import read_example
from edgetl.types import (
    OUTPUT_NAME,
    AudioPreprocessing,
    ImagePreprocessing,
    Preprocessing,
    Sample,
    SeriesPreprocessing,
    TextPreprocessing,
    as_image,
)
from edgetl.types.data import labels_of

if TYPE_CHECKING:
    from edgetl.tasks.base import Outputs

COUNT = 4
MAX_SIDE = 384
MAX_WINDOWS = 8
MAX_CHARACTERS = 5000
_AROUND = " \t\r\n\ufeff"
_QUALITY = 95
_KEPT = {"JPEG": ".jpg", "PNG": ".png"}
# Metadata in Pillow that concerns only the pixels. EXIF, XMP, comments and texts may reveal place and time.
_ABOUT_PIXELS = {
    *("jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "adobe", "adobe_transform"),
    *("progressive", "progression", "interlace", "gamma", "srgb", "aspect", "transparency"),
}


def choose(samples: Sequence[Sample], count: int = COUNT) -> list[Sample]:
    """`count` samples, of as many classes as possible, in the order they are listed."""
    seen: dict[int, int] = {}
    ranked: list[tuple[int, int]] = []
    for index, sample in enumerate(samples):
        # of an image with several objects the rarest class counts; one without objects comes last
        labels = set(labels_of(sample.truth))
        ranked.append((min((seen.get(label, 0) for label in labels), default=len(samples)), index))
        seen.update({label: seen.get(label, 0) + 1 for label in labels})
    return [samples[index] for index in sorted(index for _, index in sorted(ranked)[:count])]


@dataclass(frozen=True)
class _Example:
    """data, suffix  a file with nothing but the example;  given  to the network;  decoded  arrays by name"""

    data: bytes
    suffix: str
    given: NDArray[Any]
    decoded: Mapping[str, NDArray[Any]]


def write_examples(
    samples: Sequence[Sample], p: Preprocessing, folder: Path
) -> tuple[tuple[NDArray[Any], ...], tuple[str, ...]]:
    """Write every sample after each step on its way into the network, so that each step can be replayed alone.

    <i>.jpg, <i>.png  the image file unchanged, or reduced (at most 384 px), without metadata
    <i>.rgb.npy       decoded and upright, uint8 (h, w, 3)
    <i>.input.npy     resized and cropped, uint8 (H, W, 3)

    <i>.wav           the samples of a clip, without metadata, at most 8 windows of them
    <i>.samples.npy   decoded, int16 (n,), as many as the file's rate gives
    <i>.input.npy     at the network's rate and cut to its window, int16 (samples,)

    <i>.txt           a text in UTF-8 without spaces around it, at most 5000 characters
    <i>.input.npy     its tokens, filled up to their bucket, int32 (L,)

    <i>.csv           a window, at most 8 times the steps of the network's
    <i>.window.npy    decoded, float32 (n, channels)
    <i>.input.npy     cut or continued, float32 (steps, channels)

    Returns the inputs as batches in order, and the names of the files. Raises DataError.
    """
    folder.mkdir()
    inputs: list[NDArray[Any]] = []
    names: list[str] = []
    for index, sample in enumerate(samples):
        example = _example(Path(sample.path), p)
        names.append(f"{index}{example.suffix}")
        inputs.append(example.given)
        (folder / names[-1]).write_bytes(example.data)
        for kind, array in {**example.decoded, "input": example.given}.items():
            np.save(folder / f"{index}.{kind}.npy", array, allow_pickle=False)
    return _batches(inputs, p), tuple(names)


def read_inputs(folder: Path, count: int, p: Preprocessing) -> tuple[NDArray[Any], ...]:
    """The inputs that `write_examples` wrote, in the same batches."""
    return _batches([np.load(folder / f"{index}.input.npy", allow_pickle=False) for index in range(count)], p)


def _batches(inputs: Sequence[NDArray[Any]], p: Preprocessing) -> tuple[NDArray[Any], ...]:
    """All of one shape at once, else one by one, as a device takes them."""
    if p.port.has_open_length:
        return tuple(each[None] for each in inputs)
    return (np.stack(inputs),) if inputs else ()


def _example(path: Path, p: Preprocessing) -> _Example:
    if isinstance(p, TextPreprocessing):
        return _text(path, p)
    if isinstance(p, SeriesPreprocessing):
        return _window(path, p)
    return _clip(path, p) if isinstance(p, AudioPreprocessing) else _image(path, as_image(p))


def _text(path: Path, p: TextPreprocessing) -> _Example:
    # a file's last line break and its byte order mark are no part of a text
    text = read_example(path).strip(_AROUND)[:MAX_CHARACTERS].rstrip(_AROUND)
    return _Example(text.encode(), ".txt", encode_text(text, p, str(path)), {})


def _window(path: Path, p: SeriesPreprocessing) -> _Example:
    window = with_channels(read_window(path), str(path), p)[: MAX_WINDOWS * p.steps]
    return _Example(text_of_window(window), ".csv", fitted(window, p.steps), {"window": window})


def _clip(path: Path, p: AudioPreprocessing) -> _Example:
    sound = decode(path)
    short = replace(sound, samples=sound.samples[: MAX_WINDOWS * p.samples])
    given = windowed(at_network_rate(short, str(path), p), p)
    return _Example(encode_wav(short.samples, short.rate_hz), ".wav", given, {"samples": short.samples})


def _image(path: Path, p: ImagePreprocessing) -> _Example:
    data, suffix = _picture(path)
    rgb = decode_bytes(data, str(path))
    return _Example(data, suffix, resize(rgb, p), {"rgb": rgb})


def add_outputs(folder: Path, outputs: Mapping[str, Outputs]) -> None:
    """Add the golden outputs of models, by the stems of their files, to those in the golden folder.

    logits.safetensors   of classifiers: one tensor for each model
    outputs.safetensors  of others: `<stem>.<output>`
    """
    tensors = {
        stem if name == OUTPUT_NAME else f"{stem}.{name}": np.ascontiguousarray(values)
        for stem, found in outputs.items()
        for name, values in found.items()
    }
    classifies = all(name in outputs for name in tensors)
    path = folder / ("logits.safetensors" if classifies else "outputs.safetensors")
    save_file({**(load_file(path) if path.exists() else {}), **tensors}, path)


def _picture(path: Path) -> tuple[bytes, str]:
    """A JPEG or PNG file's bytes and ending."""
    data = read_bytes(path)
    rgb = decode_bytes(data, str(path))
    with Image.open(io.BytesIO(data)) as source:
        suffix = _KEPT.get(source.format or "")
        source.load()  # a PNG may carry texts behind its pixels
        if suffix and max(source.size) <= MAX_SIDE and _ABOUT_PIXELS.issuperset(source.info):
            return data, suffix
    picture = Image.fromarray(rgb)
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    if suffix == ".jpg":
        picture.save(made, "JPEG", quality=_QUALITY)
    else:
        picture.save(made, "PNG", optimize=True)
    return made.getvalue(), suffix or ".png"
