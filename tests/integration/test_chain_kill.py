"""Killed at every stage, a build leaves nothing half-made, continues, and ends in the same bytes.

One output folder is driven through all its stages by processes that are killed one after another; the last one ends.
The folder is not the one of the session's build: equal pivots prove that two runs with one seed are equal as well.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from chain import CPU_TARGETS, ROOT, Chain, Done, edgetl, run, write_recipe

from edgetl.bundle.read import read_bundle
from edgetl.catalog import load_target
from edgetl.digest import file_digest, folder_digests
from edgetl.graph.pivot import read_pivot
from edgetl.report.model import read_report

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KILLED_AT = ROOT / "tests" / "killed_at.py"
BUILDS = sum(len(load_target(name).precisions) for name in CPU_TARGETS)

# where the process dies -> the stages that are done by then, in order of the chain
DEATHS = {
    "while it claims the folder": ("os:fsync", 1, ()),
    "data: before the split is written": ("edgetl.data.stage:write_split", 1, ()),
    "data: renamed, but not yet recorded": ("edgetl.store:write_text", 1, ()),
    "check: before its findings are written": ("edgetl.checks.stage:write_checks", 1, ("data",)),
    "adapt: between two views of the features": ("edgetl.data.rows:write_sealed", 3, ("data", "check")),
    "adapt: in the search, one trial kept": ("edgetl.cache:write_sealed", 2, ("data", "check")),
    "adapt: from outside, while it trains": ("", 0, ("data", "check")),
    "quantize: one of two files written": ("edgetl.quant.stage:save_file", 1, ("data", "check", "adapt")),
    "export: before the second tensor file": (
        "edgetl.export.stage:save_file",
        2,
        ("data", "check", "adapt", "quantize"),
    ),
    "export: before the pivot is put beside the stages": (
        "edgetl.publish:put",
        1,
        ("data", "check", "adapt", "quantize", "export"),
    ),
    "compile: second build without a manifest": (
        "edgetl.assemble:write_manifest",
        2,
        ("data", "check", "adapt", "quantize", "export", "compile"),
    ),
    "bench: measured, not written": (
        "edgetl.bench.stage:write_bench",
        1,
        ("data", "check", "adapt", "quantize", "export", *["compile"] * BUILDS),
    ),
    "report: one of two reports written": (
        "edgetl.reporting:write_html",
        1,
        ("data", "check", "adapt", "quantize", "export", *["compile"] * BUILDS, "bench", "bench"),
    ),
    "report: one of two bundles put in place": (
        "edgetl.publish:put",
        2,
        ("data", "check", "adapt", "quantize", "export", *["compile"] * BUILDS, "bench", "bench", "report"),
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
    recipe: Path
    out: Path
    deaths: dict[str, Death]
    last: Done


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    folder = tmp_path_factory.mktemp("killed")
    recipe = write_recipe(folder, CPU_TARGETS)
    out = folder / "build"
    deaths: dict[str, Death] = {}
    for name, (place, calls, _) in DEATHS.items():
        code = _killed_from_outside(recipe, out) if not place else _killed_at(place, calls, recipe)
        deaths[name] = Death(code, _recorded(out), _broken(out), _published(out))
    return Interrupted(recipe, out, deaths, edgetl("build", recipe, "--json"))


def _killed_at(place: str, calls: int, recipe: Path) -> int:
    done = run([sys.executable, str(KILLED_AT), place, str(calls), "build", str(recipe)])
    return done.code


def _killed_from_outside(recipe: Path, out: Path) -> int:
    command = [sys.executable, "-m", "edgetl", "build", str(recipe), "--quiet"]
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
        "digits-intel-cpu",
        "digits-x86-cpu",
    ]
    assert not (interrupted.out / "scratch").exists()
    assert not list(interrupted.out.rglob("*.part"))


def test_the_same_seed_gives_the_same_pivot_bytes_in_another_folder(interrupted: Interrupted, chain: Chain) -> None:
    ours = {path.name: file_digest(path) for path in (interrupted.out / "pivot").glob("*.onnx")}
    theirs = {path.name: file_digest(path) for path in chain.pivot.glob("*.onnx")}
    assert len(ours) == 2
    assert ours.items() <= theirs.items()
