"""Peak resident memory of this process, resettable, from Linux's /proc; the lifetime peak elsewhere."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


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
