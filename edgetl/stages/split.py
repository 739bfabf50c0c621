"""The data stage: reads every file once and draws the few shots."""

from __future__ import annotations

from pathlib import Path

from edgetl.data.given_classes import read_classes
from edgetl.errors import UsageError
from edgetl.files.text import nearest
from edgetl.fronts.audio.window import USUAL_S
from edgetl.fronts.base import load_front
from edgetl.recipes.job import Job
from edgetl.store.results import StageResult, Store
from edgetl.types import Progress, Split


def split_stage(store: Store, job: Job, progress: Progress) -> tuple[Split, StageResult]:
    """Read every file once and draw the few shots."""
    from edgetl.data.fingerprint import fingerprint
    from edgetl.data.split import SPLIT_FILE, read_split
    from edgetl.fronts.base import load_front

    def make(out: Path) -> None:
        from edgetl.data.split import keep_split, make_split
        from edgetl.data.split_heads import make_head_split
        from edgetl.data.split_objects import make_object_split

        if task == "detection":
            split = make_object_split(data, base, progress)
        elif data.labels:
            split = make_head_split(data, base, progress, front=front)
        else:
            split = make_split(data, base, progress, front=front, window_s=window_s, classes=classes)
        keep_split(split, out, progress)

    task, front, data, base = job.recipe.task, job.recipe.front, job.recipe.data, job.base
    window_s = job.recipe.audio.window_s or USUAL_S
    network = job.recipe.network
    classes = read_classes(base, network.classes) if network and network.classes else None
    config = {
        "data": data.model_dump(mode="json"),
        "base": str(base),
        "decoders": load_front(front).versions(),  # which files can be read
        **({} if task == "classification" else {"task": task}),
        **({} if front == "image" else {"front": front}),
        **({} if classes is None else {"classes": classes}),
    }
    inputs = {"images": fingerprint(data, base, task, front, window_s)}
    result = store.once("data", 3, config, make, inputs=inputs)
    return read_split(result.folder / SPLIT_FILE), result


def refuse_unknown_classes(job: Job, split: Split) -> None:
    """Raise UsageError for a gate on the recall of a class that the images do not have."""
    noun = load_front(job.recipe.front).noun
    for label in job.recipe.gates.min_recall or {}:
        if label not in split.classes:
            raise UsageError(f"gates.min_recall: the {noun}s have no class `{label}`; {nearest(label, split.classes)}")
