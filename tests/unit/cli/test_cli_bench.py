"""`edgetl bench BUNDLE...`: its table, its files, its exit codes."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli_calls import Shell
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets

QUICK = ("--runs", "20", "--warmup", "1", "--cold-starts", "0", "--quiet")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two bundles that answer zeros."""
    folder = tmp_path_factory.mktemp("bundles")
    compile_targets(make_pivot(folder / "pivot"), ["null"], folder / "bundles")
    return folder / "bundles"


def test_bundles_are_rows_of_a_table_of_80_columns(shell: Shell, bundles: Path) -> None:
    answer = shell("bench", bundles, *QUICK)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["bundle", "build", "p50", "p99", "speed"]
    assert any(line.startswith("1. null-float32") and "float32" in line for line in lines)
    assert any(line.startswith("2. null-int8") and "×" in line for line in lines)
    assert "1 thread, 20 runs each, in the same rounds" in answer.out
    assert "p99 of 20 runs: an indication" in answer.out
    assert "edgetl: 20 runs give only a rough idea: all times are indications" in answer.lines


def test_case_ci_results_of_bundles_are_written(shell: Shell, bundles: Path, tmp_path: Path) -> None:
    table, tests, runs = (tmp_path / name for name in ("bench.csv", "bench.xml", "runs.csv"))
    files = ("--csv", table, "--junit", tests, "--save-runs", runs)
    gates = ("--gate", "max_size_bytes=1", "--gate", "min_top1=0.5")
    answer = shell("bench", bundles, *QUICK, "--repeat", "2", *files, *gates)
    assert answer.code == 3, "a gate is missed"
    assert "1. null-float32: not measured; top-1 was not measured: it has no labeled files" in answer.out
    with table.open() as stream:
        assert [row["precision"] for row in csv.DictReader(stream)] == ["float32", "int8"]
    root = ElementTree.fromstring(tests.read_text())
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["skipped"]) == ("4", "2", "2")
    with runs.open() as stream:
        assert len(list(csv.DictReader(stream))) == 2 * 2 * 20


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    shell: Shell, bundles: Path, tmp_path: Path
) -> None:
    shell.refuses(2, ["no such folder"], "bench", bundles, "--csv", tmp_path / "absent" / "bench.csv")
    shell.refuses(2, ["found a folder"], "bench", bundles, "--junit", tmp_path)


def test_a_recipe_takes_none_of_these_options(shell: Shell, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: a\n")
    shell.refuses(2, ["--csv", "edgetl report RECIPE --csv FILE"], "bench", recipe, "--csv", tmp_path / "a.csv")
    shell.refuses(2, ["--gate", "`gates`"], "bench", recipe, "--gate", "max_p99_ms=5")


def test_json_holds_gates_and_warnings(shell: Shell, bundles: Path) -> None:
    found = shell("bench", bundles, *QUICK, "--gate", "max_size_bytes=1000000", "--json").json()
    assert found["warnings"][0].startswith("20 runs give only a rough idea")
    assert [each["place"] for each in found["gates"]] == [0, 1]
    assert found["gates"][0]["checks"][0]["verdict"] == "pass"
    assert found["bundles"][0]["p99_ms"]["low"] is None


def test_paced_arrivals_are_measured_beside_the_rounds_and_warm_up_ends_when_steady(
    shell: Shell, bundles: Path
) -> None:
    paced = ("--runs", "40", "--rate", "500", "--arrivals", "poisson", "--cold-starts", "0", "--quiet")
    found = shell("bench", bundles, *paced, "--json").json()
    for bundle in found["bundles"]:
        assert (bundle["paced"]["rate_hz"], bundle["paced"]["arrivals"], bundle["paced"]["runs"]) == (
            500,
            "poisson",
            40,
        )
        assert bundle["paced"]["p50_ms"]["value"] >= bundle["paced"]["service_p50_ms"]["value"] > 0
        assert bundle["warm_up"]["runs"] >= 50
        assert bundle["p999_ms"] is None
        assert (bundle["runs_for_p99"] >= 6000, bundle["runs_for_p999"] >= 60_000) == (True, True)
    assert found["hardware"]["seconds"] > 0
    out = shell("bench", bundles, *paced).out.replace("\n", " ")
    assert "1. 500 arrivals a second (poisson): from arrival p50" in out
    assert "1. service time p50" in out
    assert "1. warm-up:" in out


def test_a_duration_times_whole_rounds(shell: Shell, bundles: Path) -> None:
    work = ("--duration", "0.1", "--warmup", "3", "--cold-starts", "0", "--quiet", "--json")
    for bundle in shell("bench", bundles, *work).json()["bundles"]:
        assert bundle["runs"] >= 10
        assert bundle["runs"] % 10 == 0
        assert bundle["warm_up"] is None, "its number of runs was given"
