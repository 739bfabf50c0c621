"""Python programs in processes of their own that find torch and its company imported.

A server per test process (multiprocessing's `forkserver`) imports them and exports a network once, in ten seconds, and
forks a child for every call. The child is otherwise as fresh as any: it has arguments, environment, folder and output
of its own, imports edgetl itself, and may be killed.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

IMPORTED = (
    "scipy.optimize", "sklearn.preprocessing", "onnx", "onnxruntime", "onnxscript.function_libs.torch_lib.ops", "torch",
    "torch._dynamo", "torch.onnx._internal.exporter._core", "torchvision", "timm", "torchao.quantization.pt2e",
    "warm_exporter",
)  # fmt: skip


def warm_python(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, timeout_s: float
) -> tuple[int, str, str]:
    """What `python -m MODULE ...` or `python FILE ...` does: its exit code, negative after a signal, stdout and stderr.

    raises  TimeoutError if it had not ended after `timeout_s`; it is killed then.
    """
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(list(IMPORTED))
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = server.Process(target=_child, args=(list(arguments), dict(environment), cwd, out, err))
        with patch.dict(os.environ, PYTHONPATH=str(Path(__file__).parent)):  # where a server finds `warm_exporter`
            process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"python {' '.join(arguments)}: not finished after {timeout_s:.0f} s")
        return process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")


def _child(arguments: list[str], environment: dict[str, str], cwd: Path, out: Path, err: Path) -> None:
    for path, stream in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, stream)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).parent))
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # children of a fork server skip them
