"""The repair stage (mixed precision): if an INT8 build fails its accuracy gates, its costliest layers go to float."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx

from edgetl.bench.repair_record import REPAIR_FILE, Repair, Trial, front, write_repair
from edgetl.data.groups import val_groups
from edgetl.diagnose.blame.measure import measure_layers
from edgetl.diagnose.blame.models import open_networks
from edgetl.diagnose.repair.attempts import Judge, Trials
from edgetl.diagnose.repair.search import Search, search
from edgetl.files.text import decimal
from edgetl.fronts.pixels import Pixels
from edgetl.fronts.text.load import carry
from edgetl.pivot.float_answers import REFERENCE_LOGITS, read_reference
from edgetl.pivot.golden import add_outputs, read_inputs
from edgetl.pivot.literal import infer, open_literal
from edgetl.pivot.pivot import FOLDER, GOLDEN_DIR, PivotModel, model_for, read_pivot, write_pivot
from edgetl.pivot.serialize import serialize
from edgetl.recipes.gates import Gates
from edgetl.recipes.run import Run
from edgetl.tasks.base import load_task
from edgetl.types import Interval, Target

_SHOTS = 64  # images for the ranking
MIXED_STEM = "mixed"
_NAMED = 3


def repair_int8(run: Run, target: Target, folder: Path, gates: Gates, out: Path) -> None:
    """Find the layers; write repair.json and, if a set passed, the folder `pivot` with its model.

    folder  the pivot's
    gates   those that the float network meets itself
    raises  BackendError if the two networks of the pivot do not match, or the toolchain refuses INT8 itself;
            EdgetlError for a pivot that does not match the images.
    """
    pivot, progress, val = read_pivot(folder), run.progress, run.split.val
    task = load_task(run.job.recipe.task, run.split.heads)
    networks = open_networks(folder, pivot, target, run.store.cache / "blame", progress)
    shots = Pixels(run.split.shots[:_SHOTS], pivot.preprocessing)
    _, layers = measure_layers(networks, shots, progress)
    ranking = [layer.name for layer in layers]
    judge = Judge(
        run=run,
        target=target,
        gates=gates,
        val=Pixels(val, pivot.preprocessing),
        preprocessing=pivot.preprocessing,
        reference=read_reference(folder / REFERENCE_LOGITS, task.kept, len(val)),
        groups=val_groups(run),
    )
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        trials = Trials(networks, judge, Path(scratch))
        with progress.task(f"{target.name}: layers in float", total=None) as advance:
            trials.passes(())  # INT8 itself, for the comparison

            def passes(names: Sequence[str]) -> bool:
                advance(detail=f"{len(names)} of {len(ranking)}")
                return trials.passes(names)

            found = search(ranking[:-1], passes)  # with all layers it would be the float32 build
        measured = trials.timed()
        if found.layers is not None:
            _write_pivot(folder, target, trials.model(found.layers), out / FOLDER)
    repair = Repair(
        target=target.name,
        quantized=len(ranking),
        tries=found.tries,
        layers=found.layers,
        trials=tuple(measured),
        front=front(measured),
        sentence=_sentence(len(ranking), found, measured, trials.refused),
        metric=task.metric,
    )
    write_repair(repair, out / REPAIR_FILE)
    progress.note(f"{target.name}: {repair.sentence}")


def _write_pivot(folder: Path, target: Target, model: onnx.ModelProto, out: Path) -> None:
    """The pivot in `folder` once more with the one model that is compiled from here, and its golden outputs."""
    out.mkdir()
    pivot = read_pivot(folder)
    chosen = model_for(pivot, target, "int8")
    data = serialize(model)
    (out / f"{MIXED_STEM}.onnx").write_bytes(data)
    described = PivotModel(
        file=f"{MIXED_STEM}.onnx",
        precision="mixed",
        scheme_id=chosen.scheme_id,
        sha256=hashlib.sha256(data).hexdigest(),
        parity=None,
    )
    carry(pivot.preprocessing, out)
    if pivot.golden_files:
        shutil.copytree(folder / GOLDEN_DIR, out / GOLDEN_DIR)
        # node by node, like the outputs of the other models
        inputs = read_inputs(out / GOLDEN_DIR, len(pivot.golden_files), pivot.preprocessing)
        add_outputs(out / GOLDEN_DIR, {MIXED_STEM: infer(open_literal(data), inputs)})
    write_pivot(out, pivot.model_copy(update={"models": (described,), "digests": {}}))


def _sentence(quantized: int, found: Search, trials: Sequence[Trial], refused: int) -> str:
    lost = f"INT8 loses {_points(trials[0].drop_points)}"
    description = (
        _taken(quantized, lost, found, trials) if found.layers else _none_passes(quantized, lost, trials, refused)
    )
    if not refused:
        return description
    return f"{description} {refused} of {found.tries} sets could not be compiled or run and count as not passed."


def _none_passes(quantized: int, lost: str, trials: Sequence[Trial], refused: int) -> str:
    if len(trials) == 1:
        return f"{lost}, and no set of layers in float could be evaluated."
    best = max(trials, key=lambda trial: trial.score.value)
    description = (
        f"{lost}, and no set of layers in float passes: the best of {len(trials) - 1} tried sets "
        f"({len(best.layers)} of {quantized} layers in float) loses {_points(best.drop_points)}."
    )
    if refused:
        return description
    return (
        f"{description} The loss is spread over many layers; try quantization-aware training (quantize.method: qat), "
        f"or relax "
        "the gate."
    )


def _taken(quantized: int, lost: str, found: Search, trials: Sequence[Trial]) -> str:
    layers = found.layers or ()
    taken = next(trial for trial in trials if set(trial.layers) == set(layers))
    named = ", ".join(layers[:_NAMED]) + (f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else "")
    description = (
        f"{lost}; with {len(layers)} of {quantized} layers in float ({named}) {_points(taken.drop_points)}"
        f"{_time(taken.relative_time)}."
    )
    return (
        description
        if found.pruned
        else f"{description} The search ended after {found.tries} sets; fewer layers may be enough."
    )


def _time(relative: Interval | None) -> str:
    if relative is None:
        return ", both by this CPU's predictions"
    if relative.low <= 1 <= relative.high:
        return ", in the same time within noise"
    change = abs(relative.value - 1)
    low, high = sorted((abs(relative.low - 1), abs(relative.high - 1)))
    return f", in {change:.0%} ({low:.0%} to {high:.0%}) {'more' if relative.value > 1 else 'less'} time"


def _points(drop: Interval) -> str:
    return f"{decimal(drop.value, 2)} points ({decimal(drop.low, 2)} to {decimal(drop.high, 2)})"
