"""Peak resident memory of this process, resettable, from Linux's /proc; the lifetime peak elsewhere."""

from __future__ import annotations

import errno
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from edgetl.errors import EdgetlError

_NO_MEMORY = (
    *("bad_alloc", "failed to map segment", "cannot allocate memory", "can't allocate memory"),
    *("out of memory", "not enough memory", "can't start new thread", "failed to allocate memory"),
    *("memory allocation of", "memory allocation still failed"),  # Rust, OpenBLAS
    "returned null without setting an exception",  # Python's own message
)


def available_bytes() -> int:
    """Memory that this process can still allocate: of the machine, and of its cgroup if that is limited."""
    free = [psutil.virtual_memory().available]
    try:
        most = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")
        used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii")
        free.append(int(most) - int(used))
    except (OSError, ValueError):  # unlimited ("max"), or not a version 2 cgroup
        pass
    return max(min(free), 0)


def limit_memory(size_bytes: int) -> None:
    """Make allocations of this process beyond `size_bytes` fail, as C's malloc and C++'s new report it."""
    resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, size_bytes))


def reset_peak_rss() -> None:
    """Start a new peak. Without /proc/self/clear_refs the peak stays that of the whole process."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_rss_bytes() -> int:
    """Largest resident set since `reset_peak_rss`, in bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or its cause, means that memory ran out."""
    return any(map(_is_of_memory, _causes(error)))


def says_out_of_memory(text: str) -> bool:
    """Whether a library's message means that; libraries use many kinds of exceptions for it."""
    return any(words in text.lower() for words in _NO_MEMORY)


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    ours = isinstance(error, EdgetlError)  # these name files, which may have any name
    return isinstance(error, MemoryError) or (not ours and says_out_of_memory(str(error)))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
