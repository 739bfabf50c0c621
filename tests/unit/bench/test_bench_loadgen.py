"""MLPerf's scenarios by the real LoadGen, on the null engine and on engines that fail."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cli_calls import Shell, write_images
from pivot_folder import LABELS, make_pivot
from safetensors.numpy import save_file

from edgetl.bench import loadgen
from edgetl.bench.loadgen import LOGS, Request, Scenario, Wanted, check_wanted
from edgetl.bench.loadgen_child import answering, drive, settings_for, shared_out
from edgetl.bundle.compile import compile_targets
from edgetl.errors import EdgetlError, UsageError

if TYPE_CHECKING:
    from edgetl.types import Tensors

mlperf = pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")

SERVER = ("--target-qps", "2000", "--latency-ms", "10000")
RUNS: dict[str, tuple[str, ...]] = {
    "single-stream": (),
    "multi-stream": ("--batch", "3"),
    "server": SERVER,
    "offline": ("--target-qps", "2000000", "--streams", "2", "--batch", "4"),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("null")
    return compile_targets(make_pivot(place / "pivot", golden=3), ["null"], place / "bundles")[0]


@pytest.mark.parametrize("scenario", RUNS)
def test_loadgen_calls_the_run_valid_and_its_logs_stay(
    scenario: str, bundle: Path, tmp_path: Path, shell: Shell
) -> None:
    logs = tmp_path / "logs"
    quick = ("--duration", "0.1", "--log-dir", logs, "-q", "--json")
    done = shell("loadgen", bundle, "--scenario", scenario, *RUNS[scenario], *quick)
    assert done.code == 0, done.out + done.err
    found = done.json()
    assert (found["result"], found["reasons"]) == ("VALID", [])
    assert "Result is : VALID" in (logs / "mlperf_log_summary.txt").read_text()
    assert {*LOGS, "result.json"} == {path.name for path in logs.iterdir()}
    assert json.loads((logs / "result.json").read_text()) == found
    assert found["value"] > 0
    assert found["examples"] == 3
    assert {"setting": "min_duration_ms", "rule": 600000, "here": 100} in found["differs"]
    assert found["samples_per_query"] * found["queries"] >= (11_000 if scenario == "offline" else 64)


def test_a_server_that_misses_its_bound_ends_with_3_and_loadgens_reasons(
    bundle: Path, tmp_path: Path, shell: Shell
) -> None:
    bound = ("--target-qps", "2000", "--latency-ms", "0.001")
    done = shell("loadgen", bundle, "--scenario", "server", *bound, "--duration", "0.1", "--log-dir", tmp_path, "-q")
    assert done.code == 3
    assert "server: INVALID" in done.out
    assert "Performance constraints satisfied : NO" in done.out
    assert "Reduce target QPS to improve latency." in done.out
    assert "no official MLPerf submission" in done.out


def test_queries_draw_from_the_data_that_is_named(bundle: Path, tmp_path: Path, shell: Shell) -> None:
    photos = write_images(tmp_path / "photos", {LABELS[0]: 4, LABELS[1]: 3})
    quick = ("--duration", "0.05", "--log-dir", tmp_path / "logs", "-q", "--json")
    found = shell("loadgen", bundle, "--scenario", "single-stream", "--data", photos, *quick).json()
    assert found["examples"] == 7


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted("server", 1, target_qps=5), "--latency-ms"),
        (Wanted("server", 1, latency_ms=5), "--target-qps"),
        (Wanted("single-stream", 1, target_qps=5), "server and offline"),
        (Wanted("offline", 1, latency_ms=5), "bound of server"),
        (Wanted("multi-stream", 1, streams=2), "one query at a time"),
        (Wanted("server", 1, target_qps=5, latency_ms=5, batch=2), "one example"),
    ],
)
def test_settings_of_another_scenario_are_refused(wanted: Wanted, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_wanted(wanted)


def test_without_the_package_one_line_says_what_to_install(
    bundle: Path, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loadgen, "find_spec", lambda _: None)
    call = ("loadgen", bundle, "--scenario", "single-stream", "--log-dir", tmp_path / "logs")
    shell.refuses(1, ["pip install 'edgetl[loadgen]'"], *call)
    assert not (tmp_path / "logs").exists()


def test_logs_that_are_not_whole_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlperf_log_detail.txt").write_text(':::MLLOG {"key": "loadgen_version", "value": "6"}\n:::MLLOG {"ke')
    with pytest.raises(EdgetlError, match="wrote no result"):
        loadgen.read_log(tmp_path)


@pytest.mark.parametrize(("batch", "group", "streams"), [(1, 1, 1), (1, 8, 1), (3, 3, 1), (3, 8, 1), (4, 4, 2)])
def test_every_sample_is_inferred_once_as_the_example_that_loadgen_drew(
    batch: int, group: int, streams: int, tmp_path: Path
) -> None:
    shown = [np.full((2, 2, 3), number, np.uint8) for number in range(5)]
    seen: list[int] = []
    drawn: list[int] = []

    def infer(inputs: Tensors) -> None:
        pixels = inputs["image"]
        assert len(pixels) <= batch
        assert (pixels == pixels[:, :1, :1, :1]).all()
        seen.extend(pixels[:, 0, 0, 0].tolist())

    issues = [answering(infer, shown, batch, group, mlperf) for _ in range(streams)]
    issue, end = shared_out(issues, group)

    def recorded(ids: list[int], indexes: list[int]) -> None:
        drawn.extend(indexes)
        issue(ids, indexes)

    wanted = Wanted("offline", 0.01, queries=101, target_qps=100, batch=batch)
    drive(mlperf, settings_for(mlperf, wanted, 5, 0.001)[0], recorded, 5, tmp_path)
    end()
    assert len(drawn) >= 101
    assert sorted(seen) == sorted(drawn)


FAILING = """
import contextlib, sys, time
from edgetl.bench import loadgen_child

class Failing:
    left = 100
    def infer(self, inputs):
        time.sleep(0.001)  # LoadGen lists the queries of a minute before
        self.left -= 1
        if self.left < 0:
            raise {error}

@contextlib.contextmanager
def open_bundle(bundle, threads):
    yield Failing()

loadgen_child.open_bundle = open_bundle
sys.exit(loadgen_child.main())
"""


@pytest.mark.parametrize(
    ("scenario", "streams", "error", "says"),
    [
        ("single-stream", 1, "RuntimeError('broken pipe of the driver')", "RuntimeError: broken pipe of the driver"),
        ("multi-stream", 1, "MemoryError", "not enough free memory"),
        ("server", 2, "KeyboardInterrupt", "KeyboardInterrupt"),
        ("offline", 2, "ZeroDivisionError", "ZeroDivisionError"),
    ],
)
def test_an_engine_that_fails_while_loadgen_waits_ends_in_one_line(
    scenario: Scenario, streams: int, error: str, says: str, bundle: Path, tmp_path: Path
) -> None:
    examples = tmp_path / "examples.safetensors"
    save_file({"0": np.zeros((32, 32, 3), np.uint8)}, examples)
    wanted = Wanted(scenario, 60, target_qps=1000, latency_ms=10, streams=streams, warmup=1)
    done = subprocess.run(
        [sys.executable, "-c", FAILING.format(error=error)],
        input=json.dumps(asdict(Request(str(bundle), str(examples), str(tmp_path), wanted))),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert says in json.loads(line)["error"]
