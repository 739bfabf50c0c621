"""The same picture twice: equal files, equal pixels and near copies, and what is wrong about them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from edgetl.data.images import decode
from edgetl.data.near import SIDE, near_pairs
from edgetl.errors import DataError
from edgetl.progress import Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Progress, Sample

MAX_PRINTS_BYTES = 8_000_000_000

Kind = Literal["bytes", "pixels", "near"]
Side = Literal["train", "val"]


@dataclass(frozen=True, eq=False)
class Prints:
    """What pictures are recognised by, in the order of the samples they were made from.

    sha256      of each file's bytes, hex
    pixels      uint8 (N, 32): sha256 of size and RGB values once decoded
    thumbnails  uint8 (N, 64, 64): grey, squashed to the square
    """

    sha256: tuple[str, ...]
    pixels: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]


@dataclass(frozen=True)
class Copy:
    """Two pictures that are one, as indexes of the samples. `correlation` of the thumbnails: 1.0 unless near."""

    first: int
    second: int
    kind: Kind
    correlation: float


@dataclass(frozen=True)
class Findings:
    """Copies by what is wrong about them; a pair may be a leak and a contradiction.

    leaks           first teaches, second measures; one for each picture that measures, its closest
    contradictions  two labels on either side or both; one for each picture, its closest
    redundant       same side and label; one for each picture after the first
    """

    leaks: tuple[Copy, ...]
    contradictions: tuple[Copy, ...]
    redundant: tuple[Copy, ...]


def fingerprints(samples: Sequence[Sample], progress: Progress | None = None, *, known: Prints | None = None) -> Prints:
    """Decode each file once and keep what recognises it; 4 KiB per sample. Samples with one sha256 share one decoding.

    known   earlier prints: their files are not decoded again
    Raises UnreadableImage (a DataError).
    """
    pixels = np.empty((len(samples), 32), np.uint8)
    thumbnails = np.empty((len(samples), SIDE, SIDE), np.uint8)
    old = {} if known is None else {sha256: row for row, sha256 in enumerate(known.sha256)}
    first: dict[str, int] = {}
    with (progress or Silent()).task("looking for copies", total=len(samples)) as advance:
        for row, sample in enumerate(samples):
            same = first.setdefault(sample.sha256, row)
            if same != row:
                pixels[row], thumbnails[row] = pixels[same], thumbnails[same]
            elif known is not None and sample.sha256 in old:
                pixels[row], thumbnails[row] = known.pixels[old[sample.sha256]], known.thumbnails[old[sample.sha256]]
            else:
                pixels[row], thumbnails[row] = _print(decode(Path(sample.path)))
            advance(1, Path(sample.path).name)
    return Prints(tuple(sample.sha256 for sample in samples), pixels, thumbnails)


def write_prints(prints: Prints, path: Path) -> None:
    """Write prints as .npz without pickle; a reader sees the old file or the whole new one."""
    aside = path.with_name(path.name + ".part")
    with aside.open("wb") as stream:
        sha256 = np.frombuffer(bytes.fromhex("".join(prints.sha256)), np.uint8).reshape(-1, 32)
        np.savez(stream, sha256=sha256, pixels=prints.pixels, thumbnails=prints.thumbnails)
    aside.replace(path)


def read_prints(path: Path) -> Prints:
    """Read what `write_prints` wrote. Raises DataError when it is absent or damaged."""
    try:
        if path.stat().st_size > MAX_PRINTS_BYTES:
            raise DataError(f"{path}: larger than {MAX_PRINTS_BYTES} bytes; expected prints of pictures, delete it")
        with zipfile.ZipFile(path) as archive:  # stored as they are, members are no larger than the file
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("its arrays are compressed")
        with np.load(path, allow_pickle=False) as arrays:
            sha256, pixels, thumbnails = (arrays[name] for name in ("sha256", "pixels", "thumbnails"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; delete it") from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: no prints of pictures ({error}); delete it") from error
    count = len(sha256) if sha256.ndim else 0
    shapes = [(sha256, (count, 32)), (pixels, (count, 32)), (thumbnails, (count, SIDE, SIDE))]
    if any(array.dtype != np.uint8 or array.shape != shape for array, shape in shapes):
        raise DataError(f"{path}: prints of another shape than expected; delete it")
    return Prints(tuple(bytes(row).hex() for row in sha256), pixels, thumbnails)


def find_copies(prints: Prints, progress: Progress | None = None) -> tuple[Copy, ...]:
    """All copies, each with `first` < `second`, ordered by both.

    Equal files and equal pixels are linked to the first picture with the same content, so N pictures give at most N
    such copies; near copies are pairs of different contents, of each content its first picture. At most 16 earlier
    pictures are compared with each, those with the nearest hashes: of many frames of a camera that does not move, not
    every pair is listed. Pictures without contrast (below two grey levels of standard deviation) are never near.

    All hashes are compared: 20,000 pictures are 1.6e9 comparisons of 64 bits. Memory grows with N only.
    """
    exact, contents = _exact(prints)
    kept = np.array(contents, np.intp)
    near = near_pairs(prints.thumbnails[kept], progress or Silent())
    pairs = [Copy(contents[i], contents[j], "near", value) for (i, j), value in near.items()]
    return tuple(sorted((*exact, *pairs), key=lambda copy: (copy.first, copy.second)))


def across(copies: Sequence[Copy], sides: Sequence[Side], labels: Sequence[int]) -> Findings:
    """Sort copies by what is wrong about them. `sides` and `labels` belong to the samples the prints were made from.

    Equality is carried on: a picture equal to a near copy of another is that other's near copy as well. Raises
    ValueError when there are not as many sides as labels.
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
    """For a picture, one copy of it from each content, side and label: enough to find the closest of any sort."""

    def __init__(self, copies: Sequence[Copy], sides: Sequence[Side], labels: Sequence[int]) -> None:
        count = len(sides)
        self.by_bytes = _roots(count, [copy for copy in copies if copy.kind == "bytes"])
        self.content = _roots(count, [copy for copy in copies if copy.kind != "near"])
        # two of each, so that one is left beside the picture itself
        self.members: dict[int, dict[tuple[Side, int], list[int]]] = {}
        for index, (side, label) in enumerate(zip(sides, labels, strict=True)):
            members = self.members.setdefault(self.content[index], {}).setdefault((side, label), [])
            if len(members) < 2:
                members.append(index)
        self.near: dict[int, list[tuple[int, float]]] = {}
        for copy in copies:
            if copy.kind == "near":
                first, second = self.content[copy.first], self.content[copy.second]
                self.near.setdefault(first, []).append((second, copy.correlation))
                self.near.setdefault(second, []).append((first, copy.correlation))

    def of(self, index: int) -> list[_Partner]:
        found: list[_Partner] = []
        own = self.content[index]
        for members in self.members[own].values():
            for other in members:
                if other != index:
                    found.append(("bytes" if self.by_bytes[other] == self.by_bytes[index] else "pixels", 1.0, other))
        for content, correlation in self.near.get(own, ()):
            found.extend(("near", correlation, members[0]) for members in self.members[content].values())
        return found


def _closest(partners: Iterator[_Partner]) -> _Partner | None:
    order = {"bytes": 0, "pixels": 1, "near": 2}
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


def _print(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    digest = hashlib.sha256(f"{rgb.shape}".encode())
    digest.update(rgb.data)
    grey = Image.fromarray(rgb).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.frombuffer(digest.digest(), np.uint8), np.asarray(grey)


def _exact(prints: Prints) -> tuple[list[Copy], list[int]]:
    """Copies with equal bytes or pixels, and the first picture of each content."""
    copies: list[Copy] = []
    by_bytes: dict[str, int] = {}
    by_pixels: dict[bytes, int] = {}
    for index, (sha256, pixels) in enumerate(zip(prints.sha256, prints.pixels, strict=True)):
        file, content = by_bytes.setdefault(sha256, index), by_pixels.setdefault(bytes(pixels), index)
        if file != index:
            copies.append(Copy(file, index, "bytes", 1.0))
        elif content != index:
            copies.append(Copy(content, index, "pixels", 1.0))
    return copies, list(by_pixels.values())
