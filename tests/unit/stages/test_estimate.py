"""How long a build will take, said before it begins."""

from __future__ import annotations

from pathlib import Path

from edgetl.recipes.job import Job, make_job
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.stages.adapt import sentence, stage_seconds
from edgetl.types import Sample, Split

MACS = 300_000_000


def _job(**adapt: str) -> Job:
    raw = {
        "name": "steel",
        "data": {"train": "train"},
        "backbone": {"name": "mobilenetv2_100"},
        "targets": ["x86-cpu", "intel-cpu", "arm64-cpu"],
        "adapt": adapt,
    }
    return make_job(parse_recipe(raw, where="recipe.yaml"), Path())


def _split(shots: int, val: int) -> Split:
    def samples(count: int) -> tuple[Sample, ...]:
        return tuple(Sample(str(number), 0, str(number)) for number in range(count))

    return Split(("a",), samples(shots), samples(val), (), "squash", "square", "digest")


def test_a_build_of_sixty_shots_is_minutes_and_more_images_or_a_larger_network_take_longer() -> None:
    usual = stage_seconds(_job(), _split(60, 300), MACS, 1.8, 11)
    assert list(usual) == ["adapt", "quantize", "export", "compile", "bench"]
    assert 120 < sum(usual.values()) < 600
    assert stage_seconds(_job(), _split(200, 300), MACS, 1.8, 11)["adapt"] > usual["adapt"]
    assert stage_seconds(_job(), _split(60, 3000), MACS, 1.8, 11)["bench"] > usual["bench"]
    larger = stage_seconds(_job(), _split(60, 300), 14 * MACS, 1.8, 11)
    assert all(larger[stage] >= usual[stage] for stage in usual)


def test_the_sentence_counts_only_the_stages_that_will_run() -> None:
    seconds = {"adapt": 200.0, "quantize": 50.0, "export": 30.0}
    assert sentence(seconds, "report") == (
        "estimated for two idle cores: 5 min (adapt 3 min, quantize 50 s, export 30 s)"
    )
    assert sentence(seconds, "adapt") == "estimated for two idle cores: 3 min (adapt 3 min)"
