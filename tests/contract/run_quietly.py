"""Compile, open and run one backend in a process where every connection ends the process with a message.

Run by test_contract_imports: python run_quietly.py BACKEND FOLDER
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path


def refuse(*arguments: object, **keywords: object) -> None:
    sys.stderr.write(f"a connection was tried: {arguments}\n")
    sys.stderr.flush()
    os._exit(3)  # the attempt may be made in a thread that swallows exceptions


def main(name: str, folder: Path) -> None:
    from backend_pivots import images
    from contract_cases import make_case

    case = make_case(name, "int8", folder)
    compiled = case.compile(folder / "out")
    if compiled.finished and case.backend.cannot_run(case.target, case.precision) is None:
        with case.backend.open(folder / "out", compiled, case.target, threads=1) as engine:
            engine.infer({"image": images(1)})
            engine.placement()
    time.sleep(0.3)  # reports are sent from threads


if __name__ == "__main__":
    for method in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, method, refuse)
    for function in ("create_connection", "getaddrinfo", "gethostbyname"):
        setattr(socket, function, refuse)
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except BaseException as error:
        if type(error).__name__ != "Skipped":
            raise
