"""A sweep of real builds: the same table on one process and on several, killed or not; what fails does not end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chain import ROOT, edgetl, write_recipe
from cli_calls import Done, Shell

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# two networks, each in two trials that share all stages but the report; the second value of `choose` was not built
SPACE = "backbone.input_size: [32, 64]\nchoose: [float32, fastest]\n"
WITH_A_FAULT = "backbone.input_size: [32]\nchoose: [float32, int8]\n"
# latencies are of a busy machine: accuracy and size decide
OPTIONS = ("--resolution", "100", "--json")
WAIT_S = 600.0


def write_sweep(folder: Path) -> Path:
    recipe = write_recipe(
        folder,
        ["x86-cpu"],
        adapt={"strategy": "probe", "head": "ncm"},
        quantize={"method": "none"},
        check={"features": False},
    )
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    (folder / "faulty.yaml").write_text(WITH_A_FAULT, encoding="utf-8")
    return recipe


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweep"))


def sweep(recipe: Path, out: str, *options: str, space: str = "space.yaml") -> Done:
    place = recipe.parent
    return edgetl("sweep", recipe, "--space", place / space, "--out", place / out, *OPTIONS, *options)


@pytest.fixture(scope="module")
def finished(recipe: Path) -> Done:
    """The whole sweep by one process."""
    return sweep(recipe, "one", "--jobs", "1")


def comparable(document: dict[str, Any]) -> Any:
    """A sweep without its latencies."""
    rows = [{key: row[key] for key in row if not key.startswith("p50")} for row in document["trials"]]
    return rows, sorted(document["front"])


def test_a_sweep_measures_every_trial_and_finds_a_front(finished: Done) -> None:
    assert finished.code == 0, finished.err
    found = finished.json()
    assert [row["state"] for row in found["trials"]] == ["measured"] * 4
    assert all(row["p50_ms"] > 0 for row in found["trials"])
    assert found["front"]
    scores = {row["settings"]["backbone.input_size"]: row["score"] for row in found["trials"]}
    assert scores[32] != scores[64]


def test_trials_share_stages(finished: Done, recipe: Path) -> None:
    stages = [path.name.partition("-")[0] for path in (recipe.parent / "one" / "stages").glob("*.json")]
    assert (stages.count("data"), stages.count("adapt"), stages.count("bench"), stages.count("report")) == (1, 2, 2, 4)


def test_a_finished_sweep_runs_nothing_again(finished: Done, recipe: Path, shell: Shell) -> None:
    place = recipe.parent
    again = shell("sweep", recipe, "--space", place / "space.yaml", "--out", place / "one", "--resolution", "100")
    assert again.code == 0
    assert "nothing to do" in again.err
    assert "front (*):" in again.out
    assert "sweeps/" in (place / "one" / "sweep.html").read_text()
    assert json.loads((place / "one" / "sweep.json").read_text())["trials"] == finished.json()["trials"]


def test_killed_at_any_moment_several_processes_end_with_the_same_table(finished: Done, recipe: Path) -> None:
    stages = recipe.parent / "two" / "stages"
    before: list[dict[str, Any]] = []
    for results in (2, 5, 12):
        kill_after(recipe, stages, results)
        before = recorded(recipe, before)
    done = sweep(recipe, "two", "--jobs", "2")
    assert done.code == 0, done.err
    assert comparable(done.json()) == comparable(finished.json())
    assert done.json()["trials"][: len(before)] == before


def kill_after(recipe: Path, stages: Path, results: int) -> None:
    """Kill the whole process group while the stage after so many is made."""
    place = recipe.parent
    command = ["-m", "edgetl", "sweep", recipe, "--space", place / "space.yaml", "--out", place / "two", "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(process, lambda: len(list(stages.glob("*.json"))) >= results)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(process: subprocess.Popen[Any], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def recorded(recipe: Path, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trials that are finished; those that were before are unchanged."""
    from edgetl.files.documents import as_json
    from edgetl.recipes.recipe_file import read_raw
    from edgetl.sweep.space import read_space
    from edgetl.sweep.study import Study

    (path,) = (recipe.parent / "two" / "sweeps").glob("*/study.db")
    study = Study(path, read_space(recipe.parent / "space.yaml", read_raw(recipe)))
    rows = [as_json(study.rows[number]) for number in sorted(study.rows)]
    study.close()
    assert rows[: len(before)] == before
    return rows


@pytest.fixture(scope="module")
def cluster() -> Iterator[subprocess.Popen[str]]:
    pytest.importorskip("ray")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "ray_cluster.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process
    process.communicate(timeout=WAIT_S)


def test_on_ray_a_node_that_dies_while_it_works_loses_no_trial(
    finished: Done, recipe: Path, cluster: subprocess.Popen[str]
) -> None:
    assert cluster.stdout is not None
    assert cluster.stdin is not None
    place, address = recipe.parent, cluster.stdout.readline().strip()
    command = ["sweep", recipe, "--space", place / "space.yaml", "--out", place / "ray", "--ray", address, *OPTIONS]
    with (place / "ray.txt").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgetl", *map(str, command)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        wait_for(process, lambda: len(list((place / "ray" / "locks").glob("adapt-*"))) == 2)  # one on each node
        cluster.stdin.write("kill\n")
        cluster.stdin.flush()
        out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, (place / "ray.txt").read_text()
    assert "it runs again" in (place / "ray.txt").read_text()
    assert comparable(json.loads(out)) == comparable(finished.json())


def test_failed_trials_and_missed_gates_are_in_the_table_and_end_nothing(finished: Done, recipe: Path) -> None:
    done = sweep(recipe, "one", "--jobs", "1", "--set", "gates.max_size_bytes=1000", space="faulty.yaml")
    assert done.code == 3, done.err
    missing, bad = done.json()["trials"]
    assert (missing["state"], missing["verdict"]) == ("measured", "fail")
    assert bad["state"] == "failed"
    assert "x86-cpu has no such build" in bad["reason"]
    assert done.json()["front"] == [0]
    # another sweep in the same folder finds the first one's measurement
    assert missing["p50_ms"] == finished.json()["trials"][0]["p50_ms"]


def test_the_recipe_of_a_trial_lies_beside_the_sweeps_own(finished: Done, recipe: Path, shell: Shell) -> None:
    place = recipe.parent
    given = ("sweep", recipe, "--space", place / "space.yaml", "--out", place / "one")
    assert shell(*given, "--write-recipe", "2", place / "best.yaml").code == 0
    text = (place / "best.yaml").read_text(encoding="utf-8")
    assert "input_size: 64" in text
    assert "name: digits-2" in text
    shell.refuses(
        2, ["no trial 9 of this sweep: trials 0 to 3 are finished"], *given, "--write-recipe", "9", place / "x.yaml"
    )
    shell.refuses(2, ["write it beside"], *given, "--write-recipe", "2", place / "one" / "x.yaml")


def test_a_dry_run_lists_trials_and_what_they_share(recipe: Path, shell: Shell) -> None:
    place = recipe.parent
    done = shell("sweep", recipe, "--space", place / "space.yaml", "--out", place / "none", "--dry-run")
    assert done.code == 0
    assert "trial 3: backbone.input_size=64, choose=fastest" in done.out
    assert "4 trials (grid); they share 2 adaptations" in done.out
    assert not (place / "none").exists()
