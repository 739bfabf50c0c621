"""Call the command line in this process, as a shell would see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgetl.cli import main


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was said on stderr."""
        return self.err.splitlines()

    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """`shell("targets", "--json")`"""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str | Path) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        out, err = self.capsys.readouterr()
        return Done(ended.value.code, out, err)

    def refuses(self, code: int, words: Sequence[str], *arguments: str | Path) -> str:
        """The command ends with `code`, one clear line that has all `words`, and nothing on stdout."""
        answer = self(*arguments)
        assert answer.code == code, (answer.out, answer.err)
        assert answer.out == ""
        assert len(answer.lines) == 1, answer.err
        assert answer.lines[0].startswith("edgetl: ")
        for word in words:
            assert word in answer.err, answer.err
        return answer.err


def write_images(folder: Path, counts: dict[str, int]) -> Path:
    """Small different pictures, one sub-folder per class."""
    rng = np.random.default_rng(0)
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for index in range(count):
            picture = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / label / f"{index}.png")
    return folder


RECIPE = """
name: pets
data: {train: photos, shots: 2}
backbone: {name: "edgetl:printed_characters"}
targets: [x86-cpu]
"""


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path
