"""The cells of `detection_int8.py` as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from detection_builds import FLOAT, INT8, Built, Cell
from repeated_ratio import geometric_mean
from result_file import NOTHING, megabytes, number, table

METHOD = """\
AP50-95 in percent on all validation images; drop: AP of the float torch network minus the build's, in points, paired by
image. All builds of one detector and target run through edgetl's own engine code, one image at a time on one thread, in
the same rounds; x: time of the float32 build over the build's. Builds of edgetl are those that `edgetl build` makes
first: calibrated, trained if that loses too much, before any repair. The alternatives start from the same float ONNX
file, calibrate on the same shots, and leave the preprocessing and what follows the last convolutions (the decoding of
boxes) in float, as edgetl does. `quantize_static`: QDQ, weights per channel, after `quant_pre_process` without symbolic
shapes, and for CPUs without VNNI with `reduce_range`. NNCF: `nncf.quantize` with its two presets, fast bias correction
and all shots."""


def sections_of(cells: Sequence[Cell]) -> tuple[str, ...]:
    """At least one cell."""
    shown = list({_place(cell): cell for cell in cells}.values())
    rows = [_row(cell, name, built) for cell in shown for name, built in cell.builds.items()]
    head = [
        "detector",
        "target",
        "images",
        "build",
        "AP",
        "drop, points",
        "p50, ms",
        "x",
        "MB",
        "operators",
        "made in, s",
    ]
    loads = [load for cell in shown for load in cell.loads if load is not None]
    said = f"Load of the machine before the timed rounds: {min(loads):.1f} to {max(loads):.1f}." if loads else ""
    return (METHOD, table(head, rows, left=4), *_refusals(shown), *_summary(shown), said)


def _place(cell: Cell) -> tuple[str, str, int, str, str]:
    key = cell.key
    return key.dataset, key.shots, key.draw, key.network, key.target


def _row(cell: Cell, name: str, built: Built) -> list[str]:
    key = cell.key
    shots = f", {key.shots} shots" if key.shots else ""
    p50 = None if built.p50_ms is None else built.p50_ms.value
    faster = (
        NOTHING
        if built.speedup is None
        else f"{built.speedup.combined.value:.2f} ({built.speedup.low:.2f} to {built.speedup.high:.2f})"
    )
    drop = built.drop_points
    return [
        f"{key.network}, {key.dataset}{shots}", key.target, str(cell.images), name, f"{100 * built.ap.value:.1f}",
        f"{drop.value:.2f} ({drop.low:.2f} to {drop.high:.2f})".replace("-", "−"), number(p50, 1), faster,
        megabytes(built.size_bytes), built.placement, number(built.making_seconds, 0),
    ]  # fmt: skip


def _refusals(cells: Sequence[Cell]) -> list[str]:
    return [
        f"{cell.key.network}, {cell.key.dataset}, {cell.key.target}: no build: {reason}"
        for cell in cells
        for reason in cell.refused.values()
    ]


def _summary(cells: Sequence[Cell]) -> list[str]:
    """Means over the detectors of each target, of the builds that all of them have."""
    said = []
    for target in dict.fromkeys(cell.key.target for cell in cells):
        mine = [cell for cell in cells if cell.key.target == target]
        names = [name for name in mine[0].builds if name != FLOAT and all(name in cell.builds for cell in mine)]
        rows = []
        for name in names:
            drops = [cell.builds[name].drop_points for cell in mine]
            half = float(np.sqrt(sum(((each.high - each.low) / 2) ** 2 for each in drops))) / len(drops)
            mean = float(np.mean([each.value for each in drops]))
            worst = max(drops, key=lambda each: each.value)
            faster = [found.combined for cell in mine if (found := cell.builds[name].speedup)]
            ratio = geometric_mean(faster)
            rows.append([
                f"**{name}**" if name == INT8 else name, f"{mean:.2f} ± {half:.2f}",
                f"{worst.value:.2f} ({worst.low:.2f} to {worst.high:.2f})",
                f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
            ])  # fmt: skip
        head = ["build", "mean drop, points", "worst", "x, geometric mean"]
        text = table(head, [[each.replace("-", "−") for each in row] for row in rows])
        said += [f"## {target}, {len(mine)} detectors", text]
    return said
