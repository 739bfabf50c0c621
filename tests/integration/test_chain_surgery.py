"""The candidate without smooth activations and gates, from recipe to report, on a small network that has both."""

from __future__ import annotations

from pathlib import Path

import pytest
from chain import write_recipe

from edgetl.backbones.spec import read_spec
from edgetl.bundle.inference import verify
from edgetl.bundle.read import read_bundle
from edgetl.errors import ParityError
from edgetl.quant.record import read_quantize
from edgetl.recipes.job import make_job
from edgetl.recipes.recipe_file import load_recipe
from edgetl.report.model import Report, read_report
from edgetl.stages import pipeline
from edgetl.types import Silent

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as if INT8 had been slower on x86-cpu only: which one is faster here is not asked."""
    folder = tmp_path_factory.mktemp("surgery")
    path = write_recipe(
        folder,
        ["x86-cpu", "intel-cpu"],
        backbone={"name": "test_efficientnet", "pretrained": False},
        adapt={"strategy": "probe", "sanity": "warn"},
        surgery={"epochs": 2},
        gates={"max_drop_points": None},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "needs_surgery", lambda job, target, *_: target.name == "x86-cpu")
        outcome = pipeline.run(make_job(load_recipe(path), folder), Silent())
    return outcome.out


@pytest.fixture(scope="module")
def report(out: Path) -> Report:
    return read_report(out / "report.json")


def test_the_candidate_is_measured_beside_the_others_and_only_where_it_was_wanted(report: Report) -> None:
    x86, intel = report.bundles
    assert [build.precision for build in x86.builds] == ["int8", "simplified", "float32"]
    assert all(build.p50_ms and build.top1 is not None for build in x86.builds)
    assert "simplified" not in [build.precision for build in intel.builds]
    assert intel.surgery is None


def test_hardly_anything_is_left_between_its_integer_operators(report: Report) -> None:
    plain, simplified, _ = report.bundles[0].builds
    assert plain.conversions is not None
    assert simplified.conversions is not None
    assert simplified.conversions <= plain.conversions <= 3, "the network's own ends and its mean"
    assert simplified.placement is not None
    assert simplified.placement.startswith("int8 ")
    assert "," not in simplified.placement


def test_the_report_says_what_was_replaced_and_why(report: Report, out: Path) -> None:
    surgery = report.bundles[0].surgery
    assert surgery is not None
    (stage,) = out.glob("stages/surgery-*/network.json")
    assert read_spec(stage).surgery == ("relu", "no-gates")
    assert surgery.activations > 0
    assert surgery.gates > 0
    assert (
        f"Without {surgery.activations} smooth activations and {surgery.gates} squeeze-and-excitation"
        in surgery.sentence
    )
    assert surgery.sentence in (out / "report.html").read_text(encoding="utf-8")
    assert [stage.what for stage in report.stages if stage.stage == "export"] == ["", "surgery"]


def test_its_bundle_is_whole_and_answers_its_golden_images(out: Path) -> None:
    bundles = [read_bundle(path.parent) for path in out.glob("stages/compile-*/manifest.json")]
    (found,) = [bundle for bundle in bundles if bundle.manifest.compiled.precision == "simplified"]
    checks = verify(found, threads=1)
    assert checks
    assert all(check.passed for check in checks)


def test_ranges_of_the_recipe_are_for_the_network_as_it_was(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ranges,) = [
        path.parent / "ranges.safetensors"
        for path in out.glob("stages/quantize-*/quantize.json")
        if read_quantize(path.parent).replaceable.gates
    ]
    recipe = load_recipe(out.parent / "recipe.yaml", [f"quantize.ranges={ranges}"])
    monkeypatch.setattr(pipeline, "needs_surgery", lambda job, target, *_: target.name == "x86-cpu")
    outcome = pipeline.run(make_job(recipe, out.parent), Silent(), "bench")
    assert "compile x86-cpu simplified" in [result.title for result in outcome.results]


def test_a_candidate_that_cannot_be_made_is_left_out_and_the_build_goes_on(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    class Notes(Silent):
        def note(self, text: str) -> None:
            said.append(text)

    def refuse(*_: object) -> None:
        raise ParityError("folding changed the network")

    monkeypatch.setattr(pipeline, "needs_surgery", lambda *_: True)
    monkeypatch.setattr(pipeline, "surgery_stage", refuse)
    job = make_job(load_recipe(out.parent / "recipe.yaml"), out.parent)
    outcome = pipeline.run(job, Notes())
    assert outcome.report is not None
    assert [bundle.surgery for bundle in outcome.report.bundles] == [None, None]
    assert "no simplified build: folding changed the network" in said
