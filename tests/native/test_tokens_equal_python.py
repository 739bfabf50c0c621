"""Texts become the tokens in C++ that they become in Python, which the libraries of the models' authors confirm."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from native_build import RuntimeBuild
from text_tokenizers import TRAINERS, random_texts, real_texts, train
from text_tool import WHOLE, Refusal, TextTool

from edgetl.fronts.text.description import Description, read_description, write_description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.fronts.text.hugging_face import from_hf
from edgetl.fronts.text.prove import nasty_texts, reference_of

pytestmark = pytest.mark.integration

TABLES = ("sst2_train", "sst2_val", "agnews_train", "agnews_val")
TEXTS_OF_EACH = 500
RANDOM_TEXTS = 1000


@pytest.fixture(scope="module")
def tool(runtime_build: RuntimeBuild) -> Iterator[TextTool]:
    opened = TextTool(runtime_build.bin / "text_tool")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def reviews(shared: Path) -> list[str]:
    if not (shared / "data" / "text" / "sst2_train.csv").exists():
        pytest.skip("no texts in shared/data/text")
    return real_texts(shared, "sst2_train")


def opened(tool: TextTool, description: Description, folder: Path, longest: int = WHOLE) -> Tokenizer:
    """The tool has it too, read from the file that Python wrote."""
    path = folder / "description.json"
    write_description(path, description)
    assert tool.open(path.read_bytes(), longest) is None
    return Tokenizer(read_description(path))


def first_wrong_byte(data: bytes) -> int | None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def assert_same_tokens(tool: TextTool, ours: Tokenizer, texts: list[str], longest: int | None = None) -> None:
    for text, found in zip(texts, tool.encode_all(texts), strict=True):
        expected = ours.encode(text, longest)
        if expected:
            assert found == expected, repr(text)
        else:
            assert isinstance(found, Refusal)
            assert found.message == "text: expected a text with a token; this one has none"


@pytest.mark.parametrize("kind", TRAINERS)
def test_every_kind_of_tokenizer_gives_the_tokens_of_python(
    tool: TextTool, reviews: list[str], kind: str, tmp_path: Path
) -> None:
    ours = opened(tool, from_hf(train(kind, reviews, tmp_path)), tmp_path)
    nasty = [text for _, text in nasty_texts(ours.description)]
    assert_same_tokens(tool, ours, [*reviews[:TEXTS_OF_EACH], *nasty, *random_texts(RANDOM_TEXTS, 11)])


def test_cut_texts_keep_what_stands_around_them(tool: TextTool, reviews: list[str], tmp_path: Path) -> None:
    description = from_hf(train("uncased wordpiece", reviews, tmp_path))
    for longest in (2, 3, 16):
        ours = opened(tool, description, tmp_path, longest)
        assert_same_tokens(tool, ours, reviews[:100], longest)


def test_minilm_gives_its_own_tokens_for_real_texts(tool: TextTool, shared: Path, tmp_path: Path) -> None:
    folder = os.environ.get("EDGETL_MINILM")
    if folder is None:
        pytest.skip("EDGETL_MINILM does not name a folder of all-MiniLM-L6-v2")
    texts = [text for table in TABLES for text in real_texts(shared, table)] + random_texts(RANDOM_TEXTS, 12)
    opened(tool, from_hf(Path(folder)), tmp_path)
    assert tool.encode_all(texts) == reference_of(Path(folder))(texts)


def test_stories260k_gives_its_own_tokens(tool: TextTool, shared: Path, tmp_path: Path) -> None:
    folder = shared / "weights" / "stories260k"
    if not folder.is_dir():
        pytest.skip("no stories260k in shared/weights")
    ours = opened(tool, from_hf(folder), tmp_path)
    nasty = [text for _, text in nasty_texts(ours.description)]
    assert_same_tokens(tool, ours, nasty)
    assert tool.encode_all(nasty) == reference_of(folder)(nasty)


def test_a_word_of_the_longest_text_takes_no_longer_than_its_letters(tool: TextTool, tmp_path: Path) -> None:
    """A merge that searched all letters again would take hours."""
    letters = "ab" * (1 << 16)
    for kind in ("bpe of llama 2", "unigram", "uncased wordpiece"):
        folder = tmp_path / kind
        folder.mkdir()
        ours = opened(tool, from_hf(train(kind, ["abba ab a b"] * 20, folder)), folder)
        assert_same_tokens(tool, ours, [letters])


def test_bytes_that_are_no_utf8_are_refused_where_python_refuses_them(
    tool: TextTool, reviews: list[str], tmp_path: Path
) -> None:
    ours = opened(tool, from_hf(train("byte-level bpe", reviews, tmp_path)), tmp_path)
    chance = random.Random(3)
    refused = 0
    for text in random_texts(500, 13):
        data = bytearray(text.encode())
        data[chance.randrange(len(data))] = chance.randrange(256)
        found = tool.encode(bytes(data))
        wrong = first_wrong_byte(bytes(data))
        if wrong is None:
            assert found == ours.encode(data.decode())
            continue
        refused += 1
        assert isinstance(found, Refusal)
        assert found.message == f"text: expected UTF-8; byte {wrong}, 0x{data[wrong]:02X}, is none"
    assert refused > 100
