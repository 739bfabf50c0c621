"""Killed at every stage, a build leaves nothing half-made, continues, and ends in the same bytes.

One output folder is driven through all its stages by processes that are killed one after another; the last one ends.
The folder is not the one of the session's build, of the same recipe: what is equal in both is equal in any two builds.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chain import ROOT, Chain, chain_targets, edgetl, python
from cli_calls import Done

from edgetl.bundle.read import read_bundle
from edgetl.files.digest import file_digest, folder_digests
from edgetl.pivot.pivot import read_pivot
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.report.model import read_report
from edgetl.store.results import RUN_RECORD

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KILLED_AT = ROOT / "tests" / "killed_at.py"
TARGETS = chain_targets()
BUILDS = sum(len(load_target(name).precisions) for name in TARGETS)
SCHEMES = {scheme_id(load_target(name).scheme) for name in TARGETS}
NETWORKS = ("data", "check", "adapt", "float", *["quantize"] * len(SCHEMES))
COMPILED = (*NETWORKS, "export", *["compile"] * BUILDS)

# where the process dies -> the stages that are done by then, in order of the chain
DEATHS = {
    "while it claims the folder": ("os:fsync", 1, ()),
    "data: before the split is written": ("edgetl.data.split:write_split", 1, ()),
    "data: renamed, but not yet recorded": ("edgetl.store.results:write_text", 1, ()),
    "check: before its findings are written": ("edgetl.checks.check:write_checks", 1, ("data",)),
    "adapt: between two views of the features": ("edgetl.backbones.rows:write_sealed", 3, ("data", "check")),
    "adapt: in the search, one trial kept": ("edgetl.store.cache:write_sealed", 2, ("data", "check")),
    "adapt: from outside, while it trains": ("", 0, ("data", "check")),
    "quantize: one of two files written": ("edgetl.quant.quantize:save_file", 1, ("data", "check", "adapt", "float")),
    "export: before the second tensor file": (
        "edgetl.pivot.golden:save_file",
        1,
        NETWORKS,
    ),
    "export: before the pivot is put beside the stages": (
        "edgetl.bundle.publish:put",
        1,
        (*NETWORKS, "export"),
    ),
    "compile: second build without a manifest": (
        "edgetl.bundle.compile:write_manifest",
        2,
        (*NETWORKS, "export", "compile"),
    ),
    "bench: measured, not written": (
        "edgetl.bench.measure_builds:write_bench",
        1,
        COMPILED,
    ),
    "report: one of two reports written": (
        "edgetl.stages.write_report:write_html",
        1,
        (*COMPILED, *["bench"] * len(TARGETS)),
    ),
    "report: one of two bundles put in place": (
        "edgetl.bundle.publish:put",
        2,
        (*COMPILED, *["bench"] * len(TARGETS), "report"),
    ),
}


@dataclass(frozen=True)
class Death:
    """What was there after one kill.

    recorded  stages that the next run will take as done, each with its number of results
    broken    what is visible and not whole
    """

    code: int
    recorded: dict[str, int]
    broken: list[str]
    published: list[str]


@dataclass(frozen=True)
class Interrupted:
    out: Path
    deaths: dict[str, Death]
    last: Done


@pytest.fixture(scope="module")
def interrupted(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    out = tmp_path_factory.mktemp("killed") / "build"
    build = ("build", str(chain.recipe), "--out", str(out))
    deaths: dict[str, Death] = {}
    for name, (place, calls, _) in DEATHS.items():
        code = _killed_at(place, calls, build) if place else _killed_from_outside(build, out)
        deaths[name] = Death(code, _recorded(out), _broken(out), _published(out))
    return Interrupted(out, deaths, edgetl(*build, "--json"))


def _killed_at(place: str, calls: int, build: Sequence[str]) -> int:
    return python(KILLED_AT, place, str(calls), *build).code


def _killed_from_outside(build: Sequence[str], out: Path) -> int:
    command = [sys.executable, "-m", "edgetl", *build, "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while not (out / "scratch" / "adapt").is_dir() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(1.0)
        os.kill(process.pid, signal.SIGKILL)
        return process.wait()


def _recorded(out: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for path in (out / "stages").glob("*.json"):
        stage = json.loads(path.read_text())["stage"]
        counts[stage] = counts.get(stage, 0) + 1
    return counts


def _broken(out: Path) -> list[str]:
    """Results that look finished and are not."""
    broken = [
        str(path)
        for path in (out / "stages").glob("*.json")
        if folder_digests(path.with_suffix("")) != json.loads(path.read_text())["files"]
    ]
    try:
        for bundle in (out / "bundles").glob("*"):
            read_bundle(bundle)
        if (out / "pivot").exists():
            read_pivot(out / "pivot")
        if (out / "report.json").exists():
            read_report(out / "report.json")
    except Exception as error:
        broken.append(str(error))
    return broken


def _published(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.name in {"pivot", "bundles", "report.json"})


def test_every_kill_hit(interrupted: Interrupted) -> None:
    assert {name: death.code for name, death in interrupted.deaths.items()} == dict.fromkeys(DEATHS, -signal.SIGKILL)


@pytest.mark.parametrize("name", DEATHS)
def test_what_was_finished_is_kept_and_nothing_half_made_is_visible(interrupted: Interrupted, name: str) -> None:
    death = interrupted.deaths[name]
    assert death.broken == []
    finished = DEATHS[name][2]
    assert death.recorded == {stage: finished.count(stage) for stage in finished}
    assert ("pivot" in death.published) == ("compile" in finished)
    assert "report.json" not in death.published


def test_run_again_it_ends_well_and_repeats_no_finished_stage(interrupted: Interrupted) -> None:
    assert interrupted.last.code == 0, interrupted.last.err
    answer = interrupted.last.json()
    assert all(stage["reused"] for stage in answer["stages"])
    assert answer["passed"]
    assert _broken(interrupted.out) == []
    assert sorted(path.name for path in (interrupted.out / "bundles").iterdir()) == [
        f"digits-{name}" for name in sorted(TARGETS)
    ]
    assert not (interrupted.out / "scratch").exists()
    assert not list(interrupted.out.rglob("*.part"))


def test_two_equal_builds_share_the_keys_and_digests_of_all_stages_up_to_compile(
    interrupted: Interrupted, chain: Chain
) -> None:
    ours, theirs = _results(interrupted.out), _results(chain.out)
    assert ours == theirs
    assert sorted(name.rpartition("-")[0] for name in ours) == sorted(COMPILED)
    files = {path.name: file_digest(path) for path in (interrupted.out / "pivot").iterdir() if path.is_file()}
    assert files == {path.name: file_digest(path) for path in chain.pivot.iterdir() if path.is_file()}


def _results(out: Path) -> dict[str, dict[str, str]]:
    """The digests of what equal runs have in common, by the stage and its key."""
    records = [(path.stem, json.loads(path.read_text())) for path in (out / "stages").glob("*.json")]
    return {name: _common(record["files"]) for name, record in records if record["stage"] not in ("bench", "report")}


def _common(files: dict[str, str]) -> dict[str, str]:
    # NVIDIA's builder writes other bytes each time, and the manifest holds their digest
    own = {RUN_RECORD, "model.plan", "manifest.json"} if "model.plan" in files else {RUN_RECORD}
    return {name: digest for name, digest in files.items() if name not in own}


SAME = (
    "name",
    "recipe",
    "classes",
    "reference",
    "data",
    "checks",
    "adapt",
    "quantized",
    "float16",
    "parity",
    "versions",
)
# docs/guide/build.md names them
MEASURED = re.compile(
    r"seconds|threads|.*_ms(_low|_high)?|.*_rss_bytes|speedup.*|round_spread|waited|stolen|"
    r"verdict|reason|cautions|gates|size_bytes"
)


def test_two_equal_builds_write_equal_reports_but_for_what_was_measured(interrupted: Interrupted, chain: Chain) -> None:
    ours, theirs = (json.loads((out / "report.json").read_text()) for out in (interrupted.out, chain.out))
    assert ours["adapt"]["candidates"]
    for part in SAME:
        assert _unmeasured(ours[part]) == _unmeasured(theirs[part]), part
    assert [(stage["stage"], stage["what"]) for stage in ours["stages"]] == [
        (stage["stage"], stage["what"]) for stage in theirs["stages"]
    ]
    builds = [[_unmeasured(bundle["builds"]) for bundle in report["bundles"]] for report in (ours, theirs)]
    assert builds[0] == builds[1]
    assert builds[0][0][0]["top1"] > 0


def _unmeasured(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unmeasured(each) for key, each in value.items() if not MEASURED.fullmatch(key)}
    return [_unmeasured(each) for each in value] if isinstance(value, list) else value
