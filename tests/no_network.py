"""Run the command line in a process that ends at the first attempt to reach a network.

    python no_network.py ARGUMENTS...

Python code is watched by an audit hook. Native code, and every child process, is held by the kernel: a seccomp filter
kills whoever calls connect() with an IPv4 or IPv6 address (told by the address's size: 16 or 28 bytes; a filter cannot
look further, and addresses of local sockets are longer).
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import sys

ATTEMPT = "a network connection was tried"
_CONNECT = {"x86_64": (0xC000003E, 42), "aarch64": (0xC00000B7, 203)}  # audit architecture, number of connect()
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06  # BPF: load a word, jump if equal, return
_ALLOW, _KILL = 0x7FFF0000, 0x80000000


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("code", ctypes.POINTER(_Instruction)))


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: end the process when Python code resolves a name or connects to a network address."""
    asked = event in ("socket.getaddrinfo", "socket.gethostbyname")
    if event in ("socket.connect", "socket.sendto"):
        asked = getattr(arguments[0], "family", None) in (socket.AF_INET, socket.AF_INET6)
    if asked:
        os.write(2, f"{ATTEMPT}: {event} {arguments[1:]}\n".encode())
        os._exit(3)  # not an exception: whoever tries may be a thread that swallows it


def forbid_connections() -> bool:
    """Install the filter for this process and its children. False where this kernel has no such filter."""
    if sys.platform != "linux" or platform.machine() not in _CONNECT:
        return False
    architecture, connect = _CONNECT[platform.machine()]
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUALS, 0, 5, architecture),
        (_LOAD, 0, 0, 0),
        (_EQUALS, 0, 3, connect),
        (_LOAD, 0, 0, 32),  # third argument: size of the address
        (_EQUALS, 2, 0, 16),
        (_EQUALS, 1, 0, 28),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL),
    ]
    code = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    program = _Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    refused: int = libc.prctl(no_new_privileges, 1, 0, 0, 0)
    refused = refused or libc.prctl(set_seccomp, filter_mode, ctypes.byref(program), 0, 0)
    return refused == 0


if __name__ == "__main__":
    from edgetl.cli import main

    forbid_connections()
    sys.addaudithook(watch)
    main()
