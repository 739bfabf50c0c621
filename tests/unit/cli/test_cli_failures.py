"""Whatever ends a command ends in one line on stderr and an exit code, never in a traceback."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_calls import Shell, write_images, write_recipe
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.errors import BackendError

STOPPED = "edgetl: stopped; finished stages are kept, run the same command to resume"
NO_MEMORY = "edgetl: out of memory; free some or raise the limit (ulimit -v, the container's limit)"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", {"cat": 4, "dog": 4})
    return write_recipe(tmp_path)


SIGNALLED = """
import os, signal, sys
import edgetl.stages.pipeline
from edgetl.cli import main
from edgetl.errors import BackendError

number, ignored, recipe = int(sys.argv[1]), sys.argv[2] == "ignored", sys.argv[3]
# in the background and under nohup, a process inherits that interrupt and hangup are ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
handled = (signal.SIGTERM, signal.SIGHUP)
for each in handled:
    signal.signal(each, signal.SIG_IGN if ignored else signal.SIG_DFL)

def run(*arguments, **keywords):
    os.kill(os.getpid(), number)
    raise BackendError("went on")

edgetl.stages.pipeline.run = run
before = [signal.getsignal(each) for each in handled]
try:
    main(["build", recipe])
except SystemExit as ended:
    assert [signal.getsignal(each) for each in handled] == before
    raise
"""


def signalled(number: signal.Signals, recipe: Path, *, ignored: bool = False) -> tuple[int, list[str]]:
    """Exit code and stderr of a build that sends itself a real signal, and handles signals as before afterwards."""
    command = [sys.executable, "-c", SIGNALLED, str(int(number)), "ignored" if ignored else "", str(recipe)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.splitlines()


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(*arguments: object, **keywords: object) -> None:
        raise error

    monkeypatch.setattr("edgetl.stages.pipeline.run", run)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_sigterm_leftovers_a_signal_is_one_line_and_its_exit_code(
    recipe: Path, number: signal.Signals, code: int
) -> None:
    """Case sigterm-leftovers."""
    assert signalled(number, recipe) == (code, [STOPPED])


def test_a_hangup_that_is_ignored_stays_ignored(recipe: Path) -> None:
    assert signalled(signal.SIGHUP, recipe, ignored=True) == (1, ["edgetl: went on"])


def test_library_errors_escape_an_end_of_file_is_no_interrupt(
    shell: Shell, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case library-errors-escape: click takes EOFError for Ctrl-D and said "stopped", exit code 130."""
    fail_with(monkeypatch, EOFError())
    answer = shell("build", recipe)
    assert answer.code == 1
    (line,) = answer.lines
    assert line.startswith("edgetl: this is a bug in edgetl (EOFError in ")


def test_library_errors_escape_what_nobody_expected_is_called_a_bug_with_its_traceback_in_a_file(
    shell: Shell, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, ValueError("broken\nIMPORTANT: please read the manual"))
    answer = shell("build", recipe)
    assert answer.code == 1
    (line,) = answer.lines
    (file,) = tmp_path.glob("edgetl-bug-*.txt")
    assert line == (
        f"edgetl: this is a bug in edgetl (ValueError in edgetl/cli/chain.py:{_line_of_run()}); "
        f"please report it with {file}"
    )
    text = file.read_text()
    assert text.startswith("Traceback")
    assert "ValueError: broken" in text


def _line_of_run() -> int:
    from edgetl.cli import chain

    lines = Path(chain.__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if "= run(job" in line)


def test_the_traceback_of_a_bug_is_shown_where_that_is_asked_for(
    shell: Shell, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("EDGETL_TRACEBACK", "1")
    fail_with(monkeypatch, ValueError("broken"))
    answer = shell("build", recipe)
    assert answer.code == 1
    assert "ValueError: broken" in answer.err
    assert answer.lines[-1].endswith("please report it with the lines above")
    assert not list(tmp_path.glob("edgetl-bug-*"))


def wrapped(cause: Exception) -> BackendError:
    error = BackendError("x86-cpu int8: onnxruntime cannot open it")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 12.0 GiB for an array with shape (1, 2) and data type float32"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        wrapped(RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
    ids=["plain", "numpy", "import", "torch", "cuda", "onnxruntime", "fork"],
)
def test_library_errors_escape_out_of_memory_is_said_whoever_finds_it(
    shell: Shell, recipe: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail_with(monkeypatch, error)
    answer = shell("build", recipe)
    assert answer.code == 1
    (line,) = answer.lines
    assert line.startswith(NO_MEMORY)


def test_a_file_that_is_named_out_of_memory_is_not_taken_for_it(
    shell: Shell, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, BackendError("out of memory.onnx: not a model"))
    assert shell("build", recipe).lines == ["edgetl: out of memory.onnx: not a model"]


def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "edgetl", "targets"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "edgetl: standard output: No space left on device\n"


def limited(megabytes: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`edgetl ARGUMENTS` in a process that gets no more address space than that."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread of a library takes some of it
    command = [sys.executable, "-m", "edgetl", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **one}, preexec_fn=limit, capture_output=True, text=True, check=False
    )


def test_library_errors_escape_too_little_address_space_is_said_in_one_line(tmp_path: Path) -> None:
    """Case library-errors-escape: a traceback that ended in ImportError "failed to map segment"."""
    pivot = make_pivot(tmp_path / "pivot")
    (bundle,) = [path for path in compile_targets(pivot, ["x86-cpu"], tmp_path / "bundles") if path.match("*-int8")]
    failed = [done for done in (limited(size, "verify", bundle) for size in (140, 150, 170)) if done.returncode]
    if not failed:
        pytest.skip("the libraries here do with less")
    for done in failed:
        (line,) = done.stderr.splitlines()
        assert line.startswith("edgetl: ")
        assert "memory" in line
        assert "ImportError" not in line
