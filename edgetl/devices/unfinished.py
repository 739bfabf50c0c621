"""Results of a command of which some devices failed: the same command takes them, and runs only the others."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetl.files.digest import value_digest
from edgetl.files.durable import write_text

_OLD_S = 24 * 3600.0


@dataclass(frozen=True)
class Unfinished:
    """A folder of the user's cache for one command."""

    folder: Path

    def get(self, name: str) -> bytes | None:
        """The result in a file of this name, if it is from the last 24 hours."""
        path = self.folder / name
        try:
            return path.read_bytes() if time.time() - path.stat().st_mtime < _OLD_S else None
        except OSError:
            return None

    def put(self, name: str, text: str) -> None:
        """Keep it. A cache that cannot be written is not used."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_text(self.folder / name, text)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def unfinished(command: Any) -> Unfinished:
    """The results of a command; `command` is everything that they depend on, as JSON."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Unfinished(Path(cache).expanduser() / "edgetl" / "devices" / value_digest(command)[:32])
