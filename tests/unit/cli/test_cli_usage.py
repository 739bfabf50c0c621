"""Wrong usage ends in one line that says what was meant and exit code 2; nothing is created."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_calls import RECIPE, Shell, write_images, write_recipe

from edgetl.cli import COMMANDS, GROUPS


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", {"cat": 4, "dog": 4})
    return write_recipe(tmp_path)


def test_an_unknown_command_names_the_nearest(shell: Shell) -> None:
    shell.refuses(2, ["unknown command `bild`; did you mean `build`?"], "bild")
    assert "commands are: new, check" in shell.refuses(2, ["unknown command"], "xyzzy")


def test_every_command_has_help_and_a_summary(shell: Shell) -> None:
    for name in COMMANDS:
        answer = shell(name, "--help")
        assert answer.code == 0
        assert answer.out.startswith(f"Usage: edgetl {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal_of_80_columns(shell: Shell, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in shell(name, "--help").out.splitlines() if len(line) > 80] == []


def test_help_lists_the_options_of_a_command_before_those_of_every_recipe(shell: Shell) -> None:
    text = shell("bench", "--help").out
    places = [text.index(words) for words in ("--runs", "Recipe options:", "--set", "Output and help:", "--json")]
    assert places == sorted(places)
    assert "Recipe options:" not in shell("verify", "--help").out


def test_without_arguments_there_is_help(shell: Shell) -> None:
    assert all(f"\n{heading}:\n" in shell().err for heading in GROUPS)
    assert shell("--version").out.startswith("edgetl, version ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build"], ["Missing argument 'RECIPE'", "edgetl build --help"]),
        (["predict", "bundle"], ["Missing argument 'FILES...'"]),
        (["build", "recipe.yaml", "--sett", "a=1"], ["No such option '--sett'. Did you mean '--set'?"]),
        (["build", "recipe.yaml", "--xyz", "a"], ["No such option '--xyz' (see: edgetl build --help)"]),
        (["bench", "bundle", "--runs", "0"], ["--runs", "x>=1"]),
        (["bench", "bundle", "--threads", "0"], ["--threads"]),
        (["predict", "bundle", "image", "--top", "none"], ["--top", "'none'"]),
        (["select", "recipe.yaml", "--max-ms", "nan"], ["--max-ms", "expected a finite number; found nan"]),
        (["select", "recipe.yaml", "--max-ms", "inf"], ["--max-ms", "expected a finite number; found inf"]),
        (["select", "recipe.yaml", "--max-ms", "0"], ["--max-ms", "x>0"]),
        (["targets", "x86cpu"], ["unknown target `x86cpu`; did you mean `x86-cpu`?"]),
        (["targets", "--calibration", "defalt"], ["did you mean `default`?"]),
        (["targets", "--targets-dir", "/nowhere"], ["/nowhere: no such folder of targets"]),
    ],
)
def test_a_wrong_option_is_one_line(shell: Shell, arguments: list[str], words: list[str]) -> None:
    shell.refuses(2, words, *arguments)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("shots: 2->shotz: 2", ["unknown key `data.shotz`", "did you mean `shots`?"]),
        ("targets:->target:", ["unknown key `target`", "did you mean `targets`?"]),
        ("[x86-cpu]->[x86-cup]", ["unknown target `x86-cup`; did you mean `x86-cpu`?"]),
        ("[x86-cpu]->[]", ["`targets`"]),
        ("[x86-cpu]->[x86-cpu, x86-cpu]", ["listed twice: x86-cpu"]),
        ("shots: 2->shots: 0", ["`data.shots`"]),
        ("photos, ->nowhere, ", ["nowhere: no such folder"]),
        ("name: pets->name: a/b", ["`name`", "'a/b'"]),
        ("data: {->data: [", ["not valid YAML"]),
    ],
)
@pytest.mark.parametrize("command", ["build", "check"])
def test_a_wrong_recipe_names_file_and_key(
    shell: Shell, recipe: Path, command: str, change: str, words: list[str]
) -> None:
    old, _, new = change.partition("->")
    assert old in RECIPE
    recipe.write_text(RECIPE.replace(old, new))
    answer = shell(command, recipe, "--quiet")
    assert answer.code == 2
    assert answer.out == ""
    assert all(line.startswith("edgetl: ") for line in answer.lines)
    for word in words:
        assert word in answer.err
    assert not (recipe.parent / "pets-build" / "stages" / "data").exists()


@pytest.mark.parametrize(
    ("option", "value", "instead"),
    [
        ("--threads", "4", "--set bench.threads=4"),
        ("--threads", "1", "--set bench.threads=1"),
        ("--runs", "500", "--set bench.runs=500"),
        ("--warmup", "1", "--set bench.warmup=1"),
        ("--data", "photos", "`data.val`"),
        ("--cold-starts", "0", "needs a bundle folder"),
    ],
)
def test_bench_of_a_recipe_takes_no_option_of_bundles(
    shell: Shell, recipe: Path, option: str, value: str, instead: str
) -> None:
    shell.refuses(2, [option, instead], "bench", recipe, option, value)
    assert not (recipe.parent / "pets-build").exists()


@pytest.mark.parametrize("option", [("--set", "bench.threads=4"), ("--out", "there"), ("--allow-leak",)])
def test_bench_of_bundles_takes_no_option_of_recipes(shell: Shell, tmp_path: Path, option: tuple[str, ...]) -> None:
    shell.refuses(2, [option[0], "needs a recipe"], "bench", tmp_path, *option)


@pytest.mark.parametrize("option", [("--set", "bench.threads=4"), ("--weights-dir", "there"), ("--allow-leak",)])
def test_compile_of_a_pivot_takes_no_option_of_recipes(shell: Shell, tmp_path: Path, option: tuple[str, ...]) -> None:
    shell.refuses(2, [option[0], "works only with a recipe"], "compile", tmp_path, "--target", "null", *option)


@pytest.mark.parametrize("option", [("--target", "nvidia-gpu"), ("--out", "there"), ("--set", "name=a")])
def test_finishing_a_bundle_takes_no_other_option(shell: Shell, tmp_path: Path, option: tuple[str, ...]) -> None:
    shell.refuses(2, [option[0], "works only with a recipe or a pivot"], "compile", "--finish", tmp_path, *option)


def test_what_is_no_recipe_is_refused(shell: Shell, recipe: Path, tmp_path: Path) -> None:
    shell.refuses(2, ["Is a directory"], "build", tmp_path)
    shell.refuses(2, ["No such file"], "build", tmp_path / "absent.yaml")
    (tmp_path / "empty.yaml").write_text("")
    shell.refuses(2, ["found an empty file"], "check", tmp_path / "empty.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    shell.refuses(2, ["UTF-16 text; save it as UTF-8"], "check", tmp_path / "binary.yaml")
    shell.refuses(2, ["expected key=value"], "check", recipe, "--set", "shots")
    shell.refuses(2, ["unknown key `data.shotz`"], "check", recipe, "--set", "data.shotz=3")
    shell.refuses(2, ["no such folder of targets"], "check", recipe, "--targets-dir", tmp_path / "none")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["binary.yaml", "empty.yaml", "photos", "recipe.yaml"]


def test_a_closed_pipe_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edgetl", "targets", "--json"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == ""


def test_a_name_that_is_no_text_is_printed_all_the_same(recipe: Path) -> None:
    command = [sys.executable, "-m", "edgetl", "new", "photos", "--json", "-o", os.fsdecode(b"\xff.yaml")]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, cwd=recipe.parent, env=strict, capture_output=True, text=True, check=False)
    if "Illegal byte sequence" in done.stderr:
        pytest.skip("this file system holds UTF-8 names only")
    assert done.returncode == 0, done.stderr
    assert os.fsencode(json.loads(done.stdout)["recipe"]) == b"\xff.yaml"


def test_an_interrupt_is_one_line(shell: Shell, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgetl.stages.pipeline.run", interrupted)
    answer = shell("build", recipe)
    assert answer.code == 130
    assert answer.lines[-1] == "edgetl: stopped; finished stages are kept, run the same command to resume"


def test_a_missing_package_names_the_extra_or_the_package(
    shell: Shell, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, words in (
        ("timm.models", "pip install 'edgetl[train]'"),
        ("tensorrt_rtx", "pip install 'edgetl[rtx]'"),
        ("jinja2", "the package jinja2 is not installed; the installation is incomplete"),
    ):

        def absent(*arguments: object, missing: str = name, **keywords: object) -> None:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

        monkeypatch.setattr("edgetl.stages.pipeline.run", absent)
        shell.refuses(1, [words], "build", recipe, "--quiet")


@pytest.mark.parametrize(("typed", "expected"), [("edgetl bu", "plain,build"), ("edgetl build --w", "--weights-dir")])
def test_the_shell_completes_commands_and_options(
    typed: str, expected: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_EDGETL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    assert expected in shell().out
