"""`edgetl build` on real images: what comes out, what is said, what a second run does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from chain import CPU_TARGETS, Chain, edgetl, edgetl_without_torch, run
from cli_calls import Shell

from edgetl.bundle.manifest import read_manifest
from edgetl.bundle.read import read_bundle
from edgetl.pivot.pivot import read_pivot
from edgetl.report.model import read_report

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_the_build_says_on_stderr_what_was_done_and_nothing_else(chain: Chain) -> None:
    notes = [line.split()[0] for line in chain.done.lines]
    stages = ["data", "check", "adapt", "quantize", "export", "compile", "bench", "report"]
    assert list(dict.fromkeys(note for note in notes if note in stages)) == stages
    assert "compile x86-cpu int8" in chain.done.err
    assert "bench intel-cpu" in chain.done.err
    # the only other lines: what the check warns of, which way of fine-tuning was chosen, what more shots would bring,
    # whether to train for the integers, how long it will take, what is next, how far a long task is (indented)
    said = ("held-out", "After calibration", "estimated")
    assert [line for line in chain.done.lines if line.split()[0] not in stages] == [
        line
        for line in chain.done.lines
        if line.startswith(("check: ", "next: ", "  ")) or any(word in line for word in said)
    ]


def test_commands_that_make_networks_end_with_what_they_found(shell: Shell, chain: Chain) -> None:
    """`adapt`, `quantize` and `export` ended with paths alone: no accuracy, no drop, no parity."""
    told = shell("export", chain.recipe, "--out", chain.out, "-q")
    lines = told.out.splitlines()
    assert any(line.startswith("chosen: ") for line in lines)
    assert any(line.startswith("held-out: ") and "% top-1 (" in line for line in lines)
    assert any("compared with the torch network on" in line and line.startswith("float32.onnx") for line in lines)
    found = shell("export", chain.recipe, "--out", chain.out, "-q", "--json").json()["found"]
    assert 0 <= found["adapt"]["top1_low"] <= found["adapt"]["top1"] <= found["adapt"]["top1_high"] <= 1
    assert {one["method"] for one in found["quantize"]} <= {"ptq", "qat"}
    assert {model["precision"] for model in found["export"]} >= {"float32", "int8"}


def test_the_table_on_stdout_has_every_target_and_says_where_the_results_lie(chain: Chain) -> None:
    for target in chain.targets:
        assert target in chain.done.out
    assert str(chain.out / "report.html") in chain.done.out


def test_a_build_opens_no_network_connection(chain: Chain) -> None:
    """The chain is built where a connection ends the process (no_network.py), in children and native code too."""
    assert chain.done.code == 0
    assert "network" not in chain.done.err


def test_the_guard_against_connections_works() -> None:
    code = "import socket, sys; sys.path.insert(0, 'tests'); import no_network as n; "
    connect = "socket.socket().connect(('127.0.0.1', 9))"
    watched = run([sys.executable, "-c", f"{code}sys.addaudithook(n.watch); {connect}"])
    assert watched.code == 3
    assert "a network connection was tried: socket.connect" in watched.err
    held = run([sys.executable, "-c", f"{code}sys.exit(7 if not n.forbid_connections() else {connect})"])
    if held.code == 7:
        pytest.skip("this kernel or CPU has no seccomp filter that this test knows")
    assert held.code == -31  # SIGSYS


def test_every_target_has_a_whole_bundle_that_ships_what_was_measured(chain: Chain) -> None:
    assert sorted(path.name for path in (chain.out / "bundles").iterdir()) == sorted(
        f"digits-{target}" for target in chain.targets
    )
    for target in chain.targets:
        manifest = read_bundle(chain.bundle(target)).manifest
        assert manifest.labels == ("0", "1", "4")
        assert manifest.golden is not None
        assert manifest.golden.count > 0
        if target in CPU_TARGETS:
            assert manifest.verdict == "pass"
            assert manifest.measured is not None
            assert manifest.measured.images == 60
        else:
            assert manifest.verdict == "not measured"
            assert manifest.measured is None


def test_int8_really_runs_in_int8_on_both_cpu_toolchains_and_stays_close_to_float(chain: Chain) -> None:
    report = read_report(chain.out / "report.json")
    for bundle in report.bundles:
        if bundle.target not in CPU_TARGETS:
            assert not bundle.measured
            assert bundle.p50_ms is None
            continue
        int8 = next(build for build in bundle.builds if build.precision == "int8")
        assert int8.placement is not None
        assert int8.placement.startswith("int8 ")
        assert "," not in int8.placement
        assert not int8.not_integer
        assert int8.conversions is not None
        assert int8.conversions <= 2  # the two ends of the network
        assert int8.score is not None
        assert int8.score == int8.top1
        assert int8.score >= report.reference.score - 0.1
        assert int8.runs == 300
        assert int8.size_bytes is not None
        float32 = next(build for build in bundle.builds if build.precision == "float32")
        assert float32.size_bytes is not None
        assert int8.size_bytes < float32.size_bytes / 2


def test_the_report_is_one_file_that_names_no_other_address(chain: Chain) -> None:
    html = (chain.out / "report.html").read_text(encoding="utf-8")
    for outside in ('src="http', 'href="http', "url(http", "@import", 'src="/', "<link"):
        assert outside not in html


def test_the_pivot_was_proven_on_real_images(chain: Chain) -> None:
    pivot = read_pivot(chain.pivot)
    nvidia = "nvidia-rtx" in chain.targets
    assert [model.precision for model in pivot.models] == (
        ["float32", "float16", "int8", "int8"] if nvidia else ["float32", "int8"]
    )
    assert len({model.scheme_id for model in pivot.models} - {None}) == (2 if nvidia else 1)
    assert (pivot.half_range is not None) == nvidia
    for model in pivot.models:
        assert model.parity is not None
        assert model.parity.images >= 15
        assert model.parity.top1_agreement == 1.0


def test_nothing_half_made_is_left(chain: Chain) -> None:
    assert not (chain.out / "scratch").exists()
    assert not list(chain.out.rglob("*.part"))
    assert sorted(path.name for path in chain.out.iterdir()) == [
        "bundles",
        "cache",
        "edgetl-output.json",
        "pivot",
        "published.json",
        "report.html",
        "report.json",
        "runs",
        "stages",
        "weights.json",
    ]


def test_the_same_recipe_again_does_nothing_says_so_and_loads_no_torch(chain: Chain) -> None:
    before = {path: path.stat().st_mtime_ns for path in chain.out.rglob("*") if path.is_file()}
    again = edgetl("build", chain.recipe)
    assert again.code == 0
    kept, nothing, following = again.lines
    assert kept.endswith(" stages kept, data to report")
    assert nothing == "nothing to do: every stage was already done"
    assert following.startswith("next: edgetl predict ")
    assert {path: path.stat().st_mtime_ns for path in chain.out.rglob("*") if path.is_file()} == before
    loaded = json.loads(edgetl_without_torch("build", chain.recipe).lines[-1])
    assert not {"torchvision", "timm", "torchao", "onnxruntime", "openvino", "sklearn"} & set(loaded)


def test_another_gate_judges_again_without_measuring_again(chain: Chain, tmp_path: Path) -> None:
    out = chain.copy_out(tmp_path / "out")
    done = edgetl("build", chain.recipe, "--out", out, "--set", "gates.max_size_bytes=10", "--json")
    assert done.code == 3
    answer = done.json()
    assert answer["passed"] is False
    assert [stage["stage"] for stage in answer["stages"] if not stage["reused"]] == ["report"]
    verdicts = {bundle["target"]: bundle["verdict"] for bundle in answer["report"]["bundles"]}
    assert set(verdicts.values()) == {"fail"}
    assert "bytes, above the allowed 10" in answer["report"]["bundles"][0]["reason"]
    assert read_report(out / "report.json").verdict == "fail"
    assert (out / "report.html").is_file()
    assert read_manifest(out / "bundles" / "digits-x86-cpu").verdict == "fail"


def test_a_target_that_always_answers_zeros_misses_its_gates(chain: Chain, tmp_path: Path) -> None:
    out = chain.copy_out(tmp_path / "out")
    done = edgetl("build", chain.recipe, "--out", out, "--set", "targets=['null']", "--json")
    assert done.code == 3
    answer = done.json()
    made = [stage["stage"] for stage in answer["stages"] if not stage["reused"]]
    assert not {"data", "adapt", "quantize"} & set(made)
    (bundle,) = answer["report"]["bundles"]
    assert (bundle["target"], bundle["verdict"]) == ("null", "fail")
    assert bundle["top1"] < 0.5
    assert [path.name for path in (out / "bundles").iterdir()] == ["digits-null"]


def test_each_stage_is_a_command_that_uses_what_is_there(shell: Shell, chain: Chain) -> None:
    counted = {"check": 2, "adapt": 3, "quantize": len({*chain.targets} - {"intel-cpu"}) + 3, "bench": 0, "report": 0}
    for command, stages in counted.items():
        answer = shell(command, chain.recipe, "--json", "--quiet").json()
        assert all(stage["reused"] for stage in answer["stages"])
        assert not stages or len(answer["stages"]) == stages
        assert answer["data"]["classes"] == ["0", "1", "4"]
        assert (answer["report"] is not None) == (command == "report")
