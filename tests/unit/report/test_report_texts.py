"""What the page shows of texts: the words that decided, asked of a bundle that really reads, and lengths in tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from html_outline import outline
from numpy.typing import NDArray
from small_reports import bundle as row
from small_reports import report
from text_bundles import LABELS, make_text_pivot, write_tokenizer

from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, OfLength, TargetBench
from edgetl.bundle.compile import compile_targets
from edgetl.errors import BackendError, DataError
from edgetl.report.html import Details, TargetDetails, render_html
from edgetl.report.texts.lengths import measure_lengths
from edgetl.report.texts.looks import Reader, open_reader, plain
from edgetl.report.texts.words import Word, decisive, log_odds, pieces
from edgetl.tasks.classification.accuracy import compare
from edgetl.types import Interval, Sample, Split

TEXTS = (
    "A superb, wonderful plot, and not a boring film.",
    "awful",
    "الفيلم رائع",
    "這電影好",
    "<script>alert('good')</script>",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("read")
    return compile_targets(make_text_pivot(folder / "pivot"), ["x86-cpu"], folder / "made")[0]


@pytest.fixture
def reader(bundle: Path) -> Iterator[Reader]:
    try:
        with open_reader([bundle]) as opened:
            if opened is None:
                pytest.skip("x86-cpu does not run here")
            yield opened
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    for index, text in enumerate(TEXTS):
        (tmp_path / f"{index}.txt").write_text(text, encoding="utf-8")
    return [Sample(str(tmp_path / f"{index}.txt"), 2 if index else 0, "") for index in range(len(TEXTS))]


@pytest.mark.parametrize("text", [*TEXTS, "it's x_1, isn't it", " a  b ", "यह फिल्म अच्छी है", "w, " * 70])
def test_pieces_are_the_whole_text(text: str) -> None:
    assert "".join(piece for piece, _ in pieces(text)) == text


def test_words_are_runs_of_letters_and_single_ideographs() -> None:
    def words(text: str) -> list[str]:
        return [piece for piece, is_word in pieces(text) if is_word]

    assert words("It isn't bad!") == ["It", "isn't", "bad"]
    assert words("這電影 好") == ["這", "電", "影", "好"]
    assert words("यह फिल्म") == ["यह", "फिल्म"]
    assert words("a b c d e") == list("abcde")
    assert [piece for piece, is_word in pieces("a b c d e", 2) if is_word] == ["a b c", "d e"]


def test_a_word_has_the_log_odds_that_the_text_loses_without_it() -> None:
    votes = {"good": 2.0, "bad": -1.0}

    def logits(text: str) -> NDArray[np.float64]:
        if not text.strip():
            raise DataError("empty")
        return np.array([0.0, sum(votes.get(word, 0.0) for word in text.split())])

    found = decisive("good bad film", logits)
    assert [word.text for word in found] == ["good", " ", "bad", " ", "film"]
    assert [word.change and round(word.change, 6) for word in found] == [2.0, None, -1.0, None, 0.0]
    assert decisive("good", logits) == (Word("good"),)
    assert log_odds(np.array([2.0, 0.0]), 0) == pytest.approx(np.log(np.exp(2) / 1))


def test_the_deployed_network_is_asked(reader: Reader, samples: list[Sample]) -> None:
    words = {word.text: word.change for word in reader(Path(samples[0].path)).words}
    strongest = sorted((word for word in words if words[word]), key=lambda word: -abs(words[word] or 0))
    assert set(strongest) == {"superb", "wonderful", "boring"}
    assert reader(Path(samples[1].path)).words == (Word("awful"),)
    changes = {word.text: word.change for word in reader(Path(samples[3].path)).words}
    assert changes["好"]
    assert changes["好"] > 0
    assert changes["影"] == 0
    assert [bool(word.change) for word in reader(Path(samples[2].path)).words] == [False, False, True]


def test_a_text_that_is_gone_is_said_so(reader: Reader, tmp_path: Path) -> None:
    assert not reader(tmp_path / "gone.txt").words
    assert not plain(tmp_path / "gone.txt").words


def test_lengths_count_tokens_unknown_ones_and_cut_texts(tmp_path: Path) -> None:
    p = write_tokenizer(tmp_path)
    texts = ["a good film", "a good film and a bad plot !", "what ever", "film " * 40]
    for index, text in enumerate(texts):
        (tmp_path / f"{index}.txt").write_text(text, encoding="utf-8")
    found = measure_lengths([Sample(str(tmp_path / f"{index}.txt"), 0, "") for index in range(5)], p)
    assert found is not None
    assert (found.texts, found.longest, found.cut) == (4, 40, 1)
    assert found.unknown == 2 / 53
    assert [(bucket.length, bucket.texts) for bucket in found.buckets] == [(8, 3), (16, 0), (32, 1)]
    assert "1 of 4 are longer than the network takes" in found.sentence
    assert "3.8 % of the tokens are unknown" in found.sentence


def page(reader: Reader, samples: list[Sample]) -> str:
    logits = np.eye(3, dtype=np.float32)[[2, 0, 2, 2, 2]] * 4
    labels = np.array([sample.label for sample in samples])
    quality = compare(logits, labels, logits)
    bench = TargetBench(
        "x86-cpu",
        "onnxruntime",
        "1",
        True,
        False,
        "",
        describe(),
        tuple(range(5)),
        (BuildBench("int8", 9, "", (), quality, by_length=(OfLength(8, 4, Interval(1.25, 1.2, 1.3), None),)),),
    )
    split = Split(LABELS, tuple(samples[:2]), tuple(samples), (), "squash", "", "d")
    details = Details(
        split,
        logits,
        (TargetDetails(bench, {"int8": logits}, {}),),
        reader=reader,
        lengths=measure_lengths(samples, reader.preprocessing),
    )
    made = report(row("x86-cpu"), front="text", classes=LABELS)
    data = made.data.model_copy(update={"shots_per_class": (1, 0, 1), "val_per_class": (1, 0, 4)})
    return render_html(made.model_copy(update={"data": data}), details)


def test_the_page_tints_words_and_escapes_texts(reader: Reader, samples: list[Sample]) -> None:
    made = page(reader, samples)
    found = outline(made)
    assert "script" not in found.tags
    assert "http" not in made
    assert '<p class="said" dir="auto">' in made
    assert re.search(r'<span class="for most" style="--shade: 50%" title="\+\d\.\d\d log-odds">superb</span>', made)
    assert re.search(r'<span class="against most" style="--shade: \d+%" title="−\d\.\d\d log-odds">boring</span>', made)
    assert "&lt;" in made
    assert "A validation text has" in made
    assert "x86-cpu int8, ms</th>" in made
    assert '<td class="n">1.25<span class="range">1.20–1.30</span></td>' in made


def test_a_page_of_images_has_no_styles_of_texts() -> None:
    split = Split(LABELS, (), (), (), "squash", "", "d")
    made = render_html(report(row("x86-cpu")), Details(split, np.zeros((0, 3), np.float32), ()))
    assert ".said" not in made
