"""edgetl new recognizes tables and folders of texts and proposes a recipe that can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_calls import Shell

from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import load_recipe


def rows(count: int = 12, words: int = 5) -> str:
    texts = [" ".join([f"word{at}"] * words) for at in range(count)]
    return "text,label,author\n" + "".join(f"{text},{'ab'[at % 2]},w\n" for at, text in enumerate(texts))


def proposed(shell: Shell, root: Path, out: Path) -> tuple[Recipe, str]:
    done = shell("new", root, "-o", out / "recipe.yaml", "--force")
    assert done.code == 0, done.err
    return load_recipe(out / "recipe.yaml"), (out / "recipe.yaml").read_text()


def test_a_table_gets_a_recipe_for_texts(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "opinions.csv").write_text(rows())
    recipe, text = proposed(shell, tmp_path / "opinions.csv", tmp_path)
    assert (recipe.name, recipe.front, recipe.data.train, recipe.data.val) == ("opinions", "text", "opinions.csv", None)
    assert recipe.text.max_tokens == 64
    assert "# 2 classes: a, b\n# 12 training texts, 6 per class; no separate validation texts" in text
    assert "  # group_by: author" in text
    assert recipe.backbone.name == "local-dir:all-MiniLM-L6-v2"


def test_the_table_for_validation_is_found_beside_it(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "sst_train.csv").write_text(rows())
    (tmp_path / "sst_dev.csv").write_text(rows(4))
    (tmp_path / "other_dev.csv").write_text(rows(4))
    recipe, _ = proposed(shell, tmp_path / "sst_train.csv", tmp_path)
    assert (recipe.name, recipe.data.train, recipe.data.val) == ("sst", "sst_train.csv", "sst_dev.csv")
    assert proposed(shell, tmp_path, tmp_path)[0] == recipe


def test_a_folder_of_train_and_val_tables_is_recognized(shell: Shell, tmp_path: Path) -> None:
    for part in ("train", "val"):
        lines = [json.dumps({"sentence": f"words of {part} {at} " * 40, "label": at % 2}) for at in range(8)]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines))
    recipe, text = proposed(shell, tmp_path, tmp_path)
    assert (recipe.data.train, recipe.data.val, recipe.data.shots) == ("train.jsonl", "val.jsonl", "all")
    assert recipe.text.max_tokens == 256
    assert "8 validation texts" in text


def test_a_folder_of_files_and_an_encoder_beside_it_are_found(shell: Shell, tmp_path: Path) -> None:
    for at in range(8):
        file = tmp_path / "mails" / ("ham", "spam")[at % 2] / f"{at}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"mail number {at}")
    encoder = tmp_path / "weights" / "mini"
    encoder.mkdir(parents=True)
    for name, content in (("config.json", '{"model_type": "bert"}'), ("vocab.txt", ""), ("model.safetensors", "")):
        (encoder / name).write_text(content)
    recipe, _ = proposed(shell, tmp_path / "mails", tmp_path)
    assert (recipe.front, recipe.data.train, recipe.name) == ("text", "mails", "mails")
    assert recipe.backbone.name == "local-dir:weights/mini"


def test_several_tables_are_named_and_none_is_chosen(shell: Shell, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text(rows())
    words = ["holds several tables of texts (`first.csv`, `second.csv`); name one: edgetl new"]
    shell.refuses(1, words, "new", tmp_path, "-o", tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"text": "x", "label": "a"}\n{"text"', "a.jsonl, line 2: not valid JSON"),
        ("a.tsv", "text\tlabel\nx\ta\ty\n", "a.tsv, line 2: expected 2 cells, found 3"),
        ("a.csv", "text,label\nx,only\ny,only\n", "expected at least two classes, found only `only`"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(
    shell: Shell, tmp_path: Path, name: str, content: str, expected: str
) -> None:
    (tmp_path / name).write_text(content)
    shell.refuses(1, [expected], "new", tmp_path / name, "-o", tmp_path / "r.yaml")
