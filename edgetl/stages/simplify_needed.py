"""Whether a target's INT8 build is worth an operation."""

from __future__ import annotations

import json
from pathlib import Path

from edgetl.bench.result import TargetBench
from edgetl.recipes.recipe import Surgery


def is_needed(bench: TargetBench, quantized: Path, surgery: Surgery) -> bool:
    """Whether INT8 was measured to be slower than a float build here, and the network has parts that may be the cause.

    quantized  quantize.json of the target's number scheme
    surgery    what may be replaced
    """
    int8, rival = bench.build("int8"), bench.fastest_float()
    if int8 is None or int8.latency is None or rival is None or rival.latency is None or bench.backend == "null":
        return False
    own_ms, rival_ms = int8.latency.p50_ms, rival.latency.p50_ms
    if own_ms is None or rival_ms is None or own_ms.value <= rival_ms.value:
        return False
    found = json.loads(quantized.read_text(encoding="utf-8"))["replaceable"]
    activations = found["activations"] if surgery.activations != "keep" else 0
    gates = found["gates"] if surgery.gates != "keep" else 0
    return bool(activations or gates)
