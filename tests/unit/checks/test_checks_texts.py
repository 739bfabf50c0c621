"""Texts are checked for copies, letters, scripts, what is cut off, and drift; sentences quote their beginnings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cli_calls import Shell

from edgetl.checks.copies.texts import find_text_copies
from edgetl.checks.subject import Subject
from edgetl.checks.text_prints import plain_form, script_of, text_prints
from edgetl.checks.texts import cut_off, scripts
from edgetl.fronts.text.tables import open_table
from edgetl.types import Sample, Silent


def samples(folder: Path, texts: list[str]) -> list[Sample]:
    paths = [folder / f"{at}.txt" for at in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return [Sample(str(path), 0, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]


def kinds(texts: list[Sample]) -> list[tuple[int, int, str]]:
    return [(each.first, each.second, each.kind) for each in find_text_copies(text_prints(texts, Silent()), Silent())]


def rows(shared: Path, name: str, step: int) -> list[str]:
    table = open_table(shared / "data" / "text" / name)
    return [table.text(line, "text") for line in list(table.numbers)[::step]]


def test_no_two_of_many_real_sentences_are_taken_as_one(shared: Path, tmp_path: Path) -> None:
    assert kinds(samples(tmp_path, rows(shared, "sst2_train.csv", 9))) == []


def test_one_report_is_found_again_in_other_words(shared: Path, tmp_path: Path) -> None:
    news = rows(shared, "agnews_val.csv", 1)
    twice = [text for text in news if text.startswith("Stelco Loses Contract")]
    assert kinds(samples(tmp_path, [*news[:40], *twice])) == [(40, 41, "near")]


def in_capitals(text: str) -> str:
    return text.upper()


def in_other_spaces(text: str) -> str:
    return text.replace(" ", "\u00a0\n").replace(",", " ;")


def with_a_word_replaced(text: str) -> str:
    words = text.split()
    return " ".join([*words[:5], "zzz", *words[6:]])


def without_its_end(text: str) -> str:
    return text[: len(text) * 85 // 100]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (in_capitals, "pixels"),
        (in_other_spaces, "pixels"),
        (with_a_word_replaced, "near"),
        (without_its_end, "near"),
    ],
)
def test_a_changed_text_is_found_again(shared: Path, tmp_path: Path, change: Callable[[str], str], kind: str) -> None:
    news = rows(shared, "agnews_val.csv", 30)
    assert kinds(samples(tmp_path, [*news, change(news[7])])) == [(7, len(news), kind)]


def test_signs_that_are_all_a_text_has_tell_it_from_another() -> None:
    assert plain_form(":-)") != plain_form(":-(")
    assert plain_form("Ｗell,  “known”!") == "well known"
    assert plain_form("great 👍") != plain_form("great 👎")
    assert plain_form("कि") != plain_form("क")


def test_a_thousand_equal_forms_cost_no_million_comparisons(tmp_path: Path) -> None:
    texts = [f"your parcel of order {at:04} has left the house and will arrive soon, thank you" for at in range(300)]
    linked = {index for each in kinds(samples(tmp_path, texts)) for index in each[:2]}
    assert len(linked) == 300


def test_scripts_are_named_by_most_letters() -> None:
    assert [script_of(text) for text in ("naïve 日", "добрый day", "日本語", "12 :)")] == [
        "LATIN",
        "CYRILLIC",
        "CJK",
        "",
    ]


def test_validation_texts_in_a_new_script_are_named(tmp_path: Path) -> None:
    texts = samples(tmp_path, ["one", "two", "три", "four"])
    found = scripts(Subject(("a",), tuple(texts), 2, "text"), text_prints(texts, Silent()))
    assert (found.verdict, found.found) == ("warn", 1)
    assert "1 validation text is in a script that no training text has (they have Latin): 2.txt" in found.sentence


def test_what_is_cut_off_is_counted(tmp_path: Path) -> None:
    subject = Subject(("a",), tuple(samples(tmp_path, ["a", "b", "c", "d"])), 2, "text")
    found = cut_off(subject, [5, 12, 8, 15], 10)
    assert found.sentence.startswith("2 of 4 texts are longer than the 10 tokens that are read")
    assert "cuts off 17.5 % of all tokens: 3.txt, 1.txt" in found.sentence
    assert cut_off(subject, [5, 10, 8, 9], 10).verdict == "pass"


def test_the_command_names_rows_and_quotes_them(tmp_path: Path, shell: Shell) -> None:
    words = ["apple", "river", "stone", "cloud", "glass", "paper", "wheel", "music"]
    texts = [f"the {one} and the {two} of the {three}" for one in words for two in words[:4] for three in words[:1]]
    table = [{"text": text, "label": str(at % 2)} for at, text in enumerate(texts)]
    table[9]["text"] = ":-)"
    for name, part in (("a", table[:20]), ("b", [*table[20:], {"text": texts[2].upper(), "label": "0"}])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    recipe = {
        "name": "t",
        "front": "text",
        "targets": ["x86-cpu"],
        "backbone": {"name": "local-dir:none"},
        "data": {"train": "a.jsonl", "val": "b.jsonl", "shots": "all"},
        "check": {"features": False},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = shell("check", tmp_path / "recipe.yaml")
    assert done.code == 1, done.err
    assert "20 training texts, 13 validation texts" in done.out
    assert "resize" not in done.out
    assert (
        "refuse       copies          1 validation text also among the training texts: "
        'a.jsonl:3 "the apple and the stone of the apple" and b.jsonl:13 "THE APPLE AND THE STONE OF THE APPLE"'
    ) in done.out
    assert 'the same text but for case, spaces or punctuation: "the apple' in done.out
    assert '1 text is without a letter: a.jsonl:10 ":-)"' in done.out
