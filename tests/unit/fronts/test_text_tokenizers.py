"""Tokenizers: real ones beside their references, and what is refused in one line."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from text_tokenizers import random_texts, real_texts

from edgetl.errors import BundleError, DataError
from edgetl.fronts.text.description import Description, read_description, write_description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.fronts.text.hugging_face import from_hf
from edgetl.fronts.text.load import encode_text, filled, load_text, tokenizer_of
from edgetl.fronts.text.prove import nasty_texts, prove_equal
from edgetl.fronts.text.read import UnreadableText
from edgetl.types import TextPreprocessing

ROOT = Path(__file__).resolve().parents[3]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "##ness", "bad", "!", "cafe"]


def as_saved() -> dict[str, Any]:
    """A small tokenizer as the library writes it."""
    added = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": place, "content": PIECES[place], **added} for place in range(4)],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: place for place, piece in enumerate(PIECES)},
        },
    }


def folder_with(content: object, folder: Path) -> Path:
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / "tokenizer_config.json").write_text('{"pad_token": "[PAD]"}')
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Description:
    return from_hf(folder_with(as_saved(), tmp_path))


def minilm() -> Path:
    if "EDGETL_MINILM" not in os.environ:
        pytest.skip("EDGETL_MINILM names no folder with all-MiniLM-L6-v2")
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    return Path(os.environ["EDGETL_MINILM"])


# --- real tokenizers


def test_minilm_has_the_ids_of_its_own_tokenizer(shared: Path) -> None:
    texts = [*real_texts(shared, "sst2_val", "agnews_val"), *random_texts(2000, seed=2)]
    assert prove_equal(from_hf(minilm()), minilm(), [("a text", text) for text in texts]) > 4000


def test_stories260k_has_the_ids_of_the_code_beside_its_weights(shared: Path) -> None:
    folder = shared / "weights" / "stories260k"
    ours, theirs = Tokenizer(from_hf(folder)), module_of(folder / "model.py").Tokenizer()
    for text in ["Once upon a time", *real_texts(shared, "sst2_val")[:100], *random_texts(100, seed=3)]:
        assert ours.encode(text) == theirs.encode(text)


def test_stories260k_is_proven_equal_without_a_library(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared / "weights" / "stories260k"
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert prove_equal(from_hf(folder), folder, [("row 1", "a little girl")]) > 250


def test_a_vocabulary_file_is_read_as_transformers_reads_it(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra `text` is not installed")
    (tmp_path / "vocab.txt").write_text("\n".join([*PIECES, "[MASK]"]))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
    description = from_hf(tmp_path)
    assert Tokenizer(description).encode("GOODness!") == [2, 4, 5, 7, 3]
    assert prove_equal(description, tmp_path, [("row 1", "bad caf\u00e9!")]) > 250


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- conversion


def test_words_become_pieces_between_the_marks_of_the_model(small: Description) -> None:
    assert Tokenizer(small).encode("Caf\u00e9 good\u00adNESS, [SEP]!") == [2, 8, 4, 5, 1, 3, 7, 3]


def test_a_text_is_cut_so_that_the_marks_stay(small: Description) -> None:
    assert Tokenizer(small).encode("bad " * 20, longest=5) == [2, 6, 6, 6, 3]


def test_the_padding_token_is_that_of_the_settings(tmp_path: Path) -> None:
    folder_with(as_saved(), tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": {"content": "[SEP]"}}')
    assert from_hf(tmp_path).pad == 3
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "config.json").write_text('{"pad_token_id": 1}')
    assert from_hf(tmp_path).pad == 1


def change(*way: str, to: object) -> Callable[[dict[str, Any]], None]:
    def apply(content: dict[str, Any]) -> None:
        for key in way[:-1]:
            content = content[key]
        content[way[-1]] = to

    return apply


def of_bpe(**keys: object) -> Callable[[dict[str, Any]], None]:
    model = {"type": "BPE", "vocab": {piece: place for place, piece in enumerate(PIECES)}, "merges": [], **keys}
    return change("model", to=model)


def split(expression: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("normalizer", to={"type": "Nmt"}), "the normalizer 'Nmt' is not supported"),
        (
            change("normalizer", to={"type": "Replace", "pattern": {"Regex": "a+"}, "content": "b"}),
            "the normalizer `Replace` of the expression 'a[+]' is not supported",
        ),
        (
            change("normalizer", to={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
            "the normalizer `Precompiled` is not a map of a sentencepiece model",
        ),
        (change("pre_tokenizer", to={"type": "UnicodeScripts"}), "the pre-tokenizer 'UnicodeScripts' is not supported"),
        (change("pre_tokenizer", to=split("x|y")), "the pre-tokenizer `Split` of 'x[|]y' is not supported"),
        (
            change("pre_tokenizer", to={"type": "Punctuation", "behavior": "Removed"}),
            "the pre-tokenizer `Punctuation` that is 'Removed' is not supported",
        ),
        (
            change("pre_tokenizer", to={"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}),
            "the pre-tokenizer `Metaspace` with `first` after a normalizer is not supported",
        ),
        (change("post_processor", to={"type": "Strange"}), "the post-processor 'Strange' is not supported"),
        (change("model", "type", to="WordLevel"), "the model 'WordLevel' is not supported"),
        (change("model", "vocab", to={"a": 0, "b": 2}), "a vocabulary without a piece of the id 1 is not supported"),
        (of_bpe(dropout=0.1), "the model `BPE` with `dropout` is not supported"),
        (of_bpe(end_of_word_suffix="</w>"), "the model `BPE` with `end_of_word_suffix` is not supported"),
        (of_bpe(byte_fallback=True), "a piece of <0x00> .. <0xFF> is missing"),
        (of_bpe(merges=[["bad", "!"]]), "merges: 6 and 7 do not make a piece"),
        (of_bpe(merges=[["bad", "x"]]), "not a file of the library `tokenizers`: the key 'x' is missing"),
        (change("model", "unk_token", to=None), "the key None is missing"),
        (change("model", to=3), "not a file of the library `tokenizers`"),
        (lambda content: content.pop("added_tokens"), "the key 'added_tokens' is missing"),
        (
            lambda content: content["added_tokens"][0].update(single_word=True),
            r"the added token '\[PAD\]' with `single_word` is not supported",
        ),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_named_in_one_line(
    damage: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    content = as_saved()
    damage(content)
    with pytest.raises(DataError, match=message) as caught:
        from_hf(folder_with(content, tmp_path))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'tokenizer.json'}: ")


def test_a_folder_without_a_tokenizer_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected tokenizer\.json or vocab\.txt"):
        from_hf(tmp_path)


# --- the description


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("schema", to=2), "`schema`: expected 1; found 2"),
        (change("pad", to=-1), "`pad`: expected at least 0"),
        (change("pad", to=1.0), "`pad`: expected a whole number; found 1"),
        (change("pad", to=20_000_000), "`pad`: .* at most"),
        (change("before", to=[1] * 17), "`before`: .*at most 16"),
        (change("model", "pieces", to=[]), "pieces`: .*at least 1"),
        (change("model", "pieces", to=["a", "a"]), "pieces: the same text occurs twice"),
        (change("model", "pieces", to=["a" * 1001]), "at most 1000 char"),
        (change("model", "unknown", to=9), "unknown: not the id of a piece"),
        (change("model", "longest", to=0), "longest`: .*at least 1"),
        (change("model", "kind", to="word"), "`model`: .*does not match"),
        (change("model", "scores", to=[]), "unknown key `model.wordpiece.scores`"),
        (change("normalize", to=[{"step": "upper"}]), r"`normalize\.0`: .*does not match"),
        (change("normalize", to=[{"step": "charsmap", "pairs": ["a"]}]), "expected pairs of texts"),
        (change("normalize", to=[{"step": "lower"}] * 17), "`normalize`: .*at most 16"),
        (change("cut", to=[{"step": "bytes", "alphabet": "a" * 256}]), "expected 256 different characters"),
        (lambda content: content.pop("after"), "`after` is missing"),
        (lambda content: content["special"].append(content["special"][0]), "special: the same text occurs twice"),
    ],
)  # fmt: skip
def test_a_damaged_description_is_refused_in_one_line(
    damage: Callable[[dict[str, Any]], None], message: str, small: Description, tmp_path: Path
) -> None:
    write_description(tmp_path / "good.json", small)
    content = json.loads((tmp_path / "good.json").read_text())
    damage(content)
    (tmp_path / "bad.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=message) as caught:
        read_description(tmp_path / "bad.json")
    assert "\n" not in str(caught.value)


def test_the_header_for_cpp_has_the_tables_that_python_reads(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    script = module_of(ROOT / "scripts" / "make_text_tables.py")
    stored = json.loads((ROOT / "edgetl" / "fronts" / "text" / "unicode.json").read_text())
    script.write_header(tmp_path / "made.h", stored["sets"], stored["maps"])
    assert (tmp_path / "made.h").read_text() == (ROOT / "runtime" / "src" / "text_tables.h").read_text()


# --- the proof


def test_a_difference_names_the_users_text(small: Description, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    content = copy.deepcopy(small.document())
    content["model"]["pieces"] = [piece.replace("bad", "sad") for piece in PIECES]
    other = Description.model_validate(content)
    texts = [("reviews.csv:1", "good"), ("reviews.csv:2", "bad!")]
    with pytest.raises(DataError, match=r"reviews\.csv:2: .*token 2 is 1 instead of 6, in 'bad!'"):
        prove_equal(other, tmp_path, texts)
    with pytest.raises(DataError, match=r"edgetl's own text \d+: .*differs"):
        prove_equal(small.model_copy(update={"normalize": ()}), tmp_path, [])


def test_special_tokens_of_the_model_are_among_the_nasty_texts(small: Description) -> None:
    texts = [text for _, text in nasty_texts(small)]
    assert "a[SEP]b" in texts
    assert len(set(texts)) > 250


# --- tokens of files


def preprocessing_of(description: Description, folder: Path, *lengths: int, pad: int = 0) -> TextPreprocessing:
    folder.mkdir(exist_ok=True)
    write_description(folder / "tokenizer.json", description)
    digest = hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    return TextPreprocessing(digest, pad, lengths, str(folder))


def test_a_file_becomes_tokens_of_the_first_length_that_holds_them(small: Description, tmp_path: Path) -> None:
    p = preprocessing_of(small, tmp_path / "described", 4, 8)
    (tmp_path / "a.txt").write_text("good bad\n")
    (tmp_path / "b.txt").write_text("good bad good\n")
    assert load_text(tmp_path / "a.txt", p).tolist() == [2, 4, 6, 3]
    assert load_text(tmp_path / "b.txt", p).tolist() == [2, 4, 6, 4, 3, 0, 0, 0]
    assert encode_text("bad " * 50, p).tolist() == [2, *[6] * 6, 3]
    assert filled([[2, 3], [2, 6, 3]], p).tolist() == [[2, 3, 0, 0], [2, 6, 3, 0]]
    assert encode_text("good", p).dtype == np.int32


def test_another_tokenizer_than_that_of_the_network_is_refused(small: Description, tmp_path: Path) -> None:
    p = preprocessing_of(small, tmp_path / "described", 8)
    with pytest.raises(BundleError, match="expected the tokenizer with sha256 0000"):
        tokenizer_of(TextPreprocessing("0" * 64, 0, (8,), p.folder))
    with pytest.raises(BundleError, match="cannot be read: No such file"):
        tokenizer_of(TextPreprocessing(p.tokenizer, 0, (8,), str(tmp_path / "elsewhere")))
    with pytest.raises(BundleError, match="expected `pad` 5; found 0"):
        tokenizer_of(TextPreprocessing(p.tokenizer, 5, (8,), p.folder))
    with pytest.raises(BundleError, match="adds 2 tokens to every text; expected fewer than the last length, 2"):
        tokenizer_of(TextPreprocessing(p.tokenizer, 0, (2,), p.folder))


def test_a_text_without_a_token_is_refused(small: Description, tmp_path: Path) -> None:
    p = preprocessing_of(small.model_copy(update={"before": (), "after": ()}), tmp_path / "described", 8)
    with pytest.raises(UnreadableText, match="row 3: not usable as a text: it has no token"):
        encode_text("\u00ad\u200b", p, "row 3")


# --- hostile files

STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 10**30, "", "a", "\x00", "\u2028", [], {}, [[]], ["a"], [1, 2, 3], {"type": "Sequence"}),
    *({"type": None}, {"String": ""}, [["a", "b"]], {"a": 0}, {"a": -1}, ["a b"], "a" * 2000),
)


def saved_kinds() -> list[dict[str, Any]]:
    """Documents with every component once."""
    bpe, unigram = as_saved(), as_saved()
    of_bpe(vocab={"a": 0, "b": 1, "ab": 2}, merges=["a b"], unk_token="a")(bpe)
    bpe["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Prepend", "prepend": "x"}]}
    bpe["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [split(r"x"), {"type": "Digits", "individual_digits": True}],
    }
    bpe["pre_tokenizer"]["pretokenizers"][0] = {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}
    unigram["model"] = {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0], ["b", -1.0]], "byte_fallback": False}
    unigram["normalizer"] = {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}
    unigram["pre_tokenizer"] = {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": True}
    single = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    ids = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}
    unigram["post_processor"] = {"type": "TemplateProcessing", "single": single, "special_tokens": ids}
    return [as_saved(), bpe, unigram]


def mutated(content: Any, chance: random.Random) -> Any:
    """A copy in which one value is another one, or missing."""
    if isinstance(content, dict | list) and content and chance.random() < 0.9:
        copied = copy.copy(content)
        key = chance.choice(list(content) if isinstance(content, dict) else range(len(content)))
        if chance.random() < 0.1:
            del copied[key]
        else:
            copied[key] = mutated(content[key], chance)
        return copied
    return chance.choice(STRANGE)


def test_a_hostile_file_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    chance, read, refused = random.Random(5), 0, []
    kinds = saved_kinds()
    for kind in kinds:
        from_hf(folder_with(kind, tmp_path))
    for number in range(300):
        folder_with(mutated(kinds[number % 3], chance), tmp_path)
        try:
            Tokenizer(from_hf(tmp_path)).encode("a good b\x00\u00e9 [SEP]")
            read += 1
        except DataError as error:
            refused.append(str(error))
    assert not [line for line in refused if len(line.splitlines()) != 1 or len(line) > 900]
    assert read > 20
    assert len(refused) > 100
