"""The programs for the device, as tests call them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Apps:
    """The built programs. `library`: the options that name onnxruntime's shared library."""

    bin: Path
    library: tuple[str, ...]

    def __call__(self, app: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / app), *map(str, arguments)]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=variables | environment, check=False
        )

    def json(self, app: str, *arguments: str | Path) -> Any:
        done = self(app, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refuses(self, code: int, words: str, app: str, *arguments: str | Path) -> None:
        """The app ends with `code`, nothing on stdout, and one line that begins with its name and has `words`."""
        done = self(app, *arguments)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert done.stdout == ""
        assert done.stderr.startswith(f"{app}: ")
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert words in done.stderr


@dataclass(frozen=True)
class Engine:
    target: str
    name: str
    library: Path
