"""The programs for the device, as tests call them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.resize import resize
from edgetl.types import as_image


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


def python_logits(folder: Path, images: Sequence[Path]) -> NDArray[np.float32]:
    """(N, classes) of a bundle in Python, on one thread."""
    bundle = read_bundle(folder)
    with open_bundle(bundle, threads=1) as engine:
        inputs = [resize(decode(path), as_image(bundle.manifest.preprocessing))[None] for path in images]
        return np.concatenate([np.asarray(engine.infer({"image": each})["logits"], np.float32) for each in inputs])
