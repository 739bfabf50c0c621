"""Targets and calibration profiles are data: each file is checked, typos get the nearest name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgetl.errors import UsageError
from edgetl.recipes.targets import load_profile, load_target, profile_names, scheme_id, target_names

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


def test_the_order_of_operators_is_not_part_of_a_schemes_name() -> None:
    scheme = load_target("x86-cpu").scheme
    assert scheme_id(replace(scheme, operators=scheme.operators[::-1])) == scheme_id(scheme)
    assert scheme_id(replace(scheme, operators=("linear", "conv"))) != scheme_id(scheme)


def test_a_target_of_ones_own_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "my-board.yaml").write_text(OWN)
    assert load_target("my-board", (tmp_path,)).machine == "aarch64"
    assert "my-board" in target_names((tmp_path,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN.replace("machine", "machin"), "unknown key `machin`; did you mean `machine`"),
        (OWN.replace("activation_symmetric", "symmetric"), "scheme: unknown key `symmetric`"),
        (OWN.replace("uint8", "int4"), "`scheme.activation_dtype`: expected uint8, int8 or dynamic; found 'int4'"),
        (
            OWN.replace("false}", "false, operators: [conv, liner]}"),
            r"`scheme.operators.1`: expected conv, linear, .*; found 'liner'",
        ),
        (OWN.replace("my-board", "other"), "expected the file's own name"),
        ("[", r"my-board\.yaml: not valid YAML"),
        ("[" * 3000, r"my-board\.yaml: not valid YAML: nested too deeply"),
        ("", "not a target"),
    ],
)
def test_a_wrong_target_file_is_explained(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "my-board.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        load_target("my-board", (tmp_path,))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("images: 0", "`images`: expected at least 1, found 0"),
        ("images: -1", "`images`: expected at least 1, found -1"),
        ("images: many", "`images`: expected a whole number; found 'many'"),
        ("percentile: 0", "`percentile`: expected above 0 and at most 100, found 0"),
        ("percentile: 150", "`percentile`: expected above 0 and at most 100, found 150"),
        ("percentile: .nan", "`percentile`: expected above 0 and at most 100, found nan"),
        ("views: -3", "`views`: expected at least 0, found -3"),
        ("seed: -1", "`seed`: expected at least 0, found -1"),
        ("observer: median", "`observer`: expected min-max, .*; found 'median'"),
    ],
)
def test_a_number_that_no_calibration_can_have_is_refused_with_file_and_key(
    tmp_path: Path, line: str, words: str
) -> None:
    key = line.partition(":")[0]
    lines = ["name: mine", "summary: my own", "images: 8", "observer: percentile"]
    text = "\n".join([each for each in lines if not each.startswith(f"{key}:")] + [line])
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=rf"mine\.yaml: not a calibration profile: {words}"):
        load_profile("mine", (tmp_path,))


def test_a_typo_in_a_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown target `x86-cpv`; did you mean `x86-cpu`\?"):
        load_target("x86-cpv")
    with pytest.raises(UsageError, match="unknown calibration profile"):
        load_profile("nope")
    with pytest.raises(UsageError, match="no such folder"):
        load_target("x86-cpu", (Path("absent"),))
