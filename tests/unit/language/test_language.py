"""Language models from a folder to a bundle that generates: what it says, how it is verified, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from cli_calls import Shell
from hostile_bundles import change_model, edit, refit
from numpy.typing import NDArray
from text_bundles import make_text_pivot
from this_cpu import X86_TARGET
from tiny_transformers import CORPUS, tiny_transformer

from edgetl.backends.onnx_decoder import OnnxDecoder
from edgetl.bundle.compile import compile_targets
from edgetl.files.text import printable
from edgetl.language.bundle import LOGITS_FILE, MODEL_FILE, PROMPTS_FILE, read_language
from edgetl.language.continuation import Draw, continuation
from edgetl.language.measure import Losses, losses, rise_percent
from edgetl.pivot.rewrite import fold_transposes
from edgetl.quant.dynamic import to_dynamic
from edgetl.quant.exact import with_unsigned_weights
from edgetl.recipes.resources import resource_dir
from edgetl.recipes.targets import load_target
from edgetl.stages.language import BUNDLES, Request, build
from edgetl.types import TOKENIZER, Silent

transformers = pytest.importorskip("transformers", reason="needs the extra `text`")
pytestmark = pytest.mark.stage

PROMPT = "the cat sat on"
FLOAT = "float-cpu"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of two layers with random weights."""
    return tiny_transformer(tmp_path_factory.mktemp("models") / "tiny", "gpt2", headed=True)


@pytest.fixture(scope="module")
def made(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundles: for this CPU whatever is faster, for ARM in INT8, and for a target that has only float."""
    folder = tmp_path_factory.mktemp("language")
    target = yaml.safe_load((resource_dir("targets") / f"{X86_TARGET}.yaml").read_text(encoding="utf-8"))
    (folder / f"{FLOAT}.yaml").write_text(yaml.safe_dump({**target, "name": FLOAT, "precisions": ["float32"]}))
    targets = tuple(load_target(name, [folder], "text") for name in (X86_TARGET, "arm64-cpu", FLOAT))
    build(Request(model, "tiny", tuple(CORPUS), targets, folder / "out", 50.0, 1), Silent())
    return folder / "out" / BUNDLES


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A copy of the one in float, to change."""
    return Path(shutil.copytree(made / f"tiny-{FLOAT}", tmp_path / "tiny"))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that classifies texts."""
    folder = tmp_path_factory.mktemp("reviews")
    compile_targets(make_text_pivot(folder / "votes"), ["x86-cpu"], folder / "bundles")
    return next((folder / "bundles").iterdir())


def test_it_says_what_transformers_says(made: Path, model: Path, shell: Shell) -> None:
    found = shell("generate", made / f"tiny-{FLOAT}", "--prompt", PROMPT, "--tokens", "30", "--json").json()
    network = transformers.AutoModelForCausalLM.from_pretrained(model)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(model)
    given = tokenizer(PROMPT, return_tensors="pt")
    expected = network.generate(**given, max_new_tokens=30, do_sample=False, pad_token_id=0)[0].tolist()
    assert given["input_ids"][0].tolist() + found["ids"] == [token for token in expected if token != 0]
    assert found["text"] == tokenizer.decode(found["ids"])


def test_text_appears_without_the_prompt_and_ends_its_line(made: Path, shell: Shell) -> None:
    done = shell("generate", made / f"tiny-{FLOAT}", "--prompt", PROMPT, "--tokens", "3")
    found = shell("generate", made / f"tiny-{FLOAT}", "--prompt", PROMPT, "--tokens", "3", "--json").json()
    assert (done.code, done.err) == (0, "")
    shown = "".join(letter if letter in "\n\t" else printable(letter) for letter in found["text"])
    assert done.out == shown + "\n" * (not shown.endswith("\n"))
    assert (len(found["ids"]), found["stopped"]) == (3, "tokens")


def test_it_stops_when_its_context_is_full(made: Path, shell: Shell) -> None:
    found = shell("generate", made / f"tiny-{FLOAT}", "--prompt", PROMPT, "--tokens", "1000", "--json").json()
    assert found["stopped"] == "context"
    assert found["prompt_tokens"] + len(found["ids"]) == 64


def test_it_stops_at_the_mark_of_the_end(bundle: Path, shell: Shell) -> None:
    before = shell("generate", bundle, "--prompt", PROMPT, "--tokens", "8", "--json").json()["ids"]
    edit(bundle / "manifest.json", lambda manifest: manifest.update(end=[before[4]]))
    found = shell("generate", bundle, "--prompt", PROMPT, "--tokens", "8", "--json").json()
    assert (found["ids"], found["stopped"]) == (before[: before.index(before[4])], "end")


def test_draws_follow_their_seed(made: Path, shell: Shell) -> None:
    def drawn(*options: str) -> list[int]:
        given = ("generate", made / f"tiny-{FLOAT}", "--prompt", PROMPT, "--tokens", "20", "--json")
        ids: list[int] = shell(*given, "--temperature", "1", *options).json()["ids"]
        return ids

    assert drawn("--seed", "1") == drawn("--seed", "1")
    assert drawn("--seed", "1") != drawn("--seed", "2")
    greedy = shell("generate", made / f"tiny-{FLOAT}", "--prompt", PROMPT, "--tokens", "20", "--json").json()["ids"]
    assert drawn("--top-p", "1e-9") == greedy


class Fixed:
    """A network whose next token has the probabilities 0.5, 0.3, 0.15 and 0.05."""

    def reset(self) -> None:
        pass

    def feed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        return np.log(np.array([[0.5, 0.3, 0.15, 0.05]], np.float32)).repeat(len(ids), axis=0)


@pytest.mark.parametrize(
    ("draw", "shares"),
    [
        (Draw(1.0, 1.0), (0.5, 0.3, 0.15, 0.05)),
        (Draw(1.0, 0.7), (0.625, 0.375, 0, 0)),
        (Draw(0.5, 1.0), (0.6849, 0.2466, 0.0616, 0.0068)),
    ],
)
def test_tokens_are_drawn_with_their_shares(draw: Draw, shares: tuple[float, ...]) -> None:
    drawn = list(continuation(Fixed(), [0], 4000, end=(), context=10_000, draw=draw))
    assert np.bincount(drawn, minlength=4) / 4000 == pytest.approx(shares, abs=0.03)


def test_verify_replays_prompts_on_this_cpu_and_names_the_others(made: Path, shell: Shell) -> None:
    found = shell("verify", made, "--json").json()
    assert found["passed"]
    rows = {Path(each["bundle"]).name: each for each in found["bundles"]}
    steps = [step["step"] for step in rows[f"tiny-{FLOAT}"]["steps"]]
    assert steps == ["tokenize", "network", "cache", "text"] * 4
    assert len(rows["tiny-arm64-cpu"]["steps"]) == 0


def test_verify_names_a_network_with_other_weights(bundle: Path, shell: Shell) -> None:
    def louder(changed: onnx.ModelProto) -> None:
        tensor = max(changed.graph.initializer, key=lambda each: len(each.raw_data))
        values = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(1.5), tensor.name))

    refit(bundle, MODEL_FILE, change_model(bundle / MODEL_FILE, louder))
    done = shell("verify", bundle)
    assert done.code == 1
    assert "the first step that differs is `network`" in done.err


def test_verify_names_another_tokenizer(bundle: Path, shell: Shell) -> None:
    content = json.loads((bundle / TOKENIZER).read_text(encoding="utf-8"))
    content["normalize"] = [{"step": "replace", "old": "c", "new": "d"}]
    refit(bundle, TOKENIZER, json.dumps(content).encode())
    done = shell("verify", bundle)
    assert done.code == 1
    assert "the first step that differs is `tokenize`" in done.err


@pytest.mark.parametrize("name", [PROMPTS_FILE, LOGITS_FILE])
def test_verify_refuses_golden_files_of_another_network(bundle: Path, name: str, shell: Shell) -> None:
    content = json.loads((bundle / PROMPTS_FILE).read_text(encoding="utf-8"))
    content["prompts"][0]["following"] = [299] * 60
    refit(bundle, name, json.dumps(content).encode())
    done = shell("verify", bundle)
    assert done.code == 1
    assert "golden" in done.err
    assert len(done.lines) == 1


@pytest.mark.parametrize(
    ("code", "words", "options"),
    [
        (2, ["--prompt", "found nothing"], ["--prompt", ""]),
        (2, ["--prompt", "found nothing"], ["--prompt", " \n"]),
        (2, ["--prompt", "at most 64"], ["--prompt", "the cat " * 60]),
        (2, ["--tokens"], ["--prompt", PROMPT, "--tokens", "0"]),
        (2, ["--top-p"], ["--prompt", PROMPT, "--temperature", "1", "--top-p", "0"]),
        (2, ["--seed", "--temperature"], ["--prompt", PROMPT, "--seed", "3"]),
        (2, ["--temperature"], ["--prompt", PROMPT, "--temperature", "nan"]),
        (2, ["--prompt"], []),
    ],
)
def test_what_cannot_be_continued_is_refused_in_one_line(
    made: Path, shell: Shell, code: int, words: list[str], options: list[str]
) -> None:
    shell.refuses(code, words, "generate", made / f"tiny-{FLOAT}", *options)


def test_a_damaged_tokenizer_is_refused(bundle: Path, shell: Shell) -> None:
    (bundle / TOKENIZER).write_bytes((bundle / TOKENIZER).read_bytes()[:-40])
    shell.refuses(1, [TOKENIZER, "bytes"], "generate", bundle, "--prompt", PROMPT)
    refit(bundle, TOKENIZER, b'{"schema": 1}')
    shell.refuses(1, [TOKENIZER, "missing"], "generate", bundle, "--prompt", PROMPT)


def test_a_tokenizer_with_more_tokens_than_the_network_is_refused(bundle: Path, shell: Shell) -> None:
    edit(bundle / "manifest.json", lambda manifest: manifest["decoder"].update(vocabulary=100))
    shell.refuses(1, [TOKENIZER, "the network has 100"], "generate", bundle, "--prompt", PROMPT)


def test_a_network_with_other_ports_is_refused(bundle: Path, shell: Shell) -> None:
    edit(bundle / "manifest.json", lambda manifest: manifest["decoder"].update(layers=3))
    shell.refuses(1, ["3 layers", "other ports"], "generate", bundle, "--prompt", PROMPT)


def test_a_bundle_for_another_cpu_says_so(made: Path, shell: Shell) -> None:
    shell.refuses(1, ["aarch64"], "generate", made / "tiny-arm64-cpu", "--prompt", PROMPT)


def test_no_bundle_is_refused(tmp_path: Path, shell: Shell) -> None:
    shell.refuses(1, ["cannot be read"], "generate", tmp_path / "none", "--prompt", PROMPT)


def test_a_bundle_that_classifies_is_refused(reviews: Path, shell: Shell) -> None:
    shell.refuses(2, ["another task", "edgetl predict"], "generate", reviews, "--prompt", PROMPT)


@pytest.mark.parametrize("command", [["predict", "--text", "a film"], ["bench", "--data", "."], ["listen", "x.wav"]])
def test_commands_that_classify_name_the_one_that_generates(made: Path, command: list[str], shell: Shell) -> None:
    bundle = made / f"tiny-{FLOAT}"
    shell.refuses(2, ["a language model", "edgetl generate"], command[0], bundle, *command[1:])


def test_targets_without_onnx_runtime_are_refused_before_anything_is_read(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "a.txt").write_text("a text", encoding="utf-8")
    options = ("--target", "intel-cpu", "--out", tmp_path / "out")
    shell.refuses(2, ["--target intel-cpu", "openvino"], "language", tmp_path, tmp_path / "a.txt", *options)


def test_an_encoder_is_refused(tmp_path: Path, shell: Shell) -> None:
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    (tmp_path / "a.txt").write_text("a text", encoding="utf-8")
    options = ("--target", X86_TARGET, "--out", tmp_path / "out", "-q")
    shell.refuses(2, ["model_type", "gpt2 or llama", "bert"], "language", folder, tmp_path / "a.txt", *options)


def test_int8_is_chosen_for_arm_and_float_where_it_is_all_there_is(made: Path) -> None:
    arm, plain = (read_language(made / f"tiny-{name}").manifest for name in ("arm64-cpu", FLOAT))
    assert (arm.compiled.precision, plain.compiled.precision) == ("int8", "float32")
    assert arm.measured.ms_per_token is None
    assert plain.measured.ms_per_token is not None
    assert plain.measured.rise_percent.value == pytest.approx(0, abs=0.01)
    assert arm.measured.perplexity == pytest.approx(plain.measured.perplexity, rel=0.02)
    assert arm.files[MODEL_FILE].size_bytes < 0.6 * plain.files[MODEL_FILE].size_bytes


def test_unsigned_weights_give_the_integers_of_signed_ones(made: Path, tmp_path: Path) -> None:
    """With 7 bits no CPU saturates, so both files can be compared here."""
    network = onnx.load_model(made / f"tiny-{FLOAT}" / MODEL_FILE)
    fold_transposes(network)
    signed, counts = to_dynamic(network, load_target("x86-avx2", (), "text").scheme)
    assert counts == {"linear": 9, "embedding": 2}  # four of each layer, and the head
    shape = read_language(made / f"tiny-{FLOAT}").manifest.decoder
    logits = []
    for name, each in (("signed", signed), ("unsigned", with_unsigned_weights(signed))):
        onnx.save_model(each, tmp_path / name)
        logits.append(OnnxDecoder(tmp_path / name, shape, threads=1).feed([5, 40, 77, 120, 9]))
    assert np.abs(logits[0] - logits[1]).max() <= 1e-5 * np.ptp(logits[0])


def test_the_model_runs_without_edgetl(made: Path) -> None:
    """The cache as plain ports: two tokens at once are the same as one after the other."""
    session = onnxruntime.InferenceSession(made / f"tiny-{FLOAT}" / MODEL_FILE)
    names = [port.name for port in session.get_inputs()]
    assert names == ["tokens", *(f"past.{layer}.{part}" for layer in (0, 1) for part in ("key", "value"))]
    empty = [np.zeros((1, 2, 0, 16), np.float32)] * 4
    whole = session.run(None, dict(zip(names, [np.array([[7, 9]]), *empty], strict=True)))
    first = session.run(None, dict(zip(names, [np.array([[7]]), *empty], strict=True)))
    second = session.run(None, dict(zip(names, [np.array([[9]]), *first[1:]], strict=True)))
    assert np.abs(whole[0][0, 1] - second[0][0, 0]).max() < 1e-5
    assert [array.shape for array in second[1:]] == [(1, 2, 2, 16)] * 4


def test_perplexity_is_that_of_the_probabilities() -> None:
    found = losses(Fixed().feed, [[0, 1, 2], [3, 0], [1]], context=10)
    assert found.counts.tolist() == [2, 1, 0]
    assert found.perplexity == pytest.approx((0.3 * 0.15 * 0.5) ** (-1 / 3))


def test_a_text_longer_than_the_context_is_read_in_pieces() -> None:
    seen: list[int] = []

    def logits(ids: Sequence[int]) -> NDArray[np.float32]:
        seen.append(len(ids))
        return Fixed().feed(ids)

    assert losses(logits, [[0] * 25], context=10).counts.tolist() == [22]
    assert seen == [9, 9, 4]


def test_the_rise_of_the_perplexity_is_paired() -> None:
    before = Losses(np.array([10.0, 80.0, 33.0]), np.array([10, 40, 11]))
    after = Losses(before.sums + 0.01 * before.counts, before.counts)
    found = rise_percent(before, after)
    assert (found.value, found.low, found.high) == pytest.approx((1.005, 1.005, 1.005), abs=1e-3)
