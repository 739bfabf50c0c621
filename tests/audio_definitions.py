"""The torch definitions beside the weights of the sound networks, and real clips to compare with them on."""

from __future__ import annotations

import importlib.util
import wave
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

RATE = 16000


def definition(shared: Path, name: str) -> ModuleType:
    """The torch module beside a network's weights."""
    path = shared / "weights" / name / "model.py"
    if not path.is_file():
        pytest.skip(f"no pretrained network here: {path.parent.name}/model.py")
    spec = importlib.util.spec_from_file_location(f"definition_of_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clips(shared: Path) -> NDArray[np.int16]:
    """(9, 16000): three clips of each of three words."""
    found = []
    for word in ("bed", "cat", "happy"):
        for path in sorted((shared / "data" / "keywords" / "val" / word).glob("*.wav"))[:3]:
            with wave.open(str(path)) as file:
                heard = np.frombuffer(file.readframes(RATE), "<i2")
            found.append(np.pad(heard, (0, RATE - len(heard))))
    return np.stack(found)


def unit(samples: NDArray[np.int16]) -> torch.Tensor:
    return torch.from_numpy(samples.astype(np.float32) / 32768)
