"""A recipe is refused with the place, what was expected, what was found and the nearest valid key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgetl.errors import UsageError
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import load_recipe, parse_recipe

SMALLEST: dict[str, Any] = {
    "name": "steel",
    "data": {"train": "images"},
    "backbone": {"name": "mobilenetv2_100"},
    "targets": ["x86-cpu"],
}


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_smallest_recipe_has_defaults_that_suit_few_shots() -> None:
    recipe = parse_recipe(SMALLEST, where="r")
    assert (recipe.data.shots, recipe.gates.max_drop_points, recipe.bench.runs) == (10, 1.0, 300)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"target": ["x86-cpu"]}, "r: unknown key `target`; did you mean `targets`?"),
        ({"data": {"train": "a", "shot": 3}}, "r: unknown key `data.shot`; did you mean `shots`?"),
        ({"backbone": {}}, "r: `backbone.name` is missing"),
        ({"gates": {"max_drop_points": -1}}, "r: `gates.max_drop_points`: expected at least 0; found -1"),
        ({"data": {"train": "a", "shots": "all"}}, "r: data.shots: all leaves nothing for validation"),
        ({"targets": ["x86-cpu", "x86-cpu"]}, "r: `targets`: listed twice: x86-cpu"),
        ({"targets": []}, "r: `targets`: expected the name of at least one target"),
        ({"name": "../up"}, "r: `name`: expected up to 64 letters, digits"),
        ({"bench": {"runs": 20}}, "r: `bench.runs`: expected at least 300; found 20"),
        (
            {"task": "detection", "adapt": {"batch_norm": "trained"}},
            "r: adapt.batch_norm is for classification, not for task: detection; leave it out",
        ),
        (
            {"task": "detection", "data": {"train": "a", "labels": ["x", "y"]}},
            "r: data.labels is for task: classification, not for task: detection; leave it out",
        ),
        (
            {"data": {"train": "a", "labels": ["x"]}},
            "r: data.labels: expected 2 to 16 different columns, one for each head; for one column use data.columns",
        ),
        (
            {"data": {"train": "a", "labels": ["x", "y"], "columns": {"path": "p", "label": "x"}}},
            "r: data.labels and data.columns.label exclude each other; keep one of them",
        ),
        ({"data": {"train": "a", "columns": {"path": "p"}}}, "r: data.columns.label is missing"),
        ({"gates": {"heads": {"x": {"min_score": 0.9}}}}, "r: gates.heads is for several heads; name their columns"),
        (
            {"data": {"train": "a", "labels": ["surface", "kind"]}, "gates": {"heads": {"surfaces": {}}}},
            "r: gates.heads: data.labels has no `surfaces`; did you mean `surface`?",
        ),
        (
            {"front": "audio", "task": "detection"},
            "r: front: audio is for task: classification, not for task: detection",
        ),
        (
            {"front": "audio", "data": {"train": "a", "augment": "natural"}},
            "r: data.augment: natural is not for front: audio; use one of auto, none, light, speech, sounds",
        ),
        (
            {"data": {"train": "a", "augment": "speech"}},
            "r: data.augment: speech is not for front: image; use one of auto, none, light, text, natural, overhead",
        ),
        ({"audio": {"window_s": 2}}, "r: audio is for front: audio, not for front: image; set front: audio or leave"),
        (
            {"front": "audio", "data": {"train": "a", "resize": "crop"}},
            "r: data.resize is for front: image, not for front: audio; leave it out",
        ),
        (
            {"front": "audio", "backbone": {"name": "x", "input_size": 96}},
            "r: backbone.input_size is for front: image, not for front: audio; leave it out",
        ),
        ({"front": "audio", "audio": {"bands": 64}}, "r: audio.bands is for backbone.pretrained: false; leave it out"),
        ({"front": "audio", "audio": {"window_s": 0}}, "r: `audio.window_s`: expected at least 0.1; found 0"),
        ({"text": {"max_tokens": 64}}, "r: text is for front: text, not for front: image; set front: text or leave"),
        (
            {"front": "text", "audio": {"window_s": 2}},
            "r: audio is for front: audio, not for front: text; set front: audio or leave it out",
        ),
        ({"front": "text", "text": {"max_tokens": 1}}, "r: `text.max_tokens`: expected"),
        ({"front": "text", "text": {"pooling": "max"}}, "r: `text.pooling`: expected auto, mean, first or last; found"),
        (
            {"front": "text", "data": {"train": "a", "augment": "natural"}},
            "r: data.augment: natural is not for front: text; use one of auto, none, light",
        ),
        (
            {"front": "text", "backbone": {"name": "x", "input_size": 96}},
            "r: backbone.input_size is for front: image, not for front: text; leave it out",
        ),
        (
            {"front": "text", "data": {"train": "a", "columns": {"label": "b"}}},
            "r: data.columns: expected text, for texts in the table itself, or path, for texts in files",
        ),
        ({"data": {"train": "a", "columns": {"label": "b"}}}, "r: data.columns.path is missing"),
        (
            {"data": {"train": "a", "columns": {"path": "a", "label": "b", "text": "c"}}},
            "r: data.columns.text is for front: text, not for front: image; leave it out",
        ),
        ({"front": "sound"}, "r: `front`: expected image, audio, text or series; found 'sound'"),
    ],
)
def test_a_mistake_is_named_with_its_place(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe({**SMALLEST, **changes}, where="r")
    assert line in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_recipe_for_sound_takes_a_window_and_for_a_new_network_its_mel_bands() -> None:
    sound: dict[str, Any] = {**SMALLEST, "front": "audio", "data": {"train": "a", "augment": "speech"}}
    assert parse_recipe({**sound, "audio": {"window_s": 1.5, "rate_hz": 8000}}, where="r").audio.window_s == 1.5
    fresh = {"name": "ds_cnn", "pretrained": False}
    assert parse_recipe({**sound, "audio": {"bands": 64}, "backbone": fresh}, where="r").audio.bands == 64


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe({**SMALLEST, "nome": 1, "choose": "best"}, where="r")
    assert len(str(caught.value).splitlines()) == 2


def test_overrides_reach_nested_keys(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(SMALLEST))
    recipe = load_recipe(path, ["data.shots=3", "gates.min_top1=0.9", "targets=[intel-cpu, arm64-cpu]"])
    assert recipe.data.shots == 3
    assert recipe.gates.min_top1 == 0.9
    assert recipe.targets == ("intel-cpu", "arm64-cpu")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.shots", "expected key=value"),
        ("name.sub=1", "`name` is not a section"),
        ("data.shotz=1", "did you mean `shots`"),
        ("data.shots=[", "not a YAML value"),
        ("data[0]=1", "unknown key `data[0]`"),
        ("int=1", "unknown key `int`"),
    ],
)
def test_a_wrong_override_is_explained(tmp_path: Path, override: str, words: str) -> None:
    path = written(tmp_path, yaml.safe_dump(SMALLEST))
    with pytest.raises(UsageError, match=re.escape(words)):
        load_recipe(path, [override])


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: [", "\x00"])
def test_what_is_no_recipe_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(written(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("gates: {max_drop_points: .inf}", "`gates.max_drop_points`: expected a finite number; found inf"),
        ("adapt: {budget_minutes: .inf}", "`adapt.budget_minutes`: expected auto or a finite number; found inf"),
        ("quantize: {temperature: .inf}", "`quantize.temperature`: expected a finite number; found inf"),
        ("gates: {max_p99_ms: .nan}", "`gates.max_p99_ms`"),
        ('out: "a\\0b"', "`out`: expected text without control characters; found 'a\\x00b'"),
        ('out: "a\\ud800"', "`out`: expected text without control characters; found 'a\\ud800'"),
        ('backbone: {name: x, weights: "a\\0"}', "`backbone.weights`: expected text without control characters"),
        ('adapt: {freeze: ["blocks", "a\\nb"]}', "`adapt.freeze`: expected text without control characters"),
        ("adapt: {seed: 18446744073709551616}", "`adapt.seed`: expected a number below 2**63"),
        (f"bench: {{warmup: 0x{'f' * 5000}}}", "`bench.warmup`: expected a number below 2**63"),
        (f"gates: {{max_p99_ms: 1{'0' * 400}}}", "`gates.max_p99_ms`"),
        (f"adapt: {{epochs: {'[' * 3000}", "nested too deeply"),
        (f"data: {{train: {'9' * 5000}}}", "not valid YAML"),
        ("data: {train: !!bool maybe}", "not valid YAML"),
        ("data: {train: !!int ''}", "not valid YAML"),
        ("1: 2", "expected text as a key; found 1"),
        ("? [a, b]\n: 2", "not valid YAML"),
        ("null: 2", "expected text as a key; found None"),
        (f"{'k' * 1000}: 2", "unknown key `kkkkk"),
        ('"a\\e[31mb": 2', "unknown key `a?[31mb`"),
    ],
)
def test_values_that_no_stage_could_use_are_one_short_line(tmp_path: Path, change: str, words: str) -> None:
    text = yaml.safe_dump({key: value for key, value in SMALLEST.items() if not change.startswith(f"{key}:")})
    with pytest.raises(UsageError) as caught:
        load_recipe(written(tmp_path, text + change + "\n"))
    lines = str(caught.value).splitlines()
    assert any(words in line for line in lines)
    assert max(map(len, lines)) < len(str(tmp_path)) + 600


def test_an_override_is_held_to_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(SMALLEST))
    for override in (f"adapt.epochs={'[' * 3000}", "data.train=!!timestamp 2026-13-45", "gates.max_drop_points=.inf"):
        with pytest.raises(UsageError) as caught:
            load_recipe(path, [override])
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < len(str(path)) + 600


def test_a_list_of_lists_of_lists_is_quoted_by_its_beginning(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 30)]
    lines += ["targets: *a29", "name: *a29", "adapt: {freeze: *a29}"]
    with pytest.raises(UsageError) as caught:
        load_recipe(written(tmp_path, "\n".join(lines) + "\n"))
    assert len(str(caught.value)) < 30_000


def test_of_very_many_mistakes_the_first_are_named_and_the_rest_counted() -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe({**SMALLEST, "targets": list(range(1000))}, where="r")
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "r: 980 more mistakes"


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the recipe"):
        load_recipe(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="it is UTF-16 text; save it as UTF-8"):
        load_recipe(tmp_path / "binary.yaml")


def test_yaml_cannot_make_python_objects(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not valid YAML"):
        load_recipe(written(tmp_path, "name: !!python/object/apply:os.system ['true']"))


@given(st.binary(max_size=400))
def test_no_bytes_bring_down_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        load_recipe(path)


def test_every_key_is_described_and_survives_a_round_trip() -> None:
    schema = Recipe.model_json_schema()
    for section in [schema, *schema["$defs"].values()]:
        for key, value in section["properties"].items():
            assert value.get("description") or "$ref" in value, f"{section['title']}.{key} has no description"
    recipe = parse_recipe(SMALLEST, where="r")
    assert parse_recipe(yaml.safe_load(yaml.safe_dump(recipe.model_dump(mode="json"))), where="r") == recipe
