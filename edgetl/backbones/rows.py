"""Arrays that are computed once and cached on disk: float16, memory-mapped per read, resumed after a kill.

A file beside the array has the CRC-32 of its header and of each batch of rows (`Digests`); a batch that does not match
is computed again. CRC-32 finds every burst error of up to 32 bits at twice the speed of SHA-256, and nobody forges a
cache.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.files.durable import Damaged, damaged, read_sealed, write_sealed
from edgetl.types import Advance

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Rows:
    """float16 (N, ...) in one .npy file. Each read maps and unmaps the file, so only the rows read are in memory."""

    path: Path
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, indices: Sequence[int] | None = None) -> NDArray[np.float32]:
        """float32 rows in the order of `indices`, or all rows without them."""
        mapped = np.load(self.path, mmap_mode="r")
        return np.asarray(mapped if indices is None else mapped[np.asarray(indices, np.int64)], np.float32)


@dataclass(frozen=True)
class Digests:
    """The expected content of an array on disk: `batches` has the CRC-32 of each batch of rows, None for a missing one.

    offset  bytes of the .npy header, whose CRC-32 is `header`
    """

    shape: tuple[int, ...]
    batch_size: int
    offset: int
    header: int
    batches: tuple[int | None, ...]

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64)) * np.dtype(np.float16).itemsize

    def place(self, batch: int) -> tuple[int, int]:
        """The offset of a batch in the file, and its size in bytes."""
        first = batch * self.batch_size
        rows = min(self.batch_size, self.shape[0] - first)
        return self.offset + first * self.row_bytes, rows * self.row_bytes


def compute_rows(
    paths: Sequence[Path],
    count: int,
    produce: Callable[[range], Sequence[NDArray[np.floating]]],
    *,
    batch_size: int,
    advance: Advance,
    note: Callable[[str], None],
) -> list[Rows]:
    """One array of `count` rows per path, computed together, batch by batch, unless they already exist.

    produce  for n row numbers one (n, ...) array per path; values beyond float16's range are clipped
    note     gets one line about a file that was damaged
    A path must identify the content (a digest of all inputs of the rows). Every existing batch is read once and
    compared with its digest. A killed run leaves complete batches, and the next one computes the others.
    """
    total = -(-count // batch_size)
    found = [_intact(path, count, batch_size, note) for path in paths]
    missing = [batch for batch in range(total) if any(each is None or each.batches[batch] is None for each in found)]
    advance(count - sum(len(_numbers(batch, batch_size, count)) for batch in missing))
    for batch in missing:
        numbers = _numbers(batch, batch_size, count)
        for index, (path, values) in enumerate(zip(paths, produce(numbers), strict=True)):
            known = found[index]
            if known is None or known.batches[batch] is None:
                kept = np.clip(values, -_LARGEST, _LARGEST).astype(np.float16)
                known = known or _create(path, (count, *kept.shape[1:]), batch_size)
                found[index] = _put(path, known, batch, kept.tobytes())
        advance(len(numbers))
    return [Rows(path, _shape(path)) for path in paths]


def _numbers(batch: int, batch_size: int, count: int) -> range:
    return range(batch * batch_size, min((batch + 1) * batch_size, count))


def _put(path: Path, known: Digests, batch: int, data: bytes) -> Digests:
    # plain writes: on a full disk they raise, while a store into mapped memory kills the process
    with path.open("r+b") as file:
        file.seek(known.place(batch)[0])
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    # the digest comes last: a batch without one does not exist
    batches = (*known.batches[:batch], zlib.crc32(data), *known.batches[batch + 1 :])
    now = replace(known, batches=batches)
    write_sealed(_digests_path(path), json.dumps(asdict(now)).encode())
    return now


def _create(path: Path, shape: tuple[int, ...], batch_size: int) -> Digests:
    """A file of full length without any row; it takes disk space only as rows are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _digests_path(path).unlink(missing_ok=True)
    offset = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape).offset
    with path.open("rb") as file:
        header = zlib.crc32(file.read(offset))
    return Digests(shape, batch_size, offset, header, (None,) * -(-shape[0] // batch_size))


def _intact(path: Path, count: int, batch_size: int, note: Callable[[str], None]) -> Digests | None:
    """The digests of the existing batches, None for damaged ones; None if there is no array at all."""
    try:
        known = _read_digests(path)
        with path.open("rb") as file:
            whole = zlib.crc32(file.read(known.offset)) == known.header
            batches = tuple(_same(file.fileno(), known, batch) for batch in range(len(known.batches)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        note(damaged(path))
        return None
    if (known.shape[0], known.batch_size) != (count, batch_size):
        return None
    if not whole:
        note(damaged(path))
        return None
    broken = sum(now is None and before is not None for now, before in zip(batches, known.batches, strict=True))
    if broken:
        note(damaged(path, f"{broken} of {len(batches)} batches "))
    return replace(known, batches=batches)


def _same(file: int, known: Digests, batch: int) -> int | None:
    digest = known.batches[batch]
    if digest is None:
        return None
    offset, size = known.place(batch)
    return digest if zlib.crc32(os.pread(file, size, offset)) == digest else None


def _read_digests(path: Path) -> Digests:
    """Raises OSError, Damaged."""
    try:
        record = json.loads(read_sealed(_digests_path(path)))
        return Digests(**{**record, "shape": tuple(record["shape"]), "batches": tuple(record["batches"])})
    except (KeyError, TypeError) as error:
        raise Damaged(path) from error


def _shape(path: Path) -> tuple[int, ...]:
    shape: tuple[int, ...] = np.load(path, mmap_mode="r").shape
    return shape


def _digests_path(path: Path) -> Path:
    return path.with_suffix(".digests")
