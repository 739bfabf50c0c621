"""The float network on the validation images: the reference for every build, and the gates that it meets itself."""

from __future__ import annotations

from pathlib import Path

from edgetl.recipes.gates import Gates
from edgetl.recipes.run import Run
from edgetl.stages.keys import network_tools, samples_digest
from edgetl.store.results import StageResult


def float_stage(run: Run, adapted: StageResult) -> StageResult | None:
    """The float network's answers on the validation images, if a gate limits the float network; else None.

    `export_stage` would compute them first. Computed earlier, they save time on a gate that is out of reach.
    """
    gates = run.job.recipe.gates
    if gates.least_score is None and not gates.min_recall and not gates.heads:
        return None

    def make(out: Path) -> None:
        if run.job.recipe.network is not None:
            from edgetl.imported.export import write_float_answers as write_imported_answers

            return write_imported_answers(run, adapted.folder, out)
        from edgetl.pivot.reference import write_float_answers

        return write_float_answers(run, adapted.folder, out)

    inputs = {"adapted": adapted.digest, "val": samples_digest(run.split, run.split.val)}
    return run.store.once("float", 2, {"tools": network_tools(run.job.recipe)}, make, inputs=inputs)


def gates_within_reach(run: Run, floated: StageResult | None) -> Gates:
    """The recipe's gates without those that the float network itself misses, which are reported."""
    if floated is None:
        return run.job.recipe.gates
    from edgetl.pivot.float_answers import stored_answers
    from edgetl.tasks import accuracy_gates
    from edgetl.tasks.base import load_task

    task, split = load_task(run.job.recipe.task, run.split.heads), run.split
    answers = stored_answers(floated.folder, task.kept)
    found = task.measure(answers, [sample.truth for sample in split.val], answers, len(split.classes))
    recalls = dict(zip(split.classes, found.recalls, strict=False))
    value, heads = found.score.value.value, accuracy_gates.heads_of(found)
    missed = accuracy_gates.missed_by_float(run.job.recipe.gates, found.score.metric, value, recalls, heads)
    if missed:
        what = " and ".join(missed)
        run.progress.note(f"the float network itself has {what}: nothing is trained or repaired for that")
    return accuracy_gates.within_reach(run.job.recipe.gates, value, recalls, heads)
