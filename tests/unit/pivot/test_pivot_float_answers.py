"""The float network's answers come back from their file, or the file is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgetl.errors import EdgetlError
from edgetl.pivot.float_answers import read_reference


@pytest.mark.parametrize(("name", "shape"), [("logits", (5, 3)), ("objects", (5, 100, 6))])
def test_answers_of_every_task_are_read(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    answers = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    save_file({name: answers}, tmp_path / "reference.safetensors")
    np.testing.assert_array_equal(read_reference(tmp_path / "reference.safetensors", name, 5), answers)


def test_a_reference_of_another_length_is_refused(tmp_path: Path) -> None:
    save_file({"logits": np.eye(6, 3, dtype=np.float32)}, tmp_path / "reference.safetensors")
    with pytest.raises(EdgetlError, match="expected logits of 5 validation examples; found shape"):
        read_reference(tmp_path / "reference.safetensors", "logits", 5)


def test_a_missing_reference_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgetlError, match="cannot read the reference logits"):
        read_reference(tmp_path / "absent", "logits", 5)
