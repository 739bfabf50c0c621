"""When a network is worth an operation, and how the report tells it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_runs import small_run

from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, Latency, TargetBench
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Surgery
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.stages import simplify
from edgetl.stages.simplify import needs_surgery, only_for_images, surgery_pays
from edgetl.stages.write_report import surgery_sentence
from edgetl.store.results import StageResult
from edgetl.tasks.classification.accuracy import compare
from edgetl.types import Interval, Precision, Silent, Split
from edgetl.types.findings import Replaceable


def _build(precision: Precision, p50_ms: float | None, *, lost: int = 0, conversions: int | None = None) -> BuildBench:
    labels = np.arange(100) % 2
    reference = np.eye(2, dtype=np.float32)[labels]
    logits = reference.copy()
    logits[:lost] = logits[:lost, ::-1]
    taken = None if p50_ms is None else Interval(p50_ms, 0.9 * p50_ms, 1.1 * p50_ms)
    return BuildBench(
        precision,
        size_bytes=1,
        accuracy=compare(logits, labels, reference),
        latency=None if taken is None else Latency(p50_ms=taken, p90_ms=None, p99_ms=None, runs=300, threads=1),
        conversions=conversions,
    )


def _bench(*builds: BuildBench, backend: str = "onnxruntime") -> TargetBench:
    images = tuple(range(100))
    return TargetBench("x86-cpu", backend, "1", True, False, "", describe(), images, builds)


@pytest.mark.parametrize(("activations", "gates"), [(19, 9), (19, 0), (0, 9)])
def test_slower_than_float_with_parts_to_replace_is_worth_it(activations: int, gates: int) -> None:
    found = _bench(_build("int8", 2.1), _build("float32", 1.6))
    assert surgery_pays(found, Replaceable(activations, gates), Surgery())


def test_the_fastest_float_build_counts() -> None:
    found = _bench(_build("int8", 0.8), _build("bfloat16", 0.7), _build("float32", 1.6))
    assert surgery_pays(found, Replaceable(19, 9), Surgery())
    fastest = found.fastest_float()
    assert fastest is not None
    assert fastest.precision == "bfloat16"


@pytest.mark.parametrize(
    "found",
    [
        _bench(_build("int8", 1.5), _build("float32", 1.6)),
        _bench(_build("int8", None), _build("float32", None)),
        _bench(_build("int8", 2.0), _build("float32", None)),
        _bench(_build("int8", 2.0), _build("mixed", 1.0)),
        _bench(_build("float32", 1.6)),
        _bench(_build("int8", 2.0), _build("float32", 1.0), backend="null"),
    ],
    ids=["faster", "not measured", "float not measured", "only integers", "no int8", "answers zeros"],
)
def test_otherwise_it_is_not(found: TargetBench) -> None:
    assert not surgery_pays(found, Replaceable(19, 9), Surgery())


def test_a_network_without_such_parts_is_left_alone() -> None:
    assert not surgery_pays(_bench(_build("int8", 2.1), _build("float32", 1.6)), Replaceable(0, 0), Surgery())


@pytest.mark.parametrize(("activations", "gates"), [(19, 0), (0, 9)])
def test_parts_that_the_recipe_keeps_are_no_reason(activations: int, gates: int) -> None:
    found, parts = _bench(_build("int8", 2.1), _build("float32", 1.6)), Replaceable(activations, gates)
    assert surgery_pays(found, parts, Surgery(activations="keep")) == (gates > 0)
    assert surgery_pays(found, parts, Surgery(gates="keep")) == (activations > 0)
    assert not surgery_pays(found, parts, Surgery(activations="keep", gates="keep"))


def test_the_sentence_tells_cause_change_and_outcome() -> None:
    builds = (_build("int8", 2.1, conversions=76), _build("simplified", 0.68, lost=3), _build("float32", 1.6))
    sentence = surgery_sentence(_bench(*builds), 19, 9)
    assert sentence.startswith(
        "INT8 is slower than float32 (2.10 ms against 1.60 ms): 76 of its operators only convert"
    )
    assert "Without 19 smooth activations and 9 squeeze-and-excitation gates, after distillation" in sentence
    assert "INT8 takes 0.68 ms; its top-1 is -3.00 points (" in sentence


def test_the_sentence_holds_where_the_candidate_could_not_run() -> None:
    builds = (_build("int8", 2.1), BuildBench("simplified", 1, error="no"), _build("float32", 1.6))
    assert surgery_sentence(_bench(*builds), 0, 9).endswith("gates, after distillation, INT8 takes an unknown time.")


def test_a_target_file_cannot_ask_for_such_a_build(tmp_path: Path) -> None:
    text = 'name: mine\nsummary: ""\nbackend: onnxruntime\nmachine: x86_64\naccelerator: none\n'
    scheme = "scheme: {activation_dtype: uint8, activation_symmetric: false}\n"
    (tmp_path / "mine.yaml").write_text(f"{text}precisions: [simplified]\n{scheme}")
    with pytest.raises(UsageError, match="simplified builds are made if int8 is slower than a float build; remove"):
        load_target("mine", [tmp_path])


class _Noting(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


_DETECTION = {"task": "detection", "backbone": {"name": "yolox_nano"}}
_SOUND = {"front": "audio", "backbone": {"name": "speech_embedding"}}


@pytest.mark.parametrize(
    ("recipe", "activations", "told"), [(_DETECTION, 23, True), (_DETECTION, 0, False), (_SOUND, 23, True)]
)
def test_only_classifiers_of_images_are_operated_on_and_one_line_says_why(
    recipe: dict[str, Any], activations: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = _bench(_build("int8", 2.1), _build("float32", 1.6))
    monkeypatch.setattr("edgetl.bench.result.read_bench", lambda _: slow)
    found = Replaceable(activations, 0)
    monkeypatch.setattr(simplify, "read_quantize", lambda _: SimpleNamespace(replaceable=found))
    progress, target = _Noting(), load_target("x86-cpu")
    run = small_run(
        Split(("a",), (), (), (), "squash", "", ""),
        tmp_path,
        progress=progress,
        **recipe,
    )
    result = StageResult("bench", tmp_path, "", reused=False, seconds=0.0, peak_rss_bytes=0)
    assert not needs_surgery(run, target, result, {scheme_id(target.scheme): result})
    assert progress.notes == ([only_for_images("x86-cpu", found)] if told else [])
