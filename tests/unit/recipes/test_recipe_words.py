"""What the recipe's reader says, in the user's words: the cases recipe-words, own-onnx and fifo-hang of the reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgetl.errors import UsageError
from edgetl.files.yaml_file import MAX_BYTES, read_yaml
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import load_recipe
from edgetl.recipes.targets import load_profile, load_target

RECIPE = """name: parts
data: {train: photos}
backbone: {name: mobilenetv2_100}
targets: [x86-cpu]
"""
LIBRARY_WORDS = ("Input should", "tuple", "pydantic", "pattern '", "valid string", "valid integer", "Value error")


def written(folder: Path, text: str | bytes, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, line: str = "", overrides: Sequence[str] = ()) -> Recipe:
    """The recipe with a line in place of the one that has the same key."""
    key = line.partition(":")[0]
    kept = [each for each in RECIPE.splitlines() if not line or each.partition(":")[0] != key]
    return load_recipe(written(folder, "\n".join([*kept, line]) + "\n"), overrides)


def refusal(folder: Path, line: str = "", overrides: Sequence[str] = ()) -> str:
    """The one line that is said, without the file's name."""
    with pytest.raises(UsageError) as caught:
        read(folder, line, overrides)
    (said,) = str(caught.value).splitlines()
    assert not any(word in said for word in LIBRARY_WORDS), said
    return said.removeprefix(f"{folder}/recipe.yaml: ")


def test_one_target_is_a_list_of_one(tmp_path: Path) -> None:
    assert read(tmp_path, "targets: x86-cpu").targets == ("x86-cpu",)
    assert read(tmp_path, "adapt: {freeze: blocks.0}").adapt.freeze == ("blocks.0",)
    assert read(tmp_path, "adapt: {freeze: auto}").adapt.freeze == "auto"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "name: Schrauben prüfen",
            "`name`: expected up to 64 letters, digits, `_`, `.`, `-`, starting with a letter or digit; found "
            "'Schrauben "
            "prüfen'",
        ),
        ("name: 2026", "`name`: expected text; found 2026; put it in quotes"),
        ("name: 1.5", "`name`: expected text; found 1.5; put it in quotes"),
        ("name: true", "`name`: true and false are not allowed; found True"),
        (
            "backbone: {name: x, input_size: wide}",
            "`backbone.input_size`: expected the side of a square, or [height, width]; found 'wide'",
        ),
        (
            "backbone: {name: x, input_size: [96, 9000]}",
            "`backbone.input_size`: expected sides of 8 to 1024 pixels; found [96, 9000]",
        ),
        ("data: {train: a, shots: abc}", "`data.shots`: expected a whole number or all; found 'abc'"),
        ("data: {train: a, shots: 0}", "`data.shots`: expected at least 1 or all; found 0"),
        ("data: {train: a, shots: 2.5}", "`data.shots`: expected a whole number or all; found 2.5"),
        ("data: {train: a, shots: true}", "`data.shots`: true and false are not allowed; found True"),
        ("data: photos", "`data`: expected a section with keys of its own; found 'photos'"),
        ("targets: 3", "`targets`: expected a list; found 3"),
        ("targets: [3]", "`targets.0`: expected text; found 3; put it in quotes"),
        ("choose: best", "`choose`: expected fastest, int8 or float32; found 'best'"),
        ("gates: {min_top1: high}", "`gates.min_top1`: expected a number; found 'high'"),
        ("gates: {min_top1: 98}", "`gates.min_top1`: expected at most 1; found 98"),
        ("check: {features: maybe}", "`check.features`: expected true or false; found 'maybe'"),
        ("shots: 5", "unknown key `shots`; did you mean `data.shots`?"),
        ("adapt: {min_top1: 1}", "unknown key `adapt.min_top1`; did you mean `gates.min_top1`?"),
        ("wibble: 5", "unknown key `wibble`; valid are: "),
        ("1: 2", "expected text as a key; found 1"),
        (
            "adapt: {mixup: 0.4}",
            "`adapt.mixup` is gone since 0.1.0, as it had no measured benefit; delete it",
        ),
        (
            "quantize: {equalize: true}",
            "`quantize.equalize` is gone since 0.1.0, as it had no measured benefit; delete it",
        ),
    ],
)
def test_a_mistake_is_said_in_plain_words(tmp_path: Path, line: str, said: str) -> None:
    assert refusal(tmp_path, line).startswith(said)


@pytest.mark.parametrize("word", ["off", "auto"])
def test_words_that_old_yaml_takes_for_truth_values_stay_words(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, f"repair: {word}").repair == word
    assert read(tmp_path, f"surgery: {{when: {word}}}").surgery.when == word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-28", "2026-11-28"),
        ("12:30", "12:30"),
        ("no", "no"),
        ("010", 10),
        ("0x10", 16),
        ("1_000", 1000),
        ("true", True),
        ("1.5", 1.5),
        ("null", None),
    ],
)
def test_values_are_what_they_look_like(text: str, value: object) -> None:
    assert read_yaml(text) == value


def test_a_wrong_override_is_blamed_on_itself(tmp_path: Path) -> None:
    assert refusal(tmp_path, overrides=["data.shots=abc"]) == (
        "--set data.shots=abc: `data.shots`: expected a whole number or all; found 'abc'"
    )
    assert refusal(tmp_path, overrides=["shots=5"]) == "--set shots=5: unknown key `shots`; did you mean `data.shots`?"
    assert refusal(tmp_path, overrides=["data=3"]).startswith("--set data=3: `data`: expected a section")
    with pytest.raises(UsageError) as caught:
        read(tmp_path, "choose: best", ["gates.min_top1=9"])
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "--set gates.min_top1=9",
        f"{tmp_path}/recipe.yaml",
    ]


@pytest.mark.parametrize(
    ("text", "size"), [("[96, 384]", (96, 384)), ("96x384", (96, 384)), ("96", (96, 96)), ("[64, 64]", (64, 64))]
)
def test_an_input_is_a_square_or_height_and_width(tmp_path: Path, text: str, size: tuple[int, int]) -> None:
    assert read(tmp_path, f"backbone: {{name: x, input_size: {text}}}").backbone.height_and_width() == size
    assert read(tmp_path, overrides=[f"backbone.input_size={text}"]).backbone.height_and_width() == size


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (RECIPE.encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
        (RECIPE.encode() + b"# \xe4\n", "it is not UTF-8 text; save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "it is a PNG"),
        (RECIPE.encode() + b"#" * MAX_BYTES, f"larger than {MAX_BYTES} bytes"),
        ((RECIPE + "name: twice\n").encode(), "line 5: the key 'name' occurs twice, first in line 1"),
        ((RECIPE + "adapt: {seed: 1, seed: 2}\n").encode(), "line 5: the key 'seed' occurs twice"),
        ((RECIPE + "out: 'a\n").encode(), "not valid YAML: line 6, column 1: "),
        ((RECIPE + "out: \x07\n").encode(), "is not allowed in text"),
        (b"a: " + b"[" * 60 + b"]" * 60, "nested too deeply"),
        (b"a: &a [*a]", "an alias to its own parent"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_mark_at_the_start_and_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    text = RECIPE.replace("\n", "\r\n").encode("utf-8-sig")
    assert load_recipe(written(tmp_path, text)).name == "parts"


def test_a_few_lines_that_mean_millions_of_values_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    with pytest.raises(UsageError, match="more than 20000 values, counting every use"):
        load_recipe(written(tmp_path, "\n".join(lines)))


def test_names_with_control_characters_stay_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(written(tmp_path, "shots: 1\n", "a\n\x1b[31mb.yaml"))
    assert r"a\n\x1b[31mb.yaml: " in str(caught.value)
    assert all(len(line) > 20 for line in str(caught.value).splitlines())


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recipe.yaml")
    with pytest.raises(UsageError, match="not a regular file"):
        load_recipe(tmp_path / "recipe.yaml")
    for name, load in (("board", load_target), ("own", load_profile)):
        os.mkfifo(tmp_path / f"{name}.yaml")
        with pytest.raises(UsageError, match="not a regular file"):
            load(name, (tmp_path,))


@pytest.mark.parametrize("load", [load_target, load_profile])
def test_targets_and_calibration_profiles_are_read_as_strictly(tmp_path: Path, load: object) -> None:
    assert callable(load)
    for content, words in (
        (b"name: own\nname: own\n", "the key 'name' occurs twice"),
        ("name: own\n".encode("utf-16"), "UTF-16 text"),
        (b"[" * 60, "nested too deeply"),
        (b"name: own\n", "` is missing"),
        (b"- 1\n", "expected a section"),
    ):
        written(tmp_path, content, "own.yaml")
        with pytest.raises(UsageError) as caught:
            load("own", (tmp_path,))
        assert words in str(caught.value)
        assert not any(word in str(caught.value) for word in LIBRARY_WORDS), caught.value


def own_onnx(folder: Path) -> Path:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph), folder / "own.onnx")
    return folder / "own.onnx"


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("compile", ["--target", "x86-cpu"]),
        ("compile", []),
        ("bench", []),
        ("build", []),
        ("select", []),
    ],
)
def test_an_own_onnx_model_is_refused_in_one_helpful_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, option: list[str]
) -> None:
    from edgetl.cli import main

    with pytest.raises(SystemExit) as ended:
        main([command, str(own_onnx(tmp_path)), *option])
    assert ended.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "own.onnx: a trained ONNX model has a command of its own: edgetl import MODEL" in said


@pytest.mark.parametrize("name", ["own.onnx", "onnx:own.onnx", "models/Own.ONNX"])
def test_an_own_onnx_model_is_no_backbone(tmp_path: Path, name: str) -> None:
    from edgetl.backbones.weights import locate
    from edgetl.recipes.recipe import Backbone

    with pytest.raises(UsageError, match=r"backbone\.name: a trained ONNX model has a command of its own"):
        locate(Backbone(name=name), tmp_path, [])
