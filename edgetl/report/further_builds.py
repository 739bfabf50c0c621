"""Sentences about builds that were made because another one was not good enough."""

from __future__ import annotations

from edgetl.bench.result import BuildBench, TargetBench


def surgery_sentence(bench: TargetBench, activations: int, gates: int) -> str:
    """Why the build `simplified` was made, what was replaced, and the outcome."""
    parts = [f"{activations} smooth activations"] if activations else []
    parts += [f"{gates} squeeze-and-excitation gates"] if gates else []
    int8, rival, simplified = bench.build("int8"), bench.fastest_float(), bench.build("simplified")
    start = f"INT8 is slower than {rival.precision if rival else 'float'} ({_ms(int8)} against {_ms(rival)})"
    if int8 is not None and int8.conversions:
        start += f": {int8.conversions} of its operators only convert between float and INT8"
    replaced = f"{start}. Without {' and '.join(parts)}, after distillation, INT8 takes {_ms(simplified)}"
    if simplified is None or simplified.accuracy is None:
        return f"{replaced}."
    drop = simplified.accuracy.drop_points
    change = f"{-drop.value:+.2f} points ({-drop.high:+.2f} to {-drop.low:+.2f})"
    return f"{replaced}; its {simplified.accuracy.score.metric} is {change} from that of the float network."


def _ms(build: BuildBench | None) -> str:
    p50 = build.latency.p50_ms if build is not None and build.latency else None
    return "an unknown time" if p50 is None else f"{p50.value:.2f} ms"
