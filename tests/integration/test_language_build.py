"""A language model from its folder to text, through the command line: a small Llama that tells stories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chain import edgetl_offline, edgetl_without_torch
from this_cpu import X86_TARGET

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STORIES = (
    "Once upon a time, there was a little boy named Tim. Tim had a red ball. "
    "He loved to play with his ball in the park. One day, the ball rolled into the river. Tim was very sad.",
    "Lily and Ben went to the garden with their mom. They saw a small bird on the ground. The bird could not fly. "
    "Mom said they could take it home. They gave the bird some water and food. The next day the bird was well.",
    "There was a cat who liked to sleep in the sun. Every day the cat sat on a big rock. One day it started to rain.",
    "Sam found a shiny stone near the tree. He showed it to his friend Anna. Anna said it was very pretty.",
)


def test_stories_are_told_as_the_model_tells_them(shared: Path, tmp_path: Path) -> None:
    texts, out = tmp_path / "stories.jsonl", tmp_path / "out"
    texts.write_text("".join(json.dumps({"text": story}) + "\n" for story in STORIES), encoding="utf-8")
    model = shared / "weights" / "stories260k"
    targets = ("--target", X86_TARGET, "--target", "arm64-cpu")
    done = edgetl_offline("language", model, texts, *targets, "--out", out, "--json")
    assert done.code == 0, done.err
    here, arm = done.json()["bundles"]
    assert here["measured"]["perplexity"] < 5  # stories that the model has never read; chance is 512
    assert abs(here["measured"]["rise_percent"]["value"]) < 2
    assert (arm["compiled"]["precision"], arm["measured"]["ms_per_token"]) == ("int8", None)
    bundle = out / "bundles" / f"stories260k-{X86_TARGET}"
    told = edgetl_without_torch("generate", bundle, "--prompt", "Once upon a time", "--tokens", "40")
    assert told.code == 0, told.err
    # the greedy sample on the card of the weights
    assert told.out.startswith(", there was a little girl named Lily. She loved to play outside in the park.")
    assert edgetl_without_torch("verify", bundle).code == 0
