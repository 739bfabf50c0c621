"""Equal files, equal pixels, copies and similar images, and the problems they cause."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from edgetl.checks.copies.confirm import is_same
from edgetl.checks.copies.near_duplicates import COLOR_SIDE, SIDE, near_pairs
from edgetl.errors import DataError
from edgetl.files.durable import read_sealed, write_sealed
from edgetl.fronts.image.decode import decode
from edgetl.types import Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Progress, Sample

MAX_PRINTS_BYTES = 8_000_000_000

Kind = Literal["bytes", "pixels", "copy", "near"]
"""How two images match: equal files, equal pixels, one made from the other; `near`: they only look alike."""
Side = Literal["train", "val"]

_TRIED = 4  # similar images per image that are compared at full detail, the closest first


@dataclass(frozen=True, eq=False)
class Prints:
    """Fingerprints of images, in the order of their samples.

    sha256      of each file's bytes, hex
    pixels      uint8 (N, 32): sha256 of size and decoded RGB values
    thumbnails  uint8 (N, 64, 64): gray, squashed to a square
    colors     uint8 (N, 16, 16, 3): RGB, likewise
    """

    sha256: tuple[str, ...]
    pixels: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]
    colors: NDArray[np.uint8]


@dataclass(frozen=True)
class Copy:
    """Two images that are or may be the same, as indexes of the samples. `correlation` of the thumbnails: 1.0 if their
    pixels are equal."""

    first: int
    second: int
    kind: Kind
    correlation: float


@dataclass(frozen=True)
class Findings:
    """Copies by problem; a pair may be both a leak and a contradiction.

    leaks           first is in training, second in validation; for each validation image its closest
    contradictions  two labels, on either side or both; for each image its closest
    redundant       same side and label; one for each image after the first
    """

    leaks: tuple[Copy, ...]
    contradictions: tuple[Copy, ...]
    redundant: tuple[Copy, ...]


def fingerprints(samples: Sequence[Sample], progress: Progress | None = None, *, known: Prints | None = None) -> Prints:
    """Decode each file once and keep its fingerprint; 5 KiB per sample. Samples with the same sha256 share one
    decoding.

    known   earlier prints: their files are not decoded again
    Raises UnreadableImage (a DataError).
    """
    pixels = np.empty((len(samples), 32), np.uint8)
    thumbnails = np.empty((len(samples), SIDE, SIDE), np.uint8)
    colors = np.empty((len(samples), COLOR_SIDE, COLOR_SIDE, 3), np.uint8)
    old = {} if known is None else {sha256: row for row, sha256 in enumerate(known.sha256)}
    first: dict[str, int] = {}
    with (progress or Silent()).task("looking for copies", total=len(samples)) as advance:
        for row, sample in enumerate(samples):
            same = first.setdefault(sample.sha256, row)
            if same != row:
                pixels[row], thumbnails[row], colors[row] = pixels[same], thumbnails[same], colors[same]
            elif known is not None and sample.sha256 in old:
                at = old[sample.sha256]
                pixels[row], thumbnails[row], colors[row] = known.pixels[at], known.thumbnails[at], known.colors[at]
            else:
                pixels[row], thumbnails[row], colors[row] = _print(decode(Path(sample.path)))
            advance(1, Path(sample.path).name)
    return Prints(tuple(sample.sha256 for sample in samples), pixels, thumbnails, colors)


def write_prints(prints: Prints, path: Path) -> None:
    """Write prints as a sealed .npz without pickle; a reader sees the old file or the complete new one."""
    stream = io.BytesIO()
    sha256 = np.frombuffer(bytes.fromhex("".join(prints.sha256)), np.uint8).reshape(-1, 32)
    np.savez(stream, sha256=sha256, pixels=prints.pixels, thumbnails=prints.thumbnails, colours=prints.colors)
    write_sealed(path, stream.getvalue())


def read_prints(path: Path) -> Prints:
    """Read a file of `write_prints`. Raises DataError if it is missing or damaged."""
    try:
        if path.stat().st_size > MAX_PRINTS_BYTES:
            raise DataError(f"{path}: larger than {MAX_PRINTS_BYTES} bytes; expected image prints, delete it")
        with np.load(io.BytesIO(read_sealed(path)), allow_pickle=False) as arrays:
            sha256, pixels, thumbnails, colors = (
                arrays[name] for name in ("sha256", "pixels", "thumbnails", "colours")
            )
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; delete it") from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not image prints ({error}); delete it") from error
    count = len(sha256) if sha256.ndim else 0
    shapes = [
        *((sha256, (count, 32)), (pixels, (count, 32))),
        *((thumbnails, (count, SIDE, SIDE)), (colors, (count, COLOR_SIDE, COLOR_SIDE, 3))),
    ]
    if any(array.dtype != np.uint8 or array.shape != shape for array, shape in shapes):
        raise DataError(f"{path}: image prints of an unexpected shape; delete it")
    return Prints(tuple(bytes(row).hex() for row in sha256), pixels, thumbnails, colors)


def find_copies(
    prints: Prints, progress: Progress | None = None, *, sides: Sequence[Side] | None = None
) -> tuple[Copy, ...]:
    """Equal and similar images, each pair with `first` < `second`, ordered by both.

    Equal files and equal pixels are linked to the first image with the same content, so N images give at most N such
    copies. Near ones are pairs of different contents, each represented by its first image. `near_pairs` says which
    images are compared. For many frames of a fixed camera not every pair is listed, but with `sides` every validation
    image that is near a training image is in a pair with one. Images without contrast (below two gray levels of
    standard deviation) are never near.

    All hashes are compared: 20,000 images are 1.6e9 comparisons of 64 bits. Memory grows only with N.
    """
    exact, contents, content_of = equal_contents(prints.sha256, prints.pixels)
    kept = np.array(contents, np.intp)
    in_training = in_validation = None
    if sides is not None:
        in_training, in_validation = np.zeros(len(contents), np.bool_), np.zeros(len(contents), np.bool_)
        for content, side in zip(content_of, sides, strict=True):
            (in_training if side == "train" else in_validation)[content] = True
    near = near_pairs(
        prints.thumbnails[kept],
        prints.colors[kept],
        progress or Silent(),
        in_training=in_training,
        in_validation=in_validation,
    )
    pairs = [Copy(contents[i], contents[j], "near", value) for (i, j), value in near.items()]
    return tuple(sorted((*exact, *pairs), key=lambda copy: (copy.first, copy.second)))


def confirm_copies(
    copies: Sequence[Copy],
    prints: Prints,
    samples: Sequence[Sample],
    sides: Sequence[Side],
    progress: Progress | None = None,
) -> tuple[Copy, ...]:
    """The copies, with the kind `copy` instead of `near` if full detail shows that one was made from the other.

    Compares pairs across the sides and pairs with two labels: for each validation image, or the later image on one
    side, the 4 closest, up to the first that is a copy. Decodes both of each pair. Raises UnreadableImage.
    """
    content_of = equal_contents(prints.sha256, prints.pixels)[2]
    on = _sides_and_labels(content_of, samples, sides)
    asked: dict[int, list[int]] = {}
    for place, copy in enumerate(copies):
        one, other = on[content_of[copy.first]], on[content_of[copy.second]]
        if copy.kind == "near" and len(one | other) > 1:
            measured = copy.first if sides[copy.second] == "train" and sides[copy.first] == "val" else copy.second
            asked.setdefault(measured, []).append(place)
    confirmed = list(copies)
    with (progress or Silent()).task("comparing similar images", total=len(asked)) as advance:
        for places in asked.values():
            for place in sorted(places, key=lambda place: -copies[place].correlation)[:_TRIED]:
                copy = copies[place]
                thumbnails = prints.thumbnails[copy.first], prints.thumbnails[copy.second]
                pictures = [decode(Path(samples[index].path)) for index in (copy.first, copy.second)]
                if is_same(pictures[0], pictures[1], thumbnails):
                    confirmed[place] = replace(copy, kind="copy")
                    break
            advance(1)
    return tuple(confirmed)


def across(copies: Sequence[Copy], sides: Sequence[Side], labels: Sequence[int]) -> Findings:
    """Sort copies by problem. `sides` and `labels` belong to the samples of the prints.

    Equality is transitive: an image equal to a copy of another is also that other's copy; `near` likewise. Raises
    ValueError if the numbers of sides and labels differ.
    """
    if len(sides) != len(labels):
        raise ValueError(f"expected a label for each of {len(sides)} sides, found {len(labels)}")
    partners = _Partners(copies, sides, labels)
    leaks: list[Copy] = []
    contradictions: dict[tuple[int, int], Copy] = {}
    redundant: list[Copy] = []
    for index, (side, label) in enumerate(zip(sides, labels, strict=True)):
        others = partners.of(index)
        leak = _closest(other for other in others if side == "val" and sides[other[2]] == "train")
        if leak:
            leaks.append(Copy(leak[2], index, leak[0], leak[1]))
        wrong = _closest(other for other in others if labels[other[2]] != label)
        if wrong:
            pair = min(index, wrong[2]), max(index, wrong[2])
            contradictions[pair] = Copy(*pair, wrong[0], wrong[1])
        again = _closest(o for o in others if o[2] < index and (sides[o[2]], labels[o[2]]) == (side, label))
        if again:
            redundant.append(Copy(again[2], index, again[0], again[1]))
    return Findings(tuple(leaks), tuple(contradictions[pair] for pair in sorted(contradictions)), tuple(redundant))


_Partner = tuple[Kind, float, int]  # how, correlation, which sample


class _Partners:
    """For an image, one copy of each content, side and label: enough to find the closest of any kind."""

    def __init__(self, copies: Sequence[Copy], sides: Sequence[Side], labels: Sequence[int]) -> None:
        count = len(sides)
        self.by_bytes = _roots(count, [copy for copy in copies if copy.kind == "bytes"])
        self.content = _roots(count, [copy for copy in copies if copy.kind in ("bytes", "pixels")])
        # two of each, so that one is left besides the image itself
        self.members: dict[int, dict[tuple[Side, int], list[int]]] = {}
        for index, (side, label) in enumerate(zip(sides, labels, strict=True)):
            members = self.members.setdefault(self.content[index], {}).setdefault((side, label), [])
            if len(members) < 2:
                members.append(index)
        self.alike: dict[int, list[tuple[int, Kind, float]]] = {}
        for copy in copies:
            if copy.kind in ("copy", "near"):
                first, second = self.content[copy.first], self.content[copy.second]
                self.alike.setdefault(first, []).append((second, copy.kind, copy.correlation))
                self.alike.setdefault(second, []).append((first, copy.kind, copy.correlation))

    def of(self, index: int) -> list[_Partner]:
        found: list[_Partner] = []
        own = self.content[index]
        for members in self.members[own].values():
            for other in members:
                if other != index:
                    found.append(("bytes" if self.by_bytes[other] == self.by_bytes[index] else "pixels", 1.0, other))
        for content, kind, correlation in self.alike.get(own, ()):
            found.extend((kind, correlation, members[0]) for members in self.members[content].values())
        return found


def _closest(partners: Iterator[_Partner]) -> _Partner | None:
    order = {"bytes": 0, "pixels": 1, "copy": 2, "near": 3}
    return min(partners, key=lambda partner: (order[partner[0]], -partner[1], partner[2]), default=None)


def _roots(count: int, links: Sequence[Copy]) -> list[int]:
    roots = list(range(count))

    def root(index: int) -> int:
        while roots[index] != index:
            roots[index] = roots[roots[index]]
            index = roots[index]
        return index

    for link in links:
        low, high = sorted((root(link.first), root(link.second)))
        roots[high] = low
    return [root(index) for index in range(count)]


def _sides_and_labels(
    content_of: Sequence[int], samples: Sequence[Sample], sides: Sequence[Side]
) -> dict[int, set[tuple[Side, int]]]:
    on: dict[int, set[tuple[Side, int]]] = {}
    for content, sample, side in zip(content_of, samples, sides, strict=True):
        on.setdefault(content, set()).add((side, sample.truth if isinstance(sample.truth, int) else 0))
    return on


def _print(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    digest = hashlib.sha256(f"{rgb.shape}".encode())
    digest.update(rgb.data)
    picture = Image.fromarray(rgb)
    gray = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    color = picture.resize((COLOR_SIDE, COLOR_SIDE), Image.Resampling.BILINEAR)
    return np.frombuffer(digest.digest(), np.uint8), np.asarray(gray), np.asarray(color)


def equal_contents(sha256s: Sequence[str], digests: NDArray[np.uint8]) -> tuple[list[Copy], list[int], list[int]]:
    """Copies with equal bytes or equal digests of what they decode to (N, 32), the first file of each content, and the
    content of each file."""
    copies: list[Copy] = []
    by_bytes: dict[str, int] = {}
    by_pixels: dict[bytes, int] = {}
    for index, (sha256, pixels) in enumerate(zip(sha256s, digests, strict=True)):
        file, content = by_bytes.setdefault(sha256, index), by_pixels.setdefault(bytes(pixels), index)
        if file != index:
            copies.append(Copy(file, index, "bytes", 1.0))
        elif content != index:
            copies.append(Copy(content, index, "pixels", 1.0))
    number = {first: content for content, first in enumerate(by_pixels.values())}
    return copies, list(by_pixels.values()), [number[by_pixels[bytes(pixels)]] for pixels in digests]
