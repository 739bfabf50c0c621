"""The cells of `quantization.py` as Markdown: the findings in a few lines, then a table per target."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from quantization_cases import ARM_HERE, CASES, FAMILIES, FLOAT, SHIPPED, STANDARD, Case
from quantization_cells import Cell, Times
from quantization_claims import (
    Board,
    Place,
    SpeedClaim,
    Worst,
    at_equal_accuracy,
    boards,
    drop_without,
    mean_drop,
    mean_lead,
    over_float,
    unpaired,
    worst_drop,
    worst_lead,
)
from result_file import NOTHING, interval, megabytes, number, table
from transfer_text import Mean, Scores, mean, over_sets

_ORDER = tuple(dict.fromkeys(name for case in CASES for methods in case.methods.values() for name in methods))
_COLUMNS = tuple(dict.fromkeys([FLOAT, *_ORDER]))

METHOD = """\
Every network is adapted to every set by edgetl once per draw (another `data.seed`); all builds start from that float
network and the same shots. Accuracy is top-1 on the validation images; drop is the float torch network minus the build,
paired by image, in points. ± is half a 95 % Student interval over draws; of one draw the paired interval over images.

- float32, bfloat16: edgetl's builds in floats. ptq, qat: INT8 with `quantize.method` ptq and qat. qat + repair: qat,
  and where it misses the gate of {gate:g} point the layers in float that `repair` finds. shipped: what `edgetl build`
  ships for a recipe that sets nothing of this, chosen by the accuracy and the latency that it measured
- quantize_static: ONNX Runtime's, QDQ, per-channel int8 weights, after `quant_pre_process`, on all shots; with each of
  its calibration methods (min-max, percentile, entropy), of which the column shows the best of every cell
- nncf: `nncf.quantize` after `openvino.convert_model`, all shots, fast bias correction; the better preset of every
  cell. nncf accuracy control: `nncf.quantize_with_accuracy_control` with the same gate, judged on the validation
  images, as edgetl's own gate is
- arm64-cpu: emulated, on a part of the validation images. The same files answer all of them on this CPU, which says
  what the numbers are worth and not how fast they are; the mean over all targets counts these
- the best alternative of a cell is chosen after its accuracy on the validation images is known, which favours it
- an alternative is as accurate as the shipped build where the 95 % interval of shipped minus alternative, paired by
  image, holds zero or lies below it; of those the fastest counts. Ratios of times are geometric means over sets, then
  over networks; their intervals hold what differs from repeat to repeat, networks and sets being fixed
- making: training, calibration, repair; the time that the machine took with whatever else it did"""


def sections(cells: Sequence[Cell], times: Sequence[Times]) -> list[str]:
    """Everything, the findings first."""
    found = boards(cells, _COLUMNS)
    parts = ["## What was found", *_claims(found, times)]
    for case in CASES:
        for board in (each for each in found if each.case == case.name):
            parts += _board_section(case, board, times)
    return parts


def data(cells: Sequence[Cell], times: Sequence[Times]) -> dict[str, Any]:
    """The numbers behind `sections` as a JSON value."""
    found = boards(cells, _COLUMNS)
    return {
        "boards": [_board_data(board, times) for board in found],
        "cells": [asdict(cell) for cell in cells],
        "times": [asdict(cell) for cell in times],
    }


def _board_data(board: Board, times: Sequence[Times]) -> dict[str, Any]:
    return {
        "case": board.case,
        "target": board.target,
        "drop_points": {
            method: {
                **{" on ".join(place): _json(mean([*board.drop(place, method).values()])) for place in board.places},
                "mean": _json(mean_drop(board, method)),
            }
            for method in board.methods
        },
        "shipped_over_best_alternative_points": {
            **{
                " on ".join(place): {str(draw): asdict(each) for draw, each in board.lead(place).items()}
                for place in board.places
            },
            "mean": _json(mean_lead(board)),
        },
        "time_ratios": {
            f"{threads} threads": {
                "shipped over float32": asdict(over_float(timed)),
                "shipped over the fastest alternative as accurate": asdict(at_equal_accuracy(board, timed)),
            }
            for threads, timed in _by_threads(board, times).items()
        },
    }


def _claims(found: Sequence[Board], times: Sequence[Times]) -> list[str]:
    standard = [board for board in found if board.case == STANDARD.name]
    lines = [line for board in standard for line in _board_claims(board, times)]
    with_all_images = {board.target: board for board in found if board.case == ARM_HERE.name}
    counted = [with_all_images.get(board.target, board) for board in standard]
    every = [scores for board in counted for place in board.places if (scores := board.drop(place, SHIPPED))]
    whole = over_sets(every)
    if whole and len(standard) > 1:
        where = f"{len(every)} networks, sets and targets"
        lines.insert(0, f"- all targets: drop from float to shipped {_points(whole)} on the mean of {where}")
    return ["\n".join(lines)] if lines else ["Nothing that ships is finished yet."]


def _board_claims(board: Board, times: Sequence[Times]) -> list[str]:
    lines: list[str] = []
    drop, worst = mean_drop(board, SHIPPED), worst_drop(board, SHIPPED)
    if drop and worst:
        lines.append(
            f"- {board.target}: drop from float to shipped {_points(drop)} on the mean of the networks and sets; "
            f"worst {_place(worst)}"
        )
        lines += _without_simplified(board)
    lead, behind = mean_lead(board), worst_lead(board)
    if lead and behind:
        lines.append(f"- {board.target}: shipped minus the best alternative {_points(lead)}; worst {_place(behind)}")
    for threads, timed in _by_threads(board, times).items():
        lines += _speed_claims(board, threads, timed)
    return lines


def _without_simplified(board: Board) -> list[str]:
    """Further training can gain more than quantization loses, so the loss alone is reported as well."""
    notes = {cell.note for place in board.places for cell in board.of(place, SHIPPED).values()}
    kept = drop_without(board, {"simplified"})
    if "simplified" not in notes or kept is None:
        return []
    return [f"- {board.target}: without simplified networks, which were trained further, that drop is {_points(kept)}"]


def _speed_claims(board: Board, threads: int, timed: Sequence[Times]) -> list[str]:
    where = f"- {board.target}, {threads} thread{'s' if threads > 1 else ''}"
    lines = []
    plain, equal = over_float(timed), at_equal_accuracy(board, timed)
    if plain.ratio:
        lines.append(f"{where}: time of shipped over float32 {_ratio_text(plain)}")
    if equal.ratio:
        lines.append(f"{where}: time of shipped over the fastest alternative as accurate {_ratio_text(equal)}")
    if equal.without:
        lines.append(
            f"{where}: no alternative that was timed is as accurate as what ships, so none is compared: "
            + _places(equal.without)
        )
    if equal.untimed:
        lines.append(f"{where}: no alternative was timed: {_places(equal.untimed)}")
    return lines


def _board_section(case: Case, board: Board, times: Sequence[Times]) -> list[str]:
    title = f"## {board.target}" if case is STANDARD else f"## {case.title}: {board.target}"
    parts = [title, _facts(board), _top1(board), _drops(board)]
    if case is not STANDARD:
        parts.append("\n".join(_board_claims(board, ())) or "Nothing that ships is finished yet.")
    for threads, timed in _by_threads(board, times).items() if case is STANDARD else ():
        parts.append(_latencies(board, threads, timed))
    return parts if case.here else [*parts, _costs(board)]


def _facts(board: Board) -> str:
    cells = [cell for draws in board.cells.values() for cell in draws.values()]
    images = sorted({cell.images for cell in cells})
    counts = sorted({len(draws) for draws in board.cells.values()})
    shipped = Counter(cell.note for place in board.places for cell in board.of(place, SHIPPED).values())
    said = [
        f"Validation images: {_range(images)}; draws: {_range(counts)}"
        + ("" if len(counts) == 1 else " (not all is finished)"),
        "shipped: " + (", ".join(f"{name} {count}" for name, count in shipped.most_common()) or "nothing yet"),
    ]
    said += _alike(board)
    strange = unpaired(board)
    if strange:
        said.append(
            f"{strange} alternatives of another float network or on other images were left out: make them again"
        )
    return "; ".join(said) + "."


def _alike(board: Board) -> list[str]:
    """How well predictions on this CPU agree with those of the CPU that the builds are for."""
    found = [cell.alike for draws in board.cells.values() for cell in draws.values() if cell.alike]
    if not found:
        return []
    images, same = sum(each.images for each in found), sum(each.same for each in found)
    largest = max(each.largest_difference for each in found)
    return [
        f"of {images} answers that were emulated as well, {same} name the same class as here; "
        f"the largest difference of a logit is {number(largest, 2)} standard deviations"
    ]


def _top1(board: Board) -> str:
    rows = []
    for place in board.places:
        found = [board.float_top1(place), *(_column_top1(board, place, name) for name in board.columns)]
        rows.append((" on ".join(place), *(_mean_text(mean([*scores.values()])) for scores in found)))
    return "Top-1 in percent, mean over draws:\n\n" + table(("network and set", "float torch", *board.columns), rows)


def _drops(board: Board) -> str:
    rows = [(" on ".join(place), *(_drop_text(board, place, name) for name in board.columns)) for place in board.places]
    columns: dict[str, Sequence[Scores]] = {
        name: [board.family_drop(place, name) for place in board.places] for name in board.columns
    }
    rows += [_mean_row(board, columns, network) for network in board.networks if len(board.networks) > 1]
    rows.append(("**mean**", *(_mean_text(over_sets(columns[name]), "+", 2) for name in board.columns)))
    text = "Drop in points:\n\n" + table(("network and set", *board.columns), rows)
    several = [name for name in board.methods if FAMILIES.get(name, name) != name]
    if several:
        each = ", ".join(f"{name} {_mean_text(mean_drop(board, name), '+', 2)}" for name in several)
        text += f"\n\nMean drop of each setting of the alternatives: {each}."
    return text


def _mean_row(board: Board, columns: Mapping[str, Sequence[Scores]], network: str) -> tuple[str, ...]:
    mine = [index for index, place in enumerate(board.places) if place[0] == network]
    found = (over_sets([columns[name][index] for index in mine]) for name in board.columns)
    return f"*mean of {network}*", *(_mean_text(each, "+", 2) for each in found)


def _latencies(board: Board, threads: int, timed: Sequence[Times]) -> str:
    names = [name for name in _COLUMNS if any(name in cell.builds for cell in timed)]
    rows = []
    for cell in timed:
        where = f"{cell.key.network} on {cell.key.dataset}"
        rows.append((where, *(_time_text(cell, name) for name in names), _loads(cell)))
    rounds = ", ".join(sorted({f"{cell.repeats} x {cell.runs}" for cell in timed}))
    return (
        f"Latency on {threads} thread{'s' if threads > 1 else ''}: p50 in ms and time over float32 with its interval, "
        f"builds in the same rounds ({rounds}):\n\n" + table(("network and set", *names, "load"), rows)
    )


def _costs(board: Board) -> str:
    rows = []
    for network in board.networks:
        places = [place for place in board.places if place[0] == network]
        rows.append((network, *(_cost_text(board, places, name) for name in board.methods)))
    return "MB, and seconds of making, medians over sets and draws:\n\n" + table(("network", *board.methods), rows)


def _cost_text(board: Board, places: Sequence[Place], name: str) -> str:
    cells = [cell for place in places for cell in board.of(place, name).values()]
    if not cells:
        return NOTHING
    seconds = [cell.making_seconds for cell in cells if cell.making_seconds is not None]
    size = megabytes(statistics.median(cell.size_bytes for cell in cells), 1)
    return f"{size}, {number(statistics.median(seconds), 0)} s" if seconds else size


def _column_top1(board: Board, place: Place, column: str) -> dict[int, float]:
    members = [name for name in board.methods if FAMILIES.get(name, name) == column]
    draws = sorted({draw for name in members for draw in board.of(place, name)})
    best = {draw: board.best(place, draw, members) for draw in draws}
    return {draw: 100 * cell.top1.value for draw, cell in best.items() if cell}


def _drop_text(board: Board, place: Place, column: str) -> str:
    """Over draws; for a single draw, the paired interval over images."""
    scores = board.family_drop(place, column)
    if len(scores) != 1:
        return _mean_text(mean([*scores.values()]), "+")
    (draw,) = scores
    members = [name for name in board.methods if FAMILIES.get(name, name) == column]
    cell = board.best(place, draw, members)
    return interval(cell.drop_points, 1) if cell else NOTHING


def _time_text(cell: Times, name: str) -> str:
    build = cell.builds.get(name)
    if build is None:
        return NOTHING
    p50 = number(build.p50_ms.value if build.p50_ms else None, 2)
    ratio = f", {interval(build.over_float.combined, 2)}" if build.over_float else ""
    return f"{p50}{ratio}" + (f" (file of {build.same_as})" if build.same_as else "")


def _by_threads(board: Board, times: Sequence[Times]) -> dict[int, list[Times]]:
    if board.case != STANDARD.name:
        return {}
    mine = [cell for cell in times if cell.key.target == board.target]
    counts = sorted({cell.key.threads for cell in mine})
    return {count: [cell for cell in mine if cell.key.threads == count] for count in counts}


def _ratio_text(claim: SpeedClaim) -> str:
    each = ", ".join(f"{name} {value.value:.2f}" for name, value in claim.networks.items())
    return f"{interval(claim.ratio, 2)} ({each})"


def _places(found: Sequence[Place]) -> str:
    return ", ".join(" on ".join(place) for place in found)


def _place(worst: Worst) -> str:
    return f"{' on '.join(worst.place)} with {_points(worst.value)}"


def _points(found: Mean) -> str:
    return f"{found.text(2, '+')} points"


def _mean_text(found: Mean | None, sign: str = "", digits: int = 1) -> str:
    return NOTHING if found is None else found.text(digits, sign)


def _loads(cell: Times) -> str:
    known = [load for load in cell.loads if load is not None]
    return number(max(known) if known else None, 1)


def _range(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _json(found: Mean | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
