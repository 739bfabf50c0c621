"""`edgetl targets`, `edgetl doctor`, `edgetl clean`: for people and, with --json, for programs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cli_calls import Shell

from edgetl.backends.base import BACKENDS
from edgetl.recipes.targets import load_target, profile_names, target_names
from edgetl.store.results import open_store


def test_targets_are_listed_with_their_summaries(shell: Shell) -> None:
    lines = shell("targets").out.splitlines()
    assert [line.split()[0] for line in lines] == target_names()
    assert all(len(line.split()) > 2 for line in lines)
    assert [each["name"] for each in shell("targets", "--json").json()] == target_names()


@pytest.mark.parametrize("name", target_names())
def test_one_target_is_shown_whole(shell: Shell, name: str) -> None:
    shown = yaml.safe_load(shell("targets", name).out)
    assert shown["name"] == name
    assert shown["scheme"]["activation_dtype"] == load_target(name).scheme.activation_dtype
    as_json = shell("targets", name, "--json").json()
    assert as_json["backend"] == load_target(name).backend
    assert as_json["precisions"] == list(load_target(name).precisions)


def test_calibration_profiles_are_listed_and_shown(shell: Shell) -> None:
    assert [line.split()[0] for line in shell("targets", "--calibration").out.splitlines()] == profile_names()
    assert shell("targets", "--calibration", "default", "--json").json()["name"] == "default"


def test_calibration_profiles_of_the_users_own_are_listed(shell: Shell, tmp_path: Path) -> None:
    text = yaml.safe_load(shell("targets", "--calibration", "default").out) | {"name": "ours", "summary": "our ranges"}
    (tmp_path / "ours.yaml").write_text(yaml.safe_dump(text))
    assert "ours" in shell("targets", "--calibration-dir", tmp_path).out
    assert shell("targets", "ours", "--calibration-dir", tmp_path, "--json").json()["summary"] == "our ranges"


def test_targets_of_the_users_own_are_found(shell: Shell, tmp_path: Path) -> None:
    text = yaml.safe_load(shell("targets", "x86-cpu").out) | {"name": "my-box", "summary": "a box"}
    (tmp_path / "my-box.yaml").write_text(yaml.safe_dump(text))
    assert "my-box" in shell("targets", "--targets-dir", tmp_path).out
    assert shell("targets", "my-box", "--targets-dir", tmp_path, "--json").json()["summary"] == "a box"


def test_the_doctor_reports_every_backend(shell: Shell) -> None:
    answer = shell("doctor", "--json")
    assert answer.code == 0
    parts = {part["name"]: part for part in answer.json()}
    assert set(BACKENDS) <= set(parts)
    assert parts["null"]["uses"] == [{"name": "compile", "missing": None}, {"name": "run", "missing": None}]
    told = shell("doctor").out
    for name, part in parts.items():
        assert name in told
        for use in part["uses"]:
            if use["missing"]:
                assert use["missing"]["reason"] in told
                assert f"fix: {use['missing']['remedy']}" in told


def test_clean_names_what_it_removes_and_how_much(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def run(folder: Path) -> None:
        (folder / "network").write_bytes(bytes(3000))

    for number in range(2):
        with open_store(out) as store:
            store.once("adapt", 1, {"n": number}, run)
    dry = shell("clean", out, "--dry-run", "--json").json()
    assert [name[:6] for name in (each["name"] for each in dry["removed"])] == ["adapt-"]
    assert dry["freed_bytes"] > 3000
    told = shell("clean", out)
    assert told.code == 0
    assert dry["removed"][0]["name"] in told.out
    assert "1 removed" in told.out
    assert shell("clean", out).out.startswith("0 removed, 0 B; 1 kept, ")


def test_clean_refuses_what_is_no_output_folder(shell: Shell, tmp_path: Path) -> None:
    shell.refuses(2, ["not an output folder of edgetl", "expected the --out of a build"], "clean", tmp_path)
