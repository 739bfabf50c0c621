"""Imports the vendors' runtimes with usage reporting turned off. All code imports them from here.

Both report over the network by default, before their own switches can be reached:
- `import openvino` sends an event to an analytics service and writes a client identifier into the home folder;
- `import onnxruntime` (Linux wheels from 1.31 on) writes a device identifier and a queue of events into the cache
  folder and uploads it; `disable_telemetry_events()` comes too late for both files.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

ORT_SWITCH = "ORT_DISABLE_TELEMETRY"  # read by the library once, when it is loaded
OPENVINO_REPORTER = "openvino_telemetry"
_FATAL = 4  # onnxruntime's highest level


def import_onnxruntime() -> Any:
    """The onnxruntime module. Sets `ORT_DISABLE_TELEMETRY` for this process and its children unless it is set."""
    os.environ.setdefault(ORT_SWITCH, "1")
    import onnxruntime

    # sessions log at their own level; other messages, like a failed allocation, would go to stderr
    onnxruntime.set_default_logger_severity(_FATAL)
    return onnxruntime


def import_openvino() -> Any:
    """The openvino module, imported as if its optional reporting package were not installed."""
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    before = modules.get(OPENVINO_REPORTER)
    modules[OPENVINO_REPORTER] = None  # importing it now fails, and openvino uses its own empty stub
    try:
        import openvino
    finally:
        if before is None:
            del modules[OPENVINO_REPORTER]
        else:
            modules[OPENVINO_REPORTER] = before
    return openvino
