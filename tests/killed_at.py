"""Run the command line in a process that is killed (SIGKILL) at the N-th call of a function.

    python killed_at.py MODULE:FUNCTION N ARGUMENTS...

The function is replaced once its module is imported anyway, so that nothing is imported earlier than in a real run.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any


class _Arm(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, lets the usual machinery load it, then arms one of its functions."""

    def __init__(self, module: str, function: str, calls: int) -> None:
        self.module, self.function, self.left = module, function, calls

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.loader is not None
        self.loader = spec.loader
        spec.loader = self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.arm(module)

    def arm(self, module: ModuleType) -> None:
        original = getattr(module, self.function)

        def armed(*arguments: Any, **keywords: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **keywords)

        setattr(module, self.function, armed)


if __name__ == "__main__":
    place, calls = sys.argv[1], int(sys.argv[2])
    name, _, function = place.partition(":")
    arm = _Arm(name, function, calls)
    if name in sys.modules:
        arm.arm(sys.modules[name])
    else:
        sys.meta_path.insert(0, arm)
    from edgetl.cli import main

    main(sys.argv[3:])
