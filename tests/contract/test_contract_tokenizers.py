"""Every kind of tokenizer, beside the library that trained it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from text_tokenizers import TRAINERS, random_texts, real_texts, train

from edgetl.fronts.text.description import read_description, write_description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.fronts.text.hugging_face import from_hf
from edgetl.fronts.text.prove import prove_equal

pytestmark = pytest.mark.parametrize("kind", TRAINERS)
TEXTS = 300


@cache
def texts_of(shared: Path) -> list[str]:
    return real_texts(shared, "sst2_val")[:1000] + real_texts(shared, "agnews_val")[:1000]


@cache
def _trained(kind: str, shared: Path) -> tuple[TemporaryDirectory[str], Tokenizer]:
    folder = TemporaryDirectory()
    train(kind, texts_of(shared), Path(folder.name))
    return folder, Tokenizer(from_hf(Path(folder.name)))


@pytest.fixture
def trained(kind: str, shared: Path) -> tuple[Path, Tokenizer]:
    folder, tokenizer = _trained(kind, shared)
    return Path(folder.name), tokenizer


def library(folder: Path) -> Any:
    import tokenizers

    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_ids_are_those_of_the_library(trained: tuple[Path, Tokenizer], shared: Path) -> None:
    folder, tokenizer = trained
    texts = [*texts_of(shared)[::7], *random_texts(TEXTS, seed=1)]
    count = prove_equal(tokenizer, folder, [("a text", text) for text in texts])
    assert count > len(texts) + 250


def test_a_description_is_the_same_after_a_file(trained: tuple[Path, Tokenizer], tmp_path: Path) -> None:
    _, tokenizer = trained
    write_description(tmp_path / "one.json", tokenizer.description)
    again = read_description(tmp_path / "one.json")
    write_description(tmp_path / "two.json", again)
    assert again == tokenizer.description
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_long_text_is_cut_as_the_library_cuts_it(trained: tuple[Path, Tokenizer], shared: Path) -> None:
    folder, tokenizer = trained
    theirs = library(folder)
    theirs.enable_truncation(16)
    for text in texts_of(shared)[:50]:
        assert tokenizer.encode(text, 16) == theirs.encode(text).ids
