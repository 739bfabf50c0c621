"""Ten minutes of fuzzing for every target of `runtime/fuzz`, and how much of the code the inputs reached.

    python benchmarks/fuzzing.py --work WORK [--seconds 600]

Builds the fuzzers with address and undefined-behavior checks into WORK/fuzz, runs two at a time, then replays every
kept input in a build that counts covered lines. Needs clang, llvm-cov and llvm-profdata. Findings are in
WORK/found/<target>; a new run continues from there.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from result_file import REPOSITORY, Result, add_write_option, deliver, machine_now, number, table

# The files that a target is there to try.
TARGETS = {
    "manifest": ("json", "fields", "manifest", "task_fields", "signature", "fail"),
    "bundle": ("bundle", "manifest", "sha256"),
    "golden": ("golden", "safetensors"),
    "postprocess": ("postprocess", "frame"),
    "resize": ("resize", "frame"),
    "decode": ("decode", "decode_jpeg", "decode_png", "orientation"),
}
_AT_ONCE = 2
_NOTES = """\
libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer, clang. Lines: of the files in the column before, reached
by the inputs kept after the run, the committed corpus included. Crashes, time-outs (10 s) and use of more than 2 GB
count as failures."""


@dataclass(frozen=True)
class Outcome:
    """One target. `edges` are libFuzzer's coverage counter; `lines_covered` of `lines` in the files `tried`."""

    target: str
    seconds: int
    executions: int
    edges: int
    inputs: int
    failures: int
    tried: tuple[str, ...]
    lines: int
    lines_covered: int


def main() -> int:
    arguments = _arguments()
    missing = [tool for tool in ("clang++", "llvm-cov", "llvm-profdata", "cmake") if shutil.which(tool) is None]
    if missing:
        print(f"fuzzing: {', '.join(missing)} not found: apt-get install clang llvm cmake", file=sys.stderr)
        return 1
    machine = machine_now()
    work = arguments.work.resolve()
    fuzzers = _build(work / "fuzz", [])
    counted = _build(
        work / "coverage",
        ["-DCMAKE_CXX_FLAGS=-fprofile-instr-generate -fcoverage-mapping", "-DCMAKE_BUILD_TYPE=Debug"],
    )
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(lambda name: _try(name, arguments.seconds, work, fuzzers, counted), TARGETS))
    sections = (_NOTES, _table(outcomes))
    data = {"targets": list(map(asdict, outcomes))}
    deliver(Result("fuzzing", "Fuzzing the C++ readers", sections, data), machine, arguments.write)
    return 1 if any(outcome.failures for outcome in outcomes) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for builds and inputs, outside the repository")
    parser.add_argument("--seconds", type=int, default=600, help="per target")
    add_write_option(parser)
    return parser.parse_args()


def _build(folder: Path, options: Sequence[str]) -> Path:
    """Configure and build all fuzzers; returns the folder of the programs."""
    settings = ["-DEDGETL_BUILD_FUZZERS=ON", "-DEDGETL_BUILD_TESTS=OFF", "-DEDGETL_BUILD_APPS=OFF"]
    engines = ["-DEDGETL_WITH_ONNXRUNTIME=OFF", "-DEDGETL_WITH_OPENVINO=OFF"]
    compilers = ["-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++"]
    configure = ["cmake", "-S", str(REPOSITORY), "-B", str(folder), *compilers, *settings, *engines, *options]
    subprocess.run(configure, check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", str(folder), "-j2"], check=True, stdout=sys.stderr)
    return folder / "bin"


def _try(name: str, seconds: int, work: Path, fuzzers: Path, counted: Path) -> Outcome:
    found, failed = work / "found" / name, work / "failed" / name
    for folder in (found, failed):
        folder.mkdir(parents=True, exist_ok=True)
    kept = REPOSITORY / "runtime" / "fuzz" / "corpus" / name
    corpora = [str(found), *([str(kept)] if kept.is_dir() else [])]
    limits = ["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={failed}/"]
    command = [str(fuzzers / f"fuzz_{name}"), f"-max_total_time={seconds}", *limits, *corpora]
    print(f"fuzzing: {name} for {seconds} s", file=sys.stderr)
    log = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stderr
    lines, covered = _coverage(name, corpora, work, counted)
    return Outcome(
        target=name,
        seconds=seconds,
        executions=_last(r"stat::number_of_executed_units:\s*(\d+)", log),
        edges=_last(r" cov: (\d+)", log),
        inputs=len(list(found.iterdir())),
        failures=len(list(failed.iterdir())),
        tried=TARGETS[name],
        lines=lines,
        lines_covered=covered,
    )


def _last(pattern: str, log: str) -> int:
    matches = re.findall(pattern, log)
    if not matches:
        raise SystemExit(f"fuzzing: no line like `{pattern}` in the fuzzer's log:\n{log[-2000:]}")
    return int(matches[-1])


def _coverage(name: str, corpora: Sequence[str], work: Path, counted: Path) -> tuple[int, int]:
    """(lines, covered lines) of the files that the target tries, over all inputs."""
    program, raw, merged = str(counted / f"fuzz_{name}"), work / f"{name}.profraw", work / f"{name}.profdata"
    replay = [program, "-runs=0", *corpora]
    subprocess.run(replay, capture_output=True, check=True, env={"LLVM_PROFILE_FILE": str(raw)})
    subprocess.run(["llvm-profdata", "merge", "-o", str(merged), str(raw)], check=True)
    export = ["llvm-cov", "export", "-summary-only", f"-instr-profile={merged}", program]
    report = json.loads(subprocess.run(export, capture_output=True, check=True, text=True).stdout)
    counts = [
        entry["summary"]["lines"]
        for entry in report["data"][0]["files"]
        if Path(entry["filename"]).name in {f"{file}.cpp" for file in TARGETS[name]}
    ]
    return sum(count["count"] for count in counts), sum(count["covered"] for count in counts)


def _table(outcomes: Sequence[Outcome]) -> str:
    head = ("target", "seconds", "executions", "edges", "inputs kept", "files", "lines reached %", "failures")
    rows = [
        (
            outcome.target,
            str(outcome.seconds),
            f"{outcome.executions:,}",
            str(outcome.edges),
            str(outcome.inputs),
            ", ".join(outcome.tried),
            number(100 * outcome.lines_covered / outcome.lines, 1),
            str(outcome.failures),
        )
        for outcome in outcomes
    ]
    return table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
