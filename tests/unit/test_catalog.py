"""Targets and calibration profiles are data: each file is checked, typos get the nearest name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgetl.catalog import load_profile, load_target, profile_names, scheme_id, target_names
from edgetl.errors import UsageError

OWN = """
name: my-board
summary: "A board of my own"
backend: onnxruntime
machine: aarch64
accelerator: none
precisions: [int8, float32]
scheme: {activation_dtype: uint8, activation_symmetric: false}
"""


@pytest.mark.parametrize("name", target_names())
def test_every_shipped_target_is_sound(name: str) -> None:
    target = load_target(name)
    assert target.summary
    assert "float32" in target.precisions, "INT8 needs something to be measured against"
    if target.accelerator == "cuda":
        assert (target.scheme.activation_dtype, target.scheme.activation_symmetric) == ("int8", True)


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_is_sound(name: str) -> None:
    assert load_profile(name).images > 0


def test_x86_intel_and_arm_share_one_training() -> None:
    assert len({scheme_id(load_target(name).scheme) for name in ("x86-cpu", "intel-cpu", "arm64-cpu")}) == 1


def test_another_scheme_has_another_name() -> None:
    scheme = load_target("x86-cpu").scheme
    assert scheme_id(scheme) != scheme_id(replace(scheme, weight_pairs_in_int16=True))


def test_a_target_of_ones_own_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "my-board.yaml").write_text(OWN)
    assert load_target("my-board", (tmp_path,)).machine == "aarch64"
    assert "my-board" in target_names((tmp_path,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN.replace("machine", "machin"), "unknown key `machin`; did you mean `machine`"),
        (OWN.replace("activation_symmetric", "symmetric"), "scheme: unknown key `symmetric`"),
        (OWN.replace("uint8", "int4"), "`scheme.activation_dtype`"),
        (OWN.replace("my-board", "other"), "expected the file's own name"),
        ("[", "cannot read the target"),
        ("", "not a target"),
    ],
)
def test_a_wrong_target_file_is_explained(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "my-board.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        load_target("my-board", (tmp_path,))


def test_a_typo_in_a_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown target `x86-cpv`; did you mean `x86-cpu`\?"):
        load_target("x86-cpv")
    with pytest.raises(UsageError, match="unknown calibration profile"):
        load_profile("nope")
    with pytest.raises(UsageError, match="no such folder"):
        load_target("x86-cpu", (Path("absent"),))
