"""Tokens become text again: as the library `tokenizers` writes them, and character by character."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_tokenizers import random_texts, train

from edgetl.errors import UsageError
from edgetl.fronts.text.decode import Decoder, Stream
from edgetl.fronts.text.encode import Tokenizer
from edgetl.fronts.text.hugging_face import from_hf

WRITTEN = [
    "the cat sat on the mat",
    "It's 2024 , and 1,000 films.",
    "  two  spaces\n\nand lines\t",
    "naïve café 映画 👩‍👩‍👧",
]
TEXTS = [*WRITTEN, *(text for text in random_texts(300, seed=1) if "<" not in text)]


def opened(kind: str, folder: Path) -> tuple[Tokenizer, Decoder]:
    description = from_hf(train(kind, WRITTEN * 20, folder))
    return Tokenizer(description), Decoder(description)


@pytest.mark.parametrize("kind", ["byte-level bpe", "bpe of llama 2", "bpe of llama 2 with a normalizer"])
def test_a_text_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    tokenizer, decoder = opened(kind, tmp_path)
    for text in TEXTS:
        if "\u2581" not in text and not text.startswith(" "):  # the mark itself, and spaces that are put in front
            assert decoder.text(tokenizer.encode(text)) == text


def test_a_text_of_llama_3_is_what_the_library_writes(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `text`")
    tokenizer, decoder = opened("bpe of llama 3", tmp_path)
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    library.decoder = tokenizers.decoders.ByteLevel()
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert decoder.text(ids) == library.decode(ids)


def test_a_character_of_several_tokens_appears_when_it_is_whole(tmp_path: Path) -> None:
    tokenizer, decoder = opened("byte-level bpe", tmp_path)
    stream = Stream(decoder)
    parts = [stream.add(number) for number in tokenizer.encode("a 🜚")]
    assert "".join(parts).lstrip() == "a 🜚"
    assert "" in parts[1:-1]
    assert not any("\ufffd" in part for part in parts)


def test_half_a_character_at_the_end_is_marked(tmp_path: Path) -> None:
    tokenizer, decoder = opened("byte-level bpe", tmp_path)
    stream = Stream(decoder)
    last = tokenizer.encode("🜚")[-2]  # the last byte; a mark of the end follows
    assert stream.add(last) + stream.end() == "\ufffd"


def test_pieces_that_do_not_say_where_spaces_were_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="merges pairs"):
        opened("uncased wordpiece", tmp_path)
