"""What a build of one recipe must be made of, byte for byte, on one kind of CPU.

    python tests/same_bytes.py OUT    # take the finished small build in OUT as what is right on this kind of CPU

Floats are summed in another order on another kind of CPU, so `same_bytes.json` holds a record for each kind it was
made on. A change that alters one says why in its commit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgetl.bench.machine import describe
from edgetl.files.digest import file_digest, value_digest
from edgetl.stages.keys import TRAINING_TOOLS, versions

RECORDS = Path(__file__).with_suffix(".json")
_STABLE = ("classes", "reference", "quantized", "parity")
_OF_ADAPT = ("strategy", "head", "reason", "resize", "learning_curve", "guards", "audit")
_TOOLS = (*TRAINING_TOOLS, "onnxruntime", "openvino", "scipy")


def kind_of_cpu() -> str:
    """What decides the bytes besides the recipe and the code: the CPU's kernels, its threads, and the tools."""
    here = describe()
    tools = value_digest(versions(_TOOLS))[:8]
    return f"{here.cpu}, {' '.join(here.instruction_sets)}, {here.usable_cores:g} cores, tools {tools}"


def record(out: Path) -> dict[str, str]:
    """Digests of the pivot, of every build's model, and of what the report says about accuracy, by name."""
    found = {f"pivot/{path.name}": file_digest(path) for path in sorted((out / "pivot").glob("*.onnx"))}
    golden = sorted((out / "pivot" / "golden").glob("[0-9]*"))
    found |= {f"pivot/golden/{path.name}": file_digest(path) for path in golden}
    found |= dict(sorted(_models(out / "stages")))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    stable = {name: report[name] for name in _STABLE} | {name: report["adapt"][name] for name in _OF_ADAPT}
    return found | {f"report/{name}": value_digest(value) for name, value in stable.items()}


def records() -> dict[str, dict[str, str]]:
    read: dict[str, dict[str, str]] = json.loads(RECORDS.read_text(encoding="utf-8"))
    return read


def _models(stages: Path) -> Iterator[tuple[str, str]]:
    for path in stages.glob("compile-*/manifest.json"):
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["target"]["backend"] == "tensorrt_rtx":
            continue  # its plans differ from run to run
        for name in manifest["compiled"]["files"]:
            build = f"{manifest['target']['name']}-{manifest['compiled']['precision']}"
            yield f"{build}/{name}", manifest["files"][name]["sha256"]


if __name__ == "__main__":
    known = records() if RECORDS.exists() else {}
    known[kind_of_cpu()] = record(Path(sys.argv[1]))
    RECORDS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
