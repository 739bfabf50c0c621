"""How long the softmax regression of `adapt` takes compared with scikit-learn's, on features of real images.

    python benchmarks/head_time.py --data DATA --weights-dir WEIGHTS --work WORK --write

Both fit the same rows under every penalty that the head's search may try, in turns, with one BLAS thread. Both minimize
the same loss; the table shows how far apart the two results are.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from example_builds import parser_on_sets
from numpy.typing import NDArray
from result_file import Result, add_write_option, deliver, interval, machine_now, table
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from transfer_baselines import Pretrained, center_crops, pooled
from transfer_draws import Draw

from edgetl.backbones.weights import locate
from edgetl.bench.time_stats import over_repeats
from edgetl.errors import EdgetlError
from edgetl.recipes.recipe import Backbone
from edgetl.tasks.classification.heads.logistic import STRENGTHS
from edgetl.tasks.classification.heads.softmax import fit_softmax
from edgetl.types import Interval

_SETS = ("hymenoptera", "neu_steel", "sign_digits")
_ITERATIONS = 500
_TOLERANCE = 1e-3  # of `fit_softmax`
_TURNS = 5

_Rows = NDArray[np.float64]
_Labels = NDArray[np.int64]
_Line = tuple[_Rows, _Rows]
"""Weights (C, D) and biases (C,)."""


@dataclass(frozen=True)
class Found:
    """faster  scikit-learn's time over ours. ours_ms  median of a fit. gap_nats  our loss minus theirs, at most."""

    dataset: str
    classes: int
    rows: int
    faster: Interval
    ours_ms: float
    gap_nats: float


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    backbone = Backbone(name="mobilenetv2_100")
    try:
        source = locate(backbone, Path(), [arguments.weights_dir])
        pretrained = Pretrained(backbone, source, arguments.work)
        found = [
            _measure(arguments.data / name, shots, pretrained, arguments.repeats)
            for name in arguments.sets
            for shots in arguments.shots
        ]
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    penalties = ", ".join(f"{strength:g}" for strength in STRENGTHS)
    method = (
        "mobilenetv2_100, center crops, features of unit variance, one BLAS thread. Both stop at a largest slope of "
        f"{_TOLERANCE:g} or after {_ITERATIONS} iterations. Penalties C: {penalties}. Ratio: medians of {_TURNS} turns "
        f"summed over penalties; {arguments.repeats} repeats are the sample of the interval. Loss: mean cross "
        "entropy plus penalty, ours minus scikit-learn's, in nats, where it is largest."
    )
    result = Result("head-time", "Fitting a head", (method, _table(found)), {"found": [asdict(each) for each in found]})
    deliver(result, machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = parser_on_sets(__doc__)
    add = parser.add_argument
    add("--sets", nargs="+", default=list(_SETS), help=f"default: {' '.join(_SETS)}")
    add("--shots", type=int, nargs="+", default=[5, 10, 20], help="per class (default 5 10 20)")
    add("--repeats", type=int, default=7, help="default 7")
    add_write_option(parser)
    return parser.parse_args()


def _measure(folder: Path, shots: int, pretrained: Pretrained, repeats: int) -> Found:
    rows, labels = _features(folder, shots, pretrained)
    ratios, ours = [], []
    with threadpool_limits(limits=1, user_api="blas"):
        for _ in range(repeats):
            theirs_ns, ours_ns = _one_repeat(rows, labels)
            ratios.append(theirs_ns / ours_ns)
            ours.append(ours_ns / len(STRENGTHS) / 1e6)
        gap = max(
            _loss(_ours(rows, labels, c), rows, labels, c) - _loss(_theirs(rows, labels, c), rows, labels, c)
            for c in STRENGTHS
        )
    return Found(folder.name, int(labels.max()) + 1, len(rows), over_repeats(ratios), float(np.median(ours)), gap)


def _features(folder: Path, shots: int, pretrained: Pretrained) -> tuple[_Rows, _Labels]:
    split = Draw(folder, shots, 0).split()
    network, spec = pretrained.open(len(split.classes))
    network.eval()
    rows = pooled(network, spec, center_crops(split.shots, spec.image)).astype(np.float64)
    rows = (rows - rows.mean(0)) / rows.std()
    return rows, np.array([sample.label for sample in split.shots])


def _one_repeat(rows: _Rows, labels: _Labels) -> tuple[float, float]:
    """Nanoseconds of scikit-learn and of ours, every penalty once; medians of turns."""
    theirs_ns = ours_ns = 0.0
    for strength in STRENGTHS:
        times = np.zeros((_TURNS, 2))
        for turn in range(_TURNS):
            for column, fit in enumerate((_theirs, _ours)):
                started = time.perf_counter_ns()
                fit(rows, labels, strength)
                times[turn, column] = time.perf_counter_ns() - started
        theirs, ours = np.median(times, axis=0)
        theirs_ns, ours_ns = theirs_ns + theirs, ours_ns + ours
    return theirs_ns, ours_ns


def _ours(rows: _Rows, labels: _Labels, strength: float) -> _Line:
    return fit_softmax(rows, labels, strength=strength, iterations=_ITERATIONS)


def _theirs(rows: _Rows, labels: _Labels, strength: float) -> _Line:
    fitted = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=_TOLERANCE).fit(rows, labels)
    if len(fitted.classes_) > 2:
        return fitted.coef_, fitted.intercept_
    # of two classes scikit-learn gives the difference
    return np.concatenate([-fitted.coef_, fitted.coef_]) / 2, np.concatenate(
        [-fitted.intercept_, fitted.intercept_]
    ) / 2


def _loss(line: _Line, rows: _Rows, labels: _Labels, strength: float) -> float:
    weight, bias = line
    logits = rows @ weight.T + bias
    entropies = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(rows)), labels]
    # of two classes the difference of the two lines is penalized
    penalized = weight[1:] - weight[:1] if len(weight) == 2 else weight
    return float(entropies.mean() + (penalized**2).sum() / (2 * strength * len(rows)))


def _table(found: Sequence[Found]) -> str:
    rows = [
        [
            each.dataset,
            f"{each.classes}",
            f"{each.rows}",
            interval(each.faster, 2),
            f"{each.ours_ms:.2f}",
            f"{each.gap_nats:+.1e}",
        ]
        for each in found
    ]
    return table(["set", "classes", "rows", "times faster", "a fit, ms", "loss, nats"], rows)


if __name__ == "__main__":
    sys.exit(main())
