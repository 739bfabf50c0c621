"""A command that ends well names the next one, ready to be typed; not to programs, and not with --quiet."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_calls import Shell, write_images, write_recipe

from edgetl.cli.next_step import near

RECIPE = """
name: pets
data: {train: photos, shots: 2}
backbone: {name: "edgetl:printed_characters"}
targets: [x86-cpu]
check: {features: false}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", {"cat": 4, "dog": 4})
    return write_recipe(tmp_path)


def test_the_next_command_repeats_the_options_that_it_needs(shell: Shell, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out of here"
    answer = shell("check", recipe, "--set", "data.shots=1", "--out", out)
    assert answer.code == 0, answer.err
    assert answer.lines[-1] == f"next: edgetl build {recipe} --set data.shots=1 --out '{out}'"
    assert "next:" not in answer.out


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_programs_are_not_told(shell: Shell, recipe: Path, option: str) -> None:
    assert "next:" not in shell("check", recipe, option).err


def test_what_failed_names_no_next_command(shell: Shell, recipe: Path) -> None:
    assert "next:" not in shell("check", recipe, "--set", "data.shots=99").err


def test_a_path_below_the_current_folder_is_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert near(tmp_path / "bundles" / "a") == "bundles/a"
    assert near(tmp_path.parent) == str(tmp_path.parent)
